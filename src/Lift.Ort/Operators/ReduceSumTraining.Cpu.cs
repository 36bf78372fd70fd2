namespace Lift.Ort.Operators;

internal sealed unsafe partial class ReduceSumTraining
{
    protected override void Run<T>(CpuContext context)
    {
        CpuTensor data = context.Input(0);
        long[] dims = data.Dims, axes = context.Input(1).ToLongs();
        bool[] summed = new bool[dims.Length];
        if (axes.Length == 0 && !noneWhenEmpty) Array.Fill(summed, true);
        foreach (long axis in axes) summed[Slices.Axis(axis, dims.Length)] = true;
        long[] kept = [.. dims.Select((d, i) => summed[i] ? 1 : d)];
        T* x = data.Data<T>(), y = context.Output<T>(0, keepDims ? kept : [.. dims.Where((_, i) => !summed[i])]);
        Simd.Clear(y, CpuTensor.Product(kept));
        if (data.Count == 0) return;

        // Rows along the last axis are summed into one element, or added to a row.
        long row = dims.Length == 0 ? 1 : dims[^1];
        bool rowIsSummed = dims.Length > 0 && summed[^1];
        long[] position = new long[Math.Max(0, dims.Length - 1)];
        for (long r = 0; r < data.Count; r += row)
        {
            long target = 0;
            for (int d = 0; d < position.Length; d++) target = target * kept[d] + (summed[d] ? 0 : position[d]);
            if (rowIsSummed) y[target] += Simd.Sum(x + r, row);
            else Simd.Add(x + r, y + target * row, row);
            for (int d = position.Length - 1; d >= 0 && ++position[d] == dims[d]; d--) position[d] = 0;
        }
    }
}

internal sealed unsafe partial class BroadcastGradientArgs
{
    public override void Run(CpuContext context)
    {
        long[] a = context.Input(0).ToLongs(), b = context.Input(1).ToLongs();
        int rank = Math.Max(a.Length, b.Length);
        long At(long[] dims, int axis) => axis < rank - dims.Length ? 1 : dims[axis - (rank - dims.Length)];
        bool Added(long[] dims, int axis) => axis < rank - dims.Length;
        for (int i = 0; i < rank; i++)
        {
            if (At(a, i) != At(b, i) && At(a, i) != 1 && At(b, i) != 1) throw new ArgumentException($"[{string.Join(", ", a)}] and [{string.Join(", ", b)}] do not broadcast");
        }
        Write(context, 0, [.. Enumerable.Range(0, rank).Where(i => Added(a, i) || (At(a, i) == 1 && At(b, i) != 1)).Select(i => (long)i)]);
        Write(context, 1, [.. Enumerable.Range(0, rank).Where(i => Added(b, i) || (At(b, i) == 1 && At(a, i) != 1)).Select(i => (long)i)]);
    }

    private static void Write(CpuContext context, int output, long[] axes)
    {
        long* result = context.Output<long>(output, axes.Length);
        if (result != null) axes.CopyTo(new Span<long>(result, axes.Length));
    }
}
