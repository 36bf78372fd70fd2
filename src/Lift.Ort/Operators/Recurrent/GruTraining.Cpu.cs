namespace Lift.Ort.Operators.Recurrent;

internal sealed unsafe partial class GruTraining
{
    protected override void Run<T>(CpuContext context)
    {
        CpuTensor x = context.Input(0), w = context.Input(1), r = context.Input(2);
        layer.Check(x, w, r, 3);
        long steps = x.Dims[0], batch = x.Dims[1], h = layer.Hidden, d = layer.Directions;
        T* all = context.Output<T>(0, steps, d, batch, h), final = context.Output<T>(1, d, batch, h), gates = context.Output<T>(2, steps, d, batch, 3 * h);
        for (long direction = 0; direction < d; direction++) Direction(context, direction, all, final, gates);
    }

    private void Direction<T>(CpuContext context, long d, T* all, T* final, T* gates) where T : unmanaged, System.Numerics.IFloatingPointIeee754<T>
    {
        CpuTensor x = context.Input(0), w = context.Input(1), r = context.Input(2);
        Sequences sequences = layer.Along(x, context.OptionalInput(4), d);
        long batch = sequences.Batch, h = layer.Hidden, inputs = x.Dims[2], rows = sequences.Steps * batch, directions = layer.Directions;
        T* bias = context.OptionalInput(3) is { } b ? b.Data<T>() + d * 6 * h : null, recurrent = r.Data<T>() + d * 3 * h * h;
        bool linear = layer.LinearBeforeReset;
        using var projected = new Rows.Scratch<T>(rows * 3 * h); // x Wᵀ + b, by time
        T* xw = projected.Data;
        for (long row = 0; row < rows && bias != null; row++)
        {
            Simd.Copy(bias, xw + row * 3 * h, 3 * h);
            Simd.Add(bias + 3 * h, xw + row * 3 * h, linear ? 2 * h : 3 * h); // with linear_before_reset the candidate's second bias lies within the reset
        }
        Gemm.Multiply(context, rows, 3 * h, inputs, new(x.Data<T>(), inputs), new Gemm.Operand<T>(w.Data<T>() + d * 3 * h * inputs, inputs).Transposed, xw, 3 * h, true);

        Gemm.Packed<T>[] packed = [.. Enumerable.Range(0, 3).Select(g => Pack(recurrent, g, h))];
        using var scratch = new Rows.Scratch<T>(batch * 6 * h);
        T* sums = scratch.Data, state = sums + batch * 3 * h, next = state + batch * h, reset = next + batch * h;
        if (context.OptionalInput(5) is { } h0) Simd.Copy(h0.Data<T>() + d * batch * h, state, batch * h);
        RecurrentActivation f = layer.Function(d, 0), g = layer.Function(d, 1);
        long tiles = packed[0].Tiles, width = Gemm.Packed<T>.Width;
        for (long step = 0; step < sequences.Steps; step++)
        {
            long now = step;
            T* from = state, to = next;
            context.ForEachPart(tiles, batch * h, (first, last) =>
            {
                for (int gate = 0; gate < (linear ? 3 : 2); gate++) packed[gate].Multiply(batch, new(from, h), first, last, sums + gate * h, 3 * h, false);
                long j = first * width, n = Math.Min(h, last * width) - j;
                for (long row = 0; row < batch; row++)
                {
                    if (!sequences.Has(now, row)) continue;
                    T* z = sums + row * 3 * h + j, given = xw + sequences.Row(now, row) * 3 * h + j;
                    for (int gate = 0; gate < 2; gate++)
                    {
                        Simd.Add(given + gate * h, z + gate * h, n);
                        Rows.Clip(z + gate * h, layer.Clip, n);
                        f.Apply(z + gate * h, n);
                    }
                    if (!linear) Rows.Product(z + h, from + row * h + j, reset + row * h + j, n);
                    else if (bias != null) Simd.Add(bias + 5 * h + j, z + 2 * h, n);
                    if (linear) Candidate(row, z, given, j, n);
                }
            });
            if (!linear)
            {
                context.ForEachPart(tiles, batch * h, (first, last) =>
                {
                    packed[2].Multiply(batch, new(reset, h), first, last, sums + 2 * h, 3 * h, false);
                    long j = first * width, n = Math.Min(h, last * width) - j;
                    for (long row = 0; row < batch; row++)
                        if (sequences.Has(now, row)) Candidate(row, sums + row * 3 * h + j, xw + sequences.Row(now, row) * 3 * h + j, j, n);
                });
            }
            for (long row = 0; row < batch; row++)
            {
                if (sequences.Has(now, row)) continue;
                Simd.Copy(from + row * h, to + row * h, h);
                long at = (now * directions + d) * batch + row;
                if (all != null) Simd.Clear(all + at * h, h);
                if (gates != null) Simd.Clear(gates + at * 3 * h, 3 * h);
            }
            state = to;
            next = from;

            // n = tanh(…) and the new state, for units j to j + count
            void Candidate(long row, T* z, T* given, long j, long count)
            {
                T* n = z + 2 * h, s = to + row * h + j;
                if (linear) Rows.Product(z + h, n, n, count);
                Simd.Add(given + 2 * h, n, count);
                Rows.Clip(n, layer.Clip, count);
                g.Apply(n, count);
                Rows.Mix(z, from + row * h + j, n, s, count);
                long at = (sequences.Time(now, row) * directions + d) * batch + row;
                if (all != null) Simd.Copy(s, all + at * h + j, count);
                for (int gate = 0; gate < 3 && gates != null; gate++) Simd.Copy(z + gate * h, gates + at * 3 * h + gate * h + j, count);
            }
        }
        if (final != null) Simd.Copy(state, final + d * batch * h, batch * h);
        foreach (Gemm.Packed<T> matrix in packed) matrix.Dispose();
    }

    /// <summary>Rᵀ of one gate.</summary>
    private static Gemm.Packed<T> Pack<T>(T* r, int gate, long h) where T : unmanaged, System.Numerics.IFloatingPointIeee754<T> =>
        new(new Gemm.Operand<T>(r + gate * h * h, h).Transposed, h, h);
}
