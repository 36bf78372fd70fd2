using Lift.Ort.Devices.Cuda;
using Lift.Ort.Onnx;

namespace Lift.Ort.Operators;

internal sealed partial class ScaledSum : ICudaKernel
{
    public void Run(CudaContext context)
    {
        CpuTensor first = context.Input(0);
        CpuTensor[] inputs = Fit(first, [.. Enumerable.Range(0, context.InputCount).Select(context.OptionalInput).OfType<CpuTensor>()]);
        Launch(context, first, inputs.Length > 1 ? inputs[1].Address : 0, inputs.Length > 2 ? inputs[2].Address : 0, scales, context.Output(0, first.Dims));
    }

    /// <summary>y = Σ scales[k] · x[k]; an address of 0 is a tensor that is not there.</summary>
    public static void Launch(CudaContext context, CpuTensor x, nint second, nint third, ReadOnlySpan<float> scales, nint y)
    {
        if (x.Count > 0 && y != 0) context.Launch("Scaling", "ScaledSum", x.Type, Grid.For(x.Count, perThread: 8), x.Address, second, third, scales[0], scales[1], scales[2], y, x.Count);
    }
}

internal sealed partial class BatchScale : ICudaKernel
{
    public void Run(CudaContext context)
    {
        CpuTensor x = context.Input(0);
        for (int k = 0; k < context.OutputCount; k++) ScaledSum.Launch(context, x, 0, 0, [scales[k], 0, 0], context.Output(k, x.Dims));
    }
}

internal sealed partial class Scale : ICudaKernel
{
    public void Run(CudaContext context)
    {
        CpuTensor x = context.Input(0), factor = context.Input(1);
        if (factor.Count != 1) throw new ArgumentException($"the scale has {factor.Count} elements, not one");
        By(context, x, factor, down, context.Output(0, x.Dims));
    }

    /// <summary>y = x · factor, or x / factor; the factor stays on the device.</summary>
    public static void By(CudaContext context, CpuTensor x, CpuTensor factor, bool down, nint y)
    {
        if (x.Count > 0 && y != 0) context.Launch("Scaling", "ScaleBy", x.Type, Grid.For(x.Count, perThread: 8), x.Address, factor.Address, (int)factor.Type, down ? 1 : 0, y, x.Count);
    }
}

internal sealed partial class MixedPrecisionScale : ICudaKernel
{
    public void Run(CudaContext context)
    {
        CpuTensor scale = context.Input(0);
        CpuTensor[] inputs = Fit(scale, [.. Enumerable.Range(1, context.InputCount - 1).Select(context.Input)]);
        nint all = fused ? context.Output(0, inputs.Sum(i => i.Count)) : 0;
        for (int k = 0; k < inputs.Length; k++)
        {
            Scale.By(context, inputs[k], scale, false, fused ? all : context.Output(k, inputs[k].Dims));
            all += (nint)(inputs[k].Count * scale.Type.Bits() / 8);
        }
    }
}
