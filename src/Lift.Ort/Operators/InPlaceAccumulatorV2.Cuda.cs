using Lift.Ort.Devices.Cuda;

namespace Lift.Ort.Operators;

internal sealed partial class InPlaceAccumulatorV2 : ICudaKernel
{
    public void Run(CudaContext context)
    {
        CpuTensor sum = context.Input(0), value = context.Input(1);
        if (sum.Count != value.Count) throw new ArgumentException($"the buffer has {sum.Count} elements, the gradient {value.Count}");
        nint flag = context.Output(0, 1), copy = context.Output(1, sum.Dims);
        context.Launch("InPlaceAccumulatorV2", "Accumulate", sum.Type, Grid.For(sum.Count, perThread: 4), sum.Address, value.Address, copy, context.Address(2), flag, sum.Count);
    }
}
