using System.Numerics;

namespace Lift.Ort.Operators.Attentions;

internal sealed unsafe partial class Attention
{
    protected override void Run<T>(CpuContext context)
    {
        CpuTensor q = context.Input(0), k = context.Input(1), v = context.Input(2);
        var g = new AttentionGeometry(form, q.Dims, k.Dims, v.Dims);
        long rows = g.Q.Rows, columns = g.K.Rows, width = g.V.Columns;
        T* pq = q.Data<T>(), pk = k.Data<T>(), pv = v.Data<T>(), y = context.Output<T>(0, g.YDims), lse = context.Output<T>(1, [.. g.Q.Leads, rows]);
        context.ForEachPart(g.Count, Math.Max(1, rows * (columns + 1) * (g.Q.Columns + width) / 16), (from, to) =>
        {
            using var scores = new AttentionScores<T>(form, g, context.OptionalInput(3), context.OptionalInput(4), context.OptionalInput(5), 1);
            using var values = new ContiguousRows<T>(columns, width, g.V.ColumnStride);
            using var sums = new ContiguousRows<T>(AttentionScores<T>.Rows, width, g.Y.ColumnStride);
            long step = values.Stride(g.V.RowStride), stride = sums.Stride(g.Y.RowStride);
            T[] totals = new T[AttentionScores<T>.Rows];
            for (long n = from; n < to; n++)
            {
                if (n == from || g.KAt[n] != g.KAt[n - 1]) scores.TakeKeys(pk, n);
                T* right = values.Read(pv + g.VAt[n], g.V.RowStride, columns);
                for (long first = 0; first < rows; first += AttentionScores<T>.Rows)
                {
                    int count = (int)Math.Min(AttentionScores<T>.Rows, rows - first);
                    scores.Compute(pq, n, first, count, null);
                    T* at = y + g.YAt[n] + first * g.Y.RowStride;
                    T* result = sums.IsNeeded ? sums.Memory : at;
                    for (int i = 0; i < count; i++)
                    {
                        var (max, sum) = scores.Exponentials(i);
                        totals[i] = sum;
                        if (lse != null) lse[n * rows + first + i] = max + (T.IsPositiveInfinity(max) ? T.Zero : T.Log(sum));
                    }
                    for (int i = 0; i < count; i++) Simd.Clear(result + i * stride, width);
                    foreach (var (begin, end) in scores.Ranges)
                        DirectProduct.Multiply(count, width, end - begin, scores.Scores + begin, scores.Stride, 1, right + begin * step, step, result, stride, true);
                    for (int i = 0; i < count; i++)
                        if (totals[i] != T.Zero) Simd.Scale(T.One / totals[i], result + i * stride, width);
                    if (sums.IsNeeded) sums.Write(at, g.Y.RowStride, count);
                }
            }
        });
    }
}
