using Lift.Ort.Devices.Cuda;

namespace Lift.Ort.Sparse;

internal readonly partial record struct StepVerdict
{
    public void Run(CudaDevice device)
    {
        SquaredNorm.Launch(device, Gradient, Verdict.Pointer + (Squares * sizeof(double)));
        device.Launch("AddScaled", "JudgeStep", null, new Grid(1, Grid.Block), Losses.Pointer, (int)(Verdict.Length - FirstLoss), Verdict.Pointer, Sticky ? 1 : 0);
    }
}
