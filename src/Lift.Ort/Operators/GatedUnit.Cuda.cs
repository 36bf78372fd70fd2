using Lift.Ort.Devices.Cuda;

namespace Lift.Ort.Operators;

internal sealed partial class GatedUnit : ICudaKernel
{
    public void Run(CudaContext context)
    {
        CpuTensor gate = context.Input(0), up = context.Input(1);
        if (gate.Count != up.Count) throw new ArgumentException($"gate has {gate.Count} elements, up {up.Count}");
        nint y = context.Output(0, gate.Dims);
        context.Launch("GatedUnit", "GatedUnit", gate.Type, Grid.For(gate.Count, perThread: 8), gate.Address, up.Address, y, gate.Count);
    }
}

internal sealed partial class GatedUnitGrad : ICudaKernel
{
    public void Run(CudaContext context)
    {
        CpuTensor dy = context.Input(0), gate = context.Input(1), up = context.Input(2);
        if (gate.Count != up.Count || gate.Count != dy.Count) throw new ArgumentException($"dY has {dy.Count} elements, gate {gate.Count}, up {up.Count}");
        nint dGate = context.Output(0, gate.Dims), dUp = context.Output(1, up.Dims);
        context.Launch("GatedUnit", "GatedUnitGrad", gate.Type, Grid.For(gate.Count, perThread: 8), dy.Address, gate.Address, up.Address, dGate, dUp, gate.Count);
    }
}
