using Lift.Ort.Devices.Cuda;

namespace Lift.Ort.Sparse;

internal readonly partial record struct RevertUnlessGood
{
    public void Run(CudaDevice device)
    {
        long words = Now.Length / sizeof(uint);
        device.Launch("AddScaled", "RevertUnlessGood", null, Grid.For(words, perThread: 4), Verdict.Pointer, Now.Pointer, Before.Pointer, words);
    }
}
