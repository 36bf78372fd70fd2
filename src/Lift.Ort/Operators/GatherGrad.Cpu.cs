namespace Lift.Ort.Operators;

internal sealed unsafe partial class GatherGrad
{
    protected override void Run<T>(CpuContext context)
    {
        long[] dims = context.Input(0).ToLongs();
        CpuTensor indices = context.Input(1);
        Slices s = Slices.Along(dims, axis);
        long count = indices.Count;
        T* dy = context.Input(2).Data<T>(), dx = context.Output<T>(0, dims);
        if (context.Input(2).Count != s.Outer * count * s.Inner)
            throw new ArgumentException($"dY has {context.Input(2).Count} elements, indices and shape [{string.Join(", ", dims)}] ask for {s.Outer * count * s.Inner}");
        for (long i = 0; i < count; i++) GatherElementsGrad.Position(indices.Integer(i), s.Length, i);

        // Each part owns a range of rows of dx, and looks for the indices that fall into it: no two parts write the same row, and sums keep their order.
        context.ForEachPart(s.Length, s.Outer * s.Inner, (from, to) =>
        {
            for (long o = 0; o < s.Outer; o++)
            {
                T* block = dx + o * s.Length * s.Inner;
                Simd.Clear(block + from * s.Inner, (to - from) * s.Inner);
                for (long i = 0; i < count; i++)
                {
                    long row = GatherElementsGrad.Position(indices.Integer(i), s.Length, i);
                    if (row >= from && row < to) Simd.Add(dy + (o * count + i) * s.Inner, block + row * s.Inner, s.Inner);
                }
            }
        });
    }
}

internal sealed unsafe partial class GatherElementsGrad
{
    /// <summary>An index as a row number; negative ones count from the end.</summary>
    /// <exception cref="ArgumentException">There is no such row.</exception>
    public static long Position(long index, long length, long at) => index >= -length && index < length
        ? index < 0 ? index + length : index
        : throw new ArgumentException($"index {index} at position {at} is not in {-length} … {length - 1}");

    protected override void Run<T>(CpuContext context)
    {
        CpuTensor dyTensor = context.Input(0), indices = context.Input(2);
        long[] dims = context.Input(1).ToLongs(), from = dyTensor.Dims;
        T* dy = dyTensor.Data<T>(), dx = context.Output<T>(0, dims);
        Simd.Clear(dx, CpuTensor.Product(dims));
        int a = Slices.Axis(axis, dims.Length);
        long[] position = new long[dims.Length];
        for (long i = 0; i < dyTensor.Count; i++)
        {
            long target = 0;
            for (int d = 0; d < dims.Length; d++) target = target * dims[d] + (d == a ? Position(indices.Integer(i), dims[d], i) : position[d]);
            dx[target] += dy[i];
            for (int d = dims.Length - 1; d >= 0 && ++position[d] == from[d]; d--) position[d] = 0;
        }
    }
}
