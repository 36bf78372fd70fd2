using System.Numerics;

namespace Lift.Ort.Operators.Attentions;

internal sealed unsafe partial class AttentionGrad
{
    protected override void Run<T>(CpuContext context)
    {
        CpuTensor dy = context.Input(0), q = context.Input(1), k = context.Input(2), v = context.Input(3), lse = context.Input(4);
        AttentionGeometry g = Fit(dy, q, k, v);
        T* dq = context.Output<T>(0, q.Dims), dk = context.Output<T>(1, k.Dims), dv = context.Output<T>(2, v.Dims);
        if (dk != null) Simd.Clear(dk, k.Count);
        if (dv != null) Simd.Clear(dv, v.Count);
        context.ForEachPart(g.Groups.Length, Math.Max(1, g.Groups.Select(n => n.Length).FirstOrDefault() * g.Q.Rows * (g.K.Rows + 1) * (g.Q.Columns + g.V.Columns) / 8), (from, to) =>
        {
            using var pass = new Pass<T>(form, g, context) { Dy = dy.Data<T>(), Q = q.Data<T>(), K = k.Data<T>(), V = v.Data<T>(), Lse = lse.Data<T>(), Dq = dq, Dk = dk, Dv = dv };
            for (long group = from; group < to; group++) pass.Run(g.Groups[group]);
        });
    }

    private AttentionGeometry Fit(CpuTensor dy, CpuTensor q, CpuTensor k, CpuTensor v)
    {
        var g = new AttentionGeometry(form, q.Dims, k.Dims, v.Dims);
        return dy.Dims.AsSpan().SequenceEqual(g.YDims) ? g : throw new ArgumentException($"dY [{string.Join(", ", dy.Dims)}] is not y's [{string.Join(", ", g.YDims)}]");
    }

    /// <summary>One thread's work: groups of matrices that share k and v, one after the other.</summary>
    private sealed class Pass<T>(AttentionForm form, AttentionGeometry g, CpuContext context) : IDisposable where T : unmanaged, IFloatingPointIeee754<T>
    {
        private const int Rows = AttentionScores<T>.Rows;

        private readonly AttentionScores<T> scores = new(form, g, context.OptionalInput(5), context.OptionalInput(6), context.OptionalInput(7), form.Softcap > 0 ? 3 : 2);
        private readonly T* values = AttentionScores<T>.Allocate(g.V.Columns * AttentionScores<T>.Padded(g.K.Rows)); // vᵀ
        private readonly ContiguousRows<T> keys = new(g.K.Rows, g.K.Columns, g.K.ColumnStride), dKeys = new(g.K.Rows, g.K.Columns, g.K.ColumnStride),
            dValues = new(g.V.Rows, g.V.Columns, g.V.ColumnStride), queries = new(Rows, g.Q.Columns, g.Q.ColumnStride), dQueries = new(Rows, g.Q.Columns, g.Q.ColumnStride),
            dResults = new(Rows, g.Y.Columns, g.Y.ColumnStride);

        public T* Dy { get; init; }

        public T* Q { get; init; }

        public T* K { get; init; }

        public T* V { get; init; }

        public T* Lse { get; init; }

        public T* Dq { get; init; }

        public T* Dk { get; init; }

        public T* Dv { get; init; }

        public void Run(int[] group)
        {
            T* right = null, sumK = null, sumV = null;
            for (int at = 0; at < group.Length; at++)
            {
                int n = group[at];
                bool sameK = at > 0 && g.KAt[n] == g.KAt[group[at - 1]], sameV = at > 0 && g.VAt[n] == g.VAt[group[at - 1]];
                if (!sameK)
                {
                    scores.TakeKeys(K, n);
                    right = keys.Read(K + g.KAt[n], g.K.RowStride, g.K.Rows);
                    if (Dk != null) sumK = dKeys.Read(Dk + g.KAt[n], g.K.RowStride, g.K.Rows);
                }
                if (!sameV)
                {
                    Transposition.Copy(V + g.VAt[n], g.V.Rows, g.V.Columns, g.V.RowStride, g.V.ColumnStride, values, scores.Stride);
                    if (Dv != null) sumV = dValues.Read(Dv + g.VAt[n], g.V.RowStride, g.V.Rows);
                }
                for (long first = 0; first < g.Q.Rows; first += Rows) Block(n, first, (int)Math.Min(Rows, g.Q.Rows - first), right, sumK, sumV);
                bool last = at + 1 == group.Length;
                if (Dk != null && dKeys.IsNeeded && (last || g.KAt[group[at + 1]] != g.KAt[n])) dKeys.Write(Dk + g.KAt[n], g.K.RowStride, g.K.Rows);
                if (Dv != null && dValues.IsNeeded && (last || g.VAt[group[at + 1]] != g.VAt[n])) dValues.Write(Dv + g.VAt[n], g.V.RowStride, g.V.Rows);
            }
        }

