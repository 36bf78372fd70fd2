namespace Lift.Ort.Operators;

internal sealed unsafe partial class DivGrad
{
    protected override void Run<T>(CpuContext context)
    {
        CpuTensor dyTensor = context.Input(0), a = context.Input(1), b = context.Input(2);
        T* dy = dyTensor.Data<T>(), x = a.Data<T>(), c = b.Data<T>(), da = context.Output<T>(0, a.Dims), db = context.Output<T>(1, b.Dims);
        if (da != null) Simd.Clear(da, a.Count);
        if (db != null) Simd.Clear(db, b.Count);
        long[] dims = dyTensor.Dims, stepsA = Steps(a.Dims, dims), stepsB = Steps(b.Dims, dims), position = new long[dims.Length];
        for (long i = 0; i < dyTensor.Count; i++)
        {
            long ia = 0, ib = 0;
            for (int d = 0; d < dims.Length; d++) (ia, ib) = (ia + stepsA[d] * position[d], ib + stepsB[d] * position[d]);
            T share = dy[i] / c[ib];
            if (da != null) da[ia] += share;
            if (db != null) db[ib] -= share * x[ia] / c[ib];
            for (int d = dims.Length - 1; d >= 0 && ++position[d] == dims[d]; d--) position[d] = 0;
        }
    }

    /// <summary>How far an operand's element moves per step along each axis of the result: 0 where it is repeated.</summary>
    private static long[] Steps(long[] operand, long[] result)
    {
        var steps = new long[result.Length];
        long size = 1;
        for (int d = operand.Length - 1, r = result.Length - 1; d >= 0; d--, r--)
        {
            if (r < 0 || (operand[d] != 1 && operand[d] != result[r])) throw new ArgumentException($"[{string.Join(", ", operand)}] does not broadcast to [{string.Join(", ", result)}]");
            steps[r] = operand[d] == 1 ? 0 : size;
            size *= operand[d];
        }
        return steps;
    }
}

internal sealed unsafe partial class SinGrad
{
    protected override void Run<T>(CpuContext context)
    {
        CpuTensor dy = context.Input(0);
        T* g = dy.Data<T>(), x = context.Input(1).Data<T>(), dx = context.Output<T>(0, dy.Dims);
        context.ForEachPart(dy.Count, 8, (from, to) =>
        {
            for (long i = from; i < to; i++) dx[i] = g[i] * T.Cos(x[i]);
        });
    }
}

internal sealed unsafe partial class FakeQuant
{
    protected override void Run<T>(CpuContext context)
    {
        CpuTensor input = context.Input(0);
        T scale = *context.Input(1).Data<T>(), zero = *context.Input(2).Data<T>(), least = T.CreateChecked(low), most = T.CreateChecked(high);
        T* x = input.Data<T>(), y = context.Output<T>(0, input.Dims);
        bool* mask = context.Output<bool>(1, input.Dims);
        for (long i = 0; i < input.Count; i++)
        {
            T q = zero + T.Round(x[i] / scale, MidpointRounding.ToEven);
            mask[i] = q >= least && q <= most;
            y[i] = (T.Clamp(q, least, most) - zero) * scale;
        }
    }
}

internal sealed unsafe partial class FakeQuantGrad
{
    protected override void Run<T>(CpuContext context)
    {
        CpuTensor dy = context.Input(0);
        T* g = dy.Data<T>(), dx = context.Output<T>(0, dy.Dims);
        bool* mask = context.Input(1).Data<bool>();
        for (long i = 0; i < dy.Count; i++) dx[i] = mask[i] ? g[i] : T.Zero;
    }
}
