namespace Lift.Ort.Operators.Recurrent;

internal sealed unsafe partial class LstmGrad
{
    protected override void Run<T>(CpuContext context)
    {
        CpuTensor x = context.Input(0), w = context.Input(1), r = context.Input(2);
        layer.Check(x, w, r, 4);
        long batch = x.Dims[1], h = layer.Hidden, d = layer.Directions;
        T* dx = context.Output<T>(0, x.Dims), dw = context.Output<T>(1, w.Dims), dr = context.Output<T>(2, r.Dims), db = context.Output<T>(3, d, 8 * h);
        T* dh0 = context.Output<T>(4, d, batch, h), dc0 = context.Output<T>(5, d, batch, h), dp = context.Output<T>(6, d, 3 * h);
        for (long direction = 0; direction < d; direction++) Direction(context, direction, dx, dw, dr, db, dh0, dc0, dp);
    }

    private void Direction<T>(CpuContext context, long d, T* dx, T* dw, T* dr, T* db, T* dh0, T* dc0, T* dp) where T : unmanaged, System.Numerics.IFloatingPointIeee754<T>
    {
        CpuTensor x = context.Input(0), w = context.Input(1), r = context.Input(2);
        Sequences sequences = layer.Along(x, context.OptionalInput(3), d);
        long batch = sequences.Batch, h = layer.Hidden, inputs = x.Dims[2], rows = sequences.Steps * batch, directions = layer.Directions;
        T* h0 = At(4), c0 = At(5), all = context.Input(6).Data<T>(), cells = context.Input(7).Data<T>(), gates = context.Input(8).Data<T>();
        T* dAll = context.OptionalInput(9) is { } a ? a.Data<T>() : null, peephole = context.OptionalInput(12) is { } p ? p.Data<T>() + d * 3 * h : null;
        T* weights = w.Data<T>() + d * 4 * h * inputs, recurrent = r.Data<T>() + d * 4 * h * h;
        T* At(int input) => context.OptionalInput(input) is { } t ? t.Data<T>() + d * batch * h : null;

        using var gradients = new Rows.Scratch<T>(rows * 4 * h); // of the gates before their functions, by time
        using var scratch = new Rows.Scratch<T>(batch * 9 * h);
        using var before = new Rows.Scratch<T>(rows * h); // the states that the steps began with, by time
        using var peepholes = new Rows.Scratch<T>(batch * 3 * h);
        T* dGates = gradients.Data, step0 = scratch.Data, dh = step0 + batch * 4 * h, next = dh + batch * h, dc = next + batch * h, zeros = dc + batch * h, temp = zeros + batch * h;
        if (context.OptionalInput(10) is { } dFinal) Simd.Copy(dFinal.Data<T>() + d * batch * h, dh, batch * h);
        if (context.OptionalInput(11) is { } dFinalCell) Simd.Copy(dFinalCell.Data<T>() + d * batch * h, dc, batch * h);
        using var packed = new Gemm.Packed<T>(new(recurrent, h), 4 * h, h);
        RecurrentActivation f = layer.Function(d, 0), g = layer.Function(d, 1), hidden = layer.Function(d, 2);
        long tiles = packed.Tiles, width = Gemm.Packed<T>.Width;
        for (long step = sequences.Steps - 1; step >= 0; step--)
        {
            long now = step;
            T* gradient = dh, other = next;
            context.ForEachPart(tiles, 24 * batch * width, (first, last) => Gates(now, gradient, first * width, Math.Min(h, last * width) - first * width));
            // dhₜ₋₁ = dgates · R, and what passes by sequences that have no such step
            context.ForEachPart(tiles, batch * h, (first, last) =>
            {
                packed.Multiply(batch, new(step0, 4 * h), first, last, other, h, false);
                long j = first * width, n = Math.Min(h, last * width) - j;
                for (long b = 0; b < batch; b++)
                    if (!sequences.Has(now, b)) Simd.Copy(gradient + b * h + j, other + b * h + j, n);
            });
            T* old = dh;
            dh = next;
            next = old;
        }
        if (dh0 != null) Simd.Copy(dh, dh0 + d * batch * h, batch * h);
        if (dc0 != null) Simd.Copy(dc, dc0 + d * batch * h, batch * h);
        if (dx != null) Gemm.Multiply(context, rows, inputs, 4 * h, new(dGates, 4 * h), new(weights, inputs), dx, inputs, d > 0);
        if (dw != null) Gemm.Multiply(context, 4 * h, inputs, rows, new Gemm.Operand<T>(dGates, 4 * h).Transposed, new(x.Data<T>(), inputs), dw + d * 4 * h * inputs, inputs, false);
        if (dr != null) Gemm.Multiply(context, 4 * h, h, rows, new Gemm.Operand<T>(dGates, 4 * h).Transposed, new(before.Data, h), dr + d * 4 * h * h, h, false);
        if (db != null)
        {
            T* sums = db + d * 8 * h;
            Simd.Clear(sums, 4 * h);
            Rows.Sum(dGates, rows, 4 * h, sums, 4 * h);
            Simd.Copy(sums, sums + 4 * h, 4 * h);
        }
        if (dp != null)
        {
            Simd.Clear(dp + d * 3 * h, 3 * h);
            Rows.Sum(peepholes.Data, batch, 3 * h, dp + d * 3 * h, 3 * h);
        }

        // The gates' gradients of one step for units j to j + n.
        void Gates(long now, T* gradient, long j, long n)
        {
            for (long b = 0; b < batch; b++)
            {
                T* di = step0 + b * 4 * h + j, dOut = di + h, dForget = dOut + h, dCandidate = dForget + h, dCell = dc + b * h + j, t = temp + b * h + j;
                if (!sequences.Has(now, b))
                {
                    for (int gate = 0; gate < 4; gate++) Simd.Clear(di + gate * h, n);
                    continue;
                }
                long row = sequences.Row(now, b), at = (sequences.Time(now, b) * directions + d) * batch + b;
                long previous = now == 0 ? -1 : (sequences.Time(now - 1, b) * directions + d) * batch + b;
                T* i = gates + at * 4 * h + j, o = i + h, forget = o + h, c = forget + h, cell = cells + at * h + j;
                T* oldCell = previous >= 0 ? cells + previous * h + j : c0 != null ? c0 + b * h + j : zeros + b * h + j;
                T* oldState = previous >= 0 ? all + previous * h + j : h0 != null ? h0 + b * h + j : zeros + b * h + j;
                T* s = gradient + b * h + j;
                Simd.Copy(oldState, before.Data + row * h + j, n);
                if (dAll != null) Simd.Add(dAll + at * h + j, s, n);
                Simd.Copy(cell, t, n);
                hidden.Apply(t, n);                                   // t = tanh(cell)
                Rows.Product(s, t, dOut, n);
                f.Slope(o, dOut, n, layer.Clip);
                Rows.Product(s, o, di, n);                            // dh ⊙ o, for now
                hidden.Slope(t, di, n, 0);
                Simd.Add(di, dCell, n);
                if (peephole != null) Rows.AddProduct(peephole + h + j, dOut, dCell, n);
                Rows.Product(dCell, c, di, n);
                Rows.Product(dCell, oldCell, dForget, n);
                if (layer.InputForget)
                {
                    for (long k = 0; k < n; k++) (di[k], dForget[k]) = (di[k] - dForget[k], T.Zero); // f = 1 − i
                }
                f.Slope(i, di, n, layer.Clip);
                if (!layer.InputForget) f.Slope(forget, dForget, n, layer.Clip);
                Rows.Product(dCell, i, dCandidate, n);
                g.Slope(c, dCandidate, n, layer.Clip);
                Rows.Product(dCell, forget, dCell, n);
                if (peephole != null)
                {
                    Rows.AddProduct(peephole + j, di, dCell, n);
                    Rows.AddProduct(peephole + 2 * h + j, dForget, dCell, n);
                    T* sums = peepholes.Data + b * 3 * h + j;
                    Rows.AddProduct(di, oldCell, sums, n);
                    Rows.AddProduct(dOut, cell, sums + h, n);
                    Rows.AddProduct(dForget, oldCell, sums + 2 * h, n);
                }
                for (int gate = 0; gate < 4; gate++) Simd.Copy(di + gate * h, dGates + row * 4 * h + gate * h + j, n);
            }
        }
    }
}
