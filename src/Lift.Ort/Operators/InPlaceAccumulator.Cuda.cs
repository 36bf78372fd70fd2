using Lift.Ort.Devices.Cuda;

namespace Lift.Ort.Operators;

internal sealed partial class InPlaceAccumulator : ICudaKernel
{
    public void Run(CudaContext context)
    {
        CpuTensor sum = context.Input(0), value = context.Input(1);
        Fit(sum, value);
        nint result = context.Output(0, sum.Dims);
        if (sum.Count > 0) context.Launch("InPlaceAccumulatorV2", "AccumulateIf", sum.Type, Grid.For(sum.Count, perThread: 8), sum.Address, value.Address, result, context.Address(2), sum.Count);
    }
}
