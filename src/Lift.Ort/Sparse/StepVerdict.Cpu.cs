using Lift.Ort.Devices.Cpu;

namespace Lift.Ort.Sparse;

internal readonly unsafe partial record struct StepVerdict
{
    public void Run(CpuDevice device)
    {
        double* verdict = (double*)Verdict.Pointer;
        float* losses = (float*)Losses.Pointer;
        double[] squares = new double[1];
        new SquaredNorm(Gradient, squares).Run(device);
        bool good = double.IsFinite(squares[0]) && (!Sticky || verdict[Good] != 0);
        for (long i = 0; i < Verdict.Length - FirstLoss; i++)
        {
            verdict[FirstLoss + i] = losses[i];
            good &= float.IsFinite(losses[i]);
        }
        (verdict[Squares], verdict[Good]) = (squares[0], good ? 1 : 0);
    }
}
