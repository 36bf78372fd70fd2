using Lift.Ort.Onnx;

namespace Lift.Ort.Operators;

internal sealed unsafe partial class ScaledSum
{
    protected override void Run<T>(CpuContext context)
    {
        CpuTensor first = context.Input(0);
        CpuTensor[] inputs = Fit(first, [.. Enumerable.Range(0, context.InputCount).Select(context.OptionalInput).OfType<CpuTensor>()]);
        T* y = context.Output<T>(0, first.Dims);
        context.ForEachPart(first.Count, inputs.Length, (from, to) =>
        {
            for (long i = from; i < to; i++)
            {
                T sum = T.Zero;
                for (int k = 0; k < inputs.Length; k++) sum += T.CreateTruncating(scales[k]) * inputs[k].Data<T>()[i];
                y[i] = sum;
            }
        });
    }

    private static CpuTensor[] Fit(CpuTensor first, CpuTensor[] inputs) => Array.FindIndex(inputs, i => i.Count != first.Count) is > 0 and var odd
        ? throw new ArgumentException($"input {odd} has {inputs[odd].Count} elements, input 0 {first.Count}")
        : inputs;
}

internal sealed unsafe partial class BatchScale
{
    protected override void Run<T>(CpuContext context)
    {
        CpuTensor input = context.Input(0);
        T* x = input.Data<T>();
        for (int k = 0; k < context.OutputCount; k++)
        {
            T* y = context.Output<T>(k, input.Dims);
            T scale = T.CreateTruncating(scales[k]);
            for (long i = 0; y != null && i < input.Count; i++) y[i] = scale * x[i];
        }
    }
}

internal sealed unsafe partial class Scale
{
    protected override void Run<T>(CpuContext context)
    {
        CpuTensor input = context.Input(0), factor = context.Input(1);
        if (factor.Count != 1) throw new ArgumentException($"the scale has {factor.Count} elements, not one");
        T scale = factor.Type switch
        {
            ElementType.Float => T.CreateTruncating(*factor.Data<float>()),
            ElementType.Double => T.CreateTruncating(*factor.Data<double>()),
            _ => T.CreateTruncating(factor.Integer(0)),
        };
        if (down) scale = T.One / scale;
        T* x = input.Data<T>(), y = context.Output<T>(0, input.Dims);
        if (y != x) Simd.Copy(x, y, input.Count);
        Simd.Scale(scale, y, input.Count);
    }
}

internal sealed unsafe partial class MixedPrecisionScale
{
    protected override void Run<T>(CpuContext context)
    {
        T scale = *context.Input(0).Data<T>();
        CpuTensor[] inputs = Fit(context.Input(0), [.. Enumerable.Range(1, context.InputCount - 1).Select(context.Input)]);
        T* all = fused ? context.Output<T>(0, inputs.Sum(i => i.Count)) : null;
        for (int k = 0; k < inputs.Length; k++)
        {
            T* y = fused ? all : context.Output<T>(k, inputs[k].Dims);
            Simd.Copy(inputs[k].Data<T>(), y, inputs[k].Count);
            Simd.Scale(scale, y, inputs[k].Count);
            if (fused) all += inputs[k].Count;
        }
    }

    private CpuTensor[] Fit(CpuTensor scale, CpuTensor[] inputs) => to == 0 || to == (long)scale.Type
        ? inputs
        : throw new ArgumentException($"it casts to {(ElementType)to}, and this kernel computes in the inputs' own type, {scale.Type}");
}
