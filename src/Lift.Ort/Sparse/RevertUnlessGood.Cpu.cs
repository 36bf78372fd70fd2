using Lift.Ort.Devices.Cpu;

namespace Lift.Ort.Sparse;

internal readonly unsafe partial record struct RevertUnlessGood
{
    public void Run(CpuDevice device)
    {
        if (((double*)Verdict.Pointer)[StepVerdict.Good] == 0) device.Copy(Before.Pointer, Now.Pointer, Now.Length);
    }
}
