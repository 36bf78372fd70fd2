using Lift.Ort.Onnx;

namespace Lift.Ort.Operators;

internal sealed unsafe partial class ShrunkenGather
{
    public override void Run(CpuContext context)
    {
        CpuTensor data = context.Input(0), indices = context.Input(1);
        Slices s = Fit(data, indices, out long[] dims);
        long row = s.Inner * data.Type.Bits() / 8;
        byte* x = data.Data<byte>(), y = context.Output<byte>(0, dims);
        for (long o = 0; o < s.Outer; o++)
            for (long i = 0; i < indices.Count; i++) Simd.Copy(x + (o * s.Length + GatherElementsGrad.Position(indices.Integer(i), s.Length, i)) * row, y + (o * indices.Count + i) * row, row);
    }

    private Slices Fit(CpuTensor data, CpuTensor indices, out long[] dims)
    {
        if (indices.Dims.Length != 1) throw new ArgumentException($"the indices have {indices.Dims.Length} axes, not one");
        dims = [.. data.Dims];
        dims[Slices.Axis(axis, dims.Length)] = indices.Count;
        return Slices.Along(data.Dims, axis);
    }
}

internal sealed unsafe partial class PadAndUnflatten
{
    protected override void Run<T>(CpuContext context)
    {
        CpuTensor input = context.Input(0), indices = context.Input(1);
        long[] dims = [.. context.Input(2).ToLongs(), .. input.Dims[1..]];
        long rows = CpuTensor.Product(context.Input(2).ToLongs()), row = CpuTensor.Product(input.Dims.AsSpan(1..));
        if (indices.Count != input.Dims[0]) throw new ArgumentException($"{indices.Count} indices and {input.Dims[0]} rows do not fit");
        T* x = input.Data<T>(), y = context.Output<T>(0, dims);
        Simd.Clear(y, rows * row);
        for (long i = 0; i < indices.Count; i++) Simd.Copy(x + i * row, y + GatherElementsGrad.Position(indices.Integer(i), rows, i) * row, row);
    }
}

internal sealed unsafe partial class FlattenAndUnpad
{
    public override void Run(CpuContext context)
    {
        CpuTensor input = context.Input(0), indices = context.Input(1);
        if (input.Dims.Length < 2) throw new ArgumentException($"the input has {input.Dims.Length} axes, fewer than two");
        long rows = input.Dims[0] * input.Dims[1], row = CpuTensor.Product(input.Dims.AsSpan(2..)) * input.Type.Bits() / 8;
        byte* x = input.Data<byte>(), y = context.Output<byte>(0, [indices.Count, .. input.Dims[2..]]);
        for (long i = 0; i < indices.Count; i++) Simd.Copy(x + GatherElementsGrad.Position(indices.Integer(i), rows, i) * row, y + i * row, row);
        long* lengths = context.Output<long>(1, 2);
        if (lengths != null) (lengths[0], lengths[1]) = (input.Dims[0], input.Dims[1]);
    }
}

internal sealed unsafe partial class GatherNDGrad
{
    protected override void Run<T>(CpuContext context)
    {
        long[] dims = context.Input(0).ToLongs();
        CpuTensor indices = context.Input(1), update = context.Input(2);
        var (depth, tuples, slice, perBatch) = Fit(dims, indices, update);
        long size = CpuTensor.Product(dims.AsSpan(batch..));
        T* dy = update.Data<T>(), dx = context.Output<T>(0, dims);
        Simd.Clear(dx, CpuTensor.Product(dims));
        for (long i = 0; i < tuples; i++)
        {
            long target = 0;
            for (int d = 0; d < depth; d++) target = target * dims[batch + d] + GatherElementsGrad.Position(indices.Integer(i * depth + d), dims[batch + d], i);
            Simd.Add(dy + i * slice, dx + i / perBatch * size + target * slice, slice);
        }
    }

    private (int Depth, long Tuples, long Slice, long PerBatch) Fit(long[] dims, CpuTensor indices, CpuTensor update)
    {
        int depth = (int)indices.Dims[^1];
        if (batch + depth > dims.Length) throw new ArgumentException($"index tuples of {depth} below {batch} batch axes do not fit the shape [{string.Join(", ", dims)}]");
        long tuples = CpuTensor.Product(indices.Dims.AsSpan(..^1)), batches = CpuTensor.Product(dims.AsSpan(..batch)), slice = CpuTensor.Product(dims.AsSpan((batch + depth)..));
        if (update.Count != tuples * slice) throw new ArgumentException($"update has {update.Count} elements, {tuples} slices of {slice} are asked for");
        return (depth, tuples, slice, batches == 0 ? 0 : tuples / batches);
    }
}

internal sealed unsafe partial class View
{
    public override void Run(CpuContext context)
    {
        CpuTensor input = context.Input(0);
        byte* x = input.Data<byte>();
        for (int i = 0; i < context.OutputCount; i++)
        {
            long[] dims = context.Input(i + 1).ToLongs();
            long bytes = CpuTensor.Product(dims) * input.Type.Bits() / 8;
            if (x + bytes > input.Data<byte>() + input.Count * input.Type.Bits() / 8) throw new ArgumentException($"the shapes up to number {i} ask for more than the input's {input.Count} elements");
            Simd.Copy(x, context.Output<byte>(i, dims), bytes);
            x += bytes;
        }
    }
}

internal sealed unsafe partial class PassThrough
{
    public override void Run(CpuContext context)
    {
        for (int i = 0; i < context.OutputCount; i++)
        {
            CpuTensor input = context.Input(i);
            byte* y = context.Output<byte>(i, input.Dims);
            if (y != null) Simd.Copy(input.Data<byte>(), y, input.Count * input.Type.Bits() / 8);
        }
    }
}
