namespace Lift.Ort.Operators.Recurrent;

internal sealed unsafe partial class GruGrad
{
    protected override void Run<T>(CpuContext context)
    {
        CpuTensor x = context.Input(0), w = context.Input(1), r = context.Input(2);
        layer.Check(x, w, r, 3);
        long batch = x.Dims[1], h = layer.Hidden, d = layer.Directions;
        T* dx = context.Output<T>(0, x.Dims), dw = context.Output<T>(1, w.Dims), dr = context.Output<T>(2, r.Dims), db = context.Output<T>(3, d, 6 * h), dh0 = context.Output<T>(4, d, batch, h);
        for (long direction = 0; direction < d; direction++) Direction(context, direction, dx, dw, dr, db, dh0);
    }

    private void Direction<T>(CpuContext context, long d, T* dx, T* dw, T* dr, T* db, T* dh0) where T : unmanaged, System.Numerics.IFloatingPointIeee754<T>
    {
        CpuTensor x = context.Input(0), w = context.Input(1), r = context.Input(2);
        Sequences sequences = layer.Along(x, context.OptionalInput(4), d);
        long batch = sequences.Batch, h = layer.Hidden, inputs = x.Dims[2], rows = sequences.Steps * batch, directions = layer.Directions;
        T* h0 = context.OptionalInput(5) is { } initial ? initial.Data<T>() + d * batch * h : null, all = context.Input(6).Data<T>(), gates = context.Input(7).Data<T>();
        T* dAll = context.OptionalInput(8) is { } a ? a.Data<T>() : null, bias = context.OptionalInput(3) is { } given ? given.Data<T>() + d * 6 * h : null;
        T* weights = w.Data<T>() + d * 3 * h * inputs, recurrent = r.Data<T>() + d * 3 * h * h;
        bool linear = layer.LinearBeforeReset;

        using var gradients = new Rows.Scratch<T>(rows * 3 * h);    // of z, r, n before their functions, by time
        using var before = new Rows.Scratch<T>(rows * h);           // hₜ₋₁, by time
        using var inner = new Rows.Scratch<T>(rows * h);            // what R's third part was multiplied with (r ⊙ hₜ₋₁), or with linear_before_reset its gradient (dn ⊙ r)
        using var linearPart = new Rows.Scratch<T>(linear ? rows * h : 0); // hₜ₋₁ Rᵀ + b′
        using var scratch = new Rows.Scratch<T>(batch * 6 * h);
        T* dGates = gradients.Data, dh = scratch.Data, next = dh + batch * h, step0 = next + batch * h, dReset = step0 + batch * 3 * h;
        Before();
        if (linear)
        {
            for (long row = 0; row < rows && bias != null; row++) Simd.Copy(bias + 5 * h, linearPart.Data + row * h, h);
            Gemm.Multiply(context, rows, h, h, new(before.Data, h), new Gemm.Operand<T>(recurrent + 2 * h * h, h).Transposed, linearPart.Data, h, true);
        }
        if (context.OptionalInput(9) is { } dFinal) Simd.Copy(dFinal.Data<T>() + d * batch * h, dh, batch * h);
        using var both = new Gemm.Packed<T>(new(recurrent, h), (linear ? 3 : 2) * h, h);
        using var third = new Gemm.Packed<T>(new(recurrent + 2 * h * h, h), h, h);
        RecurrentActivation f = layer.Function(d, 0), g = layer.Function(d, 1);
        long tiles = both.Tiles, width = Gemm.Packed<T>.Width;
        for (long step = sequences.Steps - 1; step >= 0; step--)
        {
            long now = step;
            T* gradient = dh, other = next;
            context.ForEachPart(tiles, 24 * batch * width, (first, last) => Gates(now, gradient, first * width, Math.Min(h, last * width) - first * width));
            if (!linear) context.ForEachPart(tiles, batch * h, (first, last) => Reset(now, first, last));
            context.ForEachPart(tiles, batch * h, (first, last) =>
            {
                both.Multiply(batch, new(step0, 3 * h), first, last, other, h, false);
                long j = first * width, n = Math.Min(h, last * width) - j;
                for (long b = 0; b < batch; b++)
                {
                    T* result = other + b * h + j, s = gradient + b * h + j;
                    if (!sequences.Has(now, b))
                    {
                        Simd.Copy(s, result, n);
                        continue;
                    }
                    T* z = gates + At(now, b) * 3 * h + j;
                    Rows.AddProduct(s, z, result, n);
                    if (!linear) Rows.AddProduct(dReset + b * h + j, z + h, result, n);
                }
            });
            dh = other;
            next = gradient;
        }
        if (dh0 != null) Simd.Copy(dh, dh0 + d * batch * h, batch * h);
        if (dx != null) Gemm.Multiply(context, rows, inputs, 3 * h, new(dGates, 3 * h), new(weights, inputs), dx, inputs, d > 0);
        if (dw != null) Gemm.Multiply(context, 3 * h, inputs, rows, new Gemm.Operand<T>(dGates, 3 * h).Transposed, new(x.Data<T>(), inputs), dw + d * 3 * h * inputs, inputs, false);
        if (dr != null)
        {
            T* to = dr + d * 3 * h * h;
            Gemm.Multiply(context, 2 * h, h, rows, new Gemm.Operand<T>(dGates, 3 * h).Transposed, new(before.Data, h), to, h, false);
            if (linear) Gemm.Multiply(context, h, h, rows, new Gemm.Operand<T>(inner.Data, h).Transposed, new(before.Data, h), to + 2 * h * h, h, false);
            else Gemm.Multiply(context, h, h, rows, new Gemm.Operand<T>(dGates + 2 * h, 3 * h).Transposed, new(inner.Data, h), to + 2 * h * h, h, false);
        }
        if (db != null)
        {
            T* sums = db + d * 6 * h;
            Simd.Clear(sums, 6 * h);
            Rows.Sum(dGates, rows, 3 * h, sums, 3 * h);
            Simd.Copy(sums, sums + 3 * h, linear ? 2 * h : 3 * h);
            if (linear) Rows.Sum(inner.Data, rows, h, sums + 5 * h, h);
        }

        long At(long now, long b) => (sequences.Time(now, b) * directions + d) * batch + b;

        // The states that the steps began with, and where R's third part saw r ⊙ hₜ₋₁, that.
        void Before()
        {
            for (long now = 0; now < sequences.Steps; now++)
            {
                for (long b = 0; b < batch; b++)
                {
                    if (!sequences.Has(now, b)) continue;
                    long row = sequences.Row(now, b);
                    if (now > 0) Simd.Copy(all + At(now - 1, b) * h, before.Data + row * h, h);
                    else if (h0 != null) Simd.Copy(h0 + b * h, before.Data + row * h, h);
                    if (!linear) Rows.Product(gates + At(now, b) * 3 * h + h, before.Data + row * h, inner.Data + row * h, h);
                }
            }
        }

        // dz and dn (with linear_before_reset dr too) of one step, for units j to j + n
        void Gates(long now, T* gradient, long j, long n)
        {
            for (long b = 0; b < batch; b++)
            {
                T* dz = step0 + b * 3 * h + j, dReset2 = dz + h, dn = dReset2 + h;
                if (!sequences.Has(now, b))
                {
                    for (int gate = 0; gate < 3; gate++) Simd.Clear(dz + gate * h, n);
                    continue;
                }
                long row = sequences.Row(now, b);
                T* z = gates + At(now, b) * 3 * h + j, reset = z + h, candidate = reset + h, s = gradient + b * h + j, to = dGates + row * 3 * h + j;
                if (dAll != null) Simd.Add(dAll + At(now, b) * h + j, s, n);
                Rows.TimesDifference(s, before.Data + row * h + j, candidate, dz, n);
                f.Slope(z, dz, n, layer.Clip);
                Rows.TimesRest(s, z, dn, n);
                g.Slope(candidate, dn, n, layer.Clip);
                Simd.Copy(dz, to, n);
                Simd.Copy(dn, to + 2 * h, n);
                if (!linear) continue;
                Rows.Product(dn, linearPart.Data + row * h + j, dReset2, n);
                f.Slope(reset, dReset2, n, layer.Clip);
                Simd.Copy(dReset2, to + h, n);
                Rows.Product(dn, reset, dn, n); // what reaches hₜ₋₁ Rᵀ + b′
                Simd.Copy(dn, inner.Data + row * h + j, n);
            }
        }

        // dr of one step where the reset comes first: the gradient of r ⊙ hₜ₋₁ is dn · R
        void Reset(long now, long first, long last)
        {
            third.Multiply(batch, new(step0 + 2 * h, 3 * h), first, last, dReset, h, false);
            long j = first * width, n = Math.Min(h, last * width) - j;
            for (long b = 0; b < batch; b++)
            {
                if (!sequences.Has(now, b)) continue;
                long row = sequences.Row(now, b);
                T* dr0 = step0 + b * 3 * h + h + j;
                Rows.Product(dReset + b * h + j, before.Data + row * h + j, dr0, n);
                f.Slope(gates + At(now, b) * 3 * h + h + j, dr0, n, layer.Clip);
                Simd.Copy(dr0, dGates + row * 3 * h + h + j, n);
            }
        }
    }
}
