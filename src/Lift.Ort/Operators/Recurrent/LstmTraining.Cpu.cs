namespace Lift.Ort.Operators.Recurrent;

internal sealed unsafe partial class LstmTraining
{
    protected override void Run<T>(CpuContext context)
    {
        CpuTensor x = context.Input(0), w = context.Input(1), r = context.Input(2);
        layer.Check(x, w, r, 4);
        long steps = x.Dims[0], batch = x.Dims[1], h = layer.Hidden, d = layer.Directions;
        T* all = context.Output<T>(0, steps, d, batch, h), final = context.Output<T>(1, d, batch, h), finalCell = context.Output<T>(2, d, batch, h);
        T* cells = context.Output<T>(3, steps, d, batch, h), gates = context.Output<T>(4, steps, d, batch, 4 * h);
        for (long direction = 0; direction < d; direction++) Direction(context, direction, all, final, finalCell, cells, gates);
    }

    private void Direction<T>(CpuContext context, long d, T* all, T* final, T* finalCell, T* cells, T* gates) where T : unmanaged, System.Numerics.IFloatingPointIeee754<T>
    {
        CpuTensor x = context.Input(0), w = context.Input(1), r = context.Input(2);
        Sequences sequences = layer.Along(x, context.OptionalInput(4), d);
        long batch = sequences.Batch, h = layer.Hidden, inputs = x.Dims[2], rows = sequences.Steps * batch, directions = layer.Directions;
        T* bias = context.OptionalInput(3) is { } b ? b.Data<T>() + d * 8 * h : null, peephole = context.OptionalInput(7) is { } p ? p.Data<T>() + d * 3 * h : null;
        T* recurrent = r.Data<T>() + d * 4 * h * h;
        using var projected = new Rows.Scratch<T>(rows * 4 * h); // x Wᵀ + b, by time
        T* xw = projected.Data;
        for (long row = 0; row < rows && bias != null; row++)
        {
            Simd.Copy(bias, xw + row * 4 * h, 4 * h);
            Simd.Add(bias + 4 * h, xw + row * 4 * h, 4 * h);
        }
        Gemm.Multiply(context, rows, 4 * h, inputs, new(x.Data<T>(), inputs), new Gemm.Operand<T>(w.Data<T>() + d * 4 * h * inputs, inputs).Transposed, xw, 4 * h, true);

        Gemm.Packed<T>[] packed = [.. Enumerable.Range(0, 4).Select(g => Pack(recurrent, g, h))];
        using var scratch = new Rows.Scratch<T>(batch * 7 * h);
        T* sums = scratch.Data, state = sums + batch * 4 * h, next = state + batch * h, cell = next + batch * h;
        if (context.OptionalInput(5) is { } h0) Simd.Copy(h0.Data<T>() + d * batch * h, state, batch * h);
        if (context.OptionalInput(6) is { } c0) Simd.Copy(c0.Data<T>() + d * batch * h, cell, batch * h);
        RecurrentActivation f = layer.Function(d, 0), g = layer.Function(d, 1), hidden = layer.Function(d, 2);
        double clip = layer.Clip;
        for (long step = 0; step < sequences.Steps; step++)
        {
            long now = step;
            T* from = state, to = next;
            context.ForEachPart(packed[0].Tiles, batch * h, (first, last) =>
            {
                for (int gate = 0; gate < 4; gate++) packed[gate].Multiply(batch, new(from, h), first, last, sums + gate * h, 4 * h, false);
                long j = first * Gemm.Packed<T>.Width, n = Math.Min(h, last * Gemm.Packed<T>.Width) - j;
                for (long row = 0; row < batch; row++)
                {
                    T* i = sums + row * 4 * h + j, o = i + h, forget = o + h, c = forget + h, s = to + row * h + j, memory = cell + row * h + j;
                    if (!sequences.Has(now, row))
                    {
                        Simd.Copy(from + row * h + j, s, n);
                        Put(now * directions * batch + d * batch + row, null, null, null, 0);
                        continue;
                    }
                    T* given = xw + sequences.Row(now, row) * 4 * h + j;
                    for (int gate = 0; gate < 4; gate++) Simd.Add(given + gate * h, i + gate * h, n);
                    if (peephole != null)
                    {
                        Rows.AddProduct(peephole + j, memory, i, n);
                        Rows.AddProduct(peephole + 2 * h + j, memory, forget, n);
                    }
                    Activate(f, i);
                    if (layer.InputForget)
                        for (long k = 0; k < n; k++) forget[k] = T.One - i[k];
                    else Activate(f, forget);
                    Activate(g, c);
                    for (long k = 0; k < n; k++) memory[k] = forget[k] * memory[k] + i[k] * c[k];
                    if (peephole != null) Rows.AddProduct(peephole + h + j, memory, o, n);
                    Activate(f, o);
                    Simd.Copy(memory, s, n);
                    hidden.Apply(s, n);
                    for (long k = 0; k < n; k++) s[k] *= o[k];
                    Put(sequences.Time(now, row) * directions * batch + d * batch + row, s, memory, i, n);

                    void Activate(RecurrentActivation function, T* values)
                    {
                        Rows.Clip(values, clip, n);
                        function.Apply(values, n);
                    }
                }

                void Put(long at, T* s, T* memory, T* values, long count)
                {
                    Write(all, at * h + j, s);
                    Write(cells, at * h + j, memory);
                    for (int gate = 0; gate < 4; gate++) Write(gates, at * 4 * h + gate * h + j, values == null ? null : values + gate * h);
                }

                void Write(T* target, long at, T* values)
                {
                    if (target == null) return;
                    if (values == null) Simd.Clear(target + at, n);
                    else Simd.Copy(values, target + at, n);
                }
            });
            T* old = state;
            state = next;
            next = old;
        }
        if (final != null) Simd.Copy(state, final + d * batch * h, batch * h);
        if (finalCell != null) Simd.Copy(cell, finalCell + d * batch * h, batch * h);
        foreach (Gemm.Packed<T> matrix in packed) matrix.Dispose();
    }

    /// <summary>Rᵀ of one gate.</summary>
    private static Gemm.Packed<T> Pack<T>(T* r, int gate, long h) where T : unmanaged, System.Numerics.IFloatingPointIeee754<T> =>
        new(new Gemm.Operand<T>(r + gate * h * h, h).Transposed, h, h);
}