        private void Block(int n, long first, int count, T* right, T* sumK, T* sumV)
        {
            long stride = scores.Stride, line = 64 / sizeof(T);
            T* p = scores.Scores, ds = p + Rows * stride, tanh = form.Softcap > 0 ? ds + Rows * stride : null;
            T* dy = dResults.Read(Dy + g.YAt[n] + first * g.Y.RowStride, g.Y.RowStride, count);
            long dyStep = dResults.Stride(g.Y.RowStride);
            scores.Compute(Q, n, first, count, tanh);
            foreach (var (from, to) in scores.Ranges)
                DirectProduct.Multiply(count, Math.Min(stride, (to + line - 1) / line * line) - from, g.Y.Columns, dy, dyStep, 1, values + from, stride, ds + from, stride, false);
            for (int i = 0; i < count; i++)
            {
                T lse = Lse[n * g.Q.Rows + first + i], dot = T.Zero;
                scores.Probabilities(i, lse);
                foreach (var (from, to) in scores.Ranges) dot += Simd.Dot(p + i * stride + from, ds + i * stride + from, to - from);
                foreach (var (from, to) in scores.Ranges)
                {
                    long at = i * stride + from;
                    Simd.Map(new Slope(double.CreateChecked(dot), form.Scale), p + at, ds + at, ds + at, to - from);
                    if (tanh != null) Simd.Map(default(CapSlope), ds + at, tanh + at, ds + at, to - from);
                }
                scores.ClearMasked(i, n, first + i, ds, lse);
            }
            if (Dq != null)
            {
                T* at = Dq + g.QAt[n] + first * g.Q.RowStride, to = dQueries.IsNeeded ? dQueries.Memory : at;
                long step = dQueries.Stride(g.Q.RowStride);
                for (int i = 0; i < count; i++) Simd.Clear(to + i * step, g.Q.Columns);
                foreach (var (begin, end) in scores.Ranges)
                    DirectProduct.Multiply(count, g.Q.Columns, end - begin, ds + begin, stride, 1, right + begin * keys.Stride(g.K.RowStride), keys.Stride(g.K.RowStride), to, step, true);
                if (dQueries.IsNeeded) dQueries.Write(at, g.Q.RowStride, count);
            }
            T* rows = Dk == null ? null : queries.Read(Q + g.QAt[n] + first * g.Q.RowStride, g.Q.RowStride, count);
            long stepK = dKeys.Stride(g.K.RowStride), stepV = dValues.Stride(g.V.RowStride);
            foreach (var (begin, end) in scores.Ranges)
            {
                if (Dv != null) DirectProduct.Multiply(end - begin, g.V.Columns, count, p + begin, 1, stride, dy, dyStep, sumV + begin * stepV, stepV, true);
                if (Dk != null) DirectProduct.Multiply(end - begin, g.K.Columns, count, ds + begin, 1, stride, rows, queries.Stride(g.Q.RowStride), sumK + begin * stepK, stepK, true);
            }
        }

        public void Dispose()
        {
            scores.Dispose();
            System.Runtime.InteropServices.NativeMemory.AlignedFree(values);
            foreach (ContiguousRows<T> rows in new[] { keys, dKeys, dValues, queries, dQueries, dResults }) rows.Dispose();
        }
    }

    /// <summary>p · (dp − Σ p dp) · scale</summary>
    private readonly struct Slope(double dot, float scale) : IVectorFunction
    {
        public Vector<T> Of<T>(Vector<T> p, Vector<T> dp) where T : unmanaged, IFloatingPointIeee754<T> =>
            p * (dp - new Vector<T>(T.CreateTruncating(dot))) * new Vector<T>(T.CreateTruncating(scale));
    }

    /// <summary>ds · (1 − tanh²)</summary>
    private readonly struct CapSlope : IVectorFunction
    {
        public Vector<T> Of<T>(Vector<T> ds, Vector<T> t) where T : unmanaged, IFloatingPointIeee754<T> => ds * (Vector<T>.One - t * t);
    }
}
