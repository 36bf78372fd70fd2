using Lift.Ort.Onnx;

namespace Lift.Ort.Operators.Attentions;

internal sealed partial class AttentionGrad : ICudaKernel
{
    public void Run(CudaContext context)
    {
        CpuTensor dy = context.Input(0), q = context.Input(1), k = context.Input(2), v = context.Input(3);
        AttentionGeometry g = Fit(dy, q, k, v);
        nint dq = context.Output(0, q.Dims), dk = context.Output(1, k.Dims), dv = context.Output(2, v.Dims);
        if (context.Address(8) is var y and not 0 && FlashAttention.Of(context, form, g, q, k, v, 5)?.Backward(y, dy.Address, context.Address(4), dq, dk, dv) == true) return;
        bool narrow = q.Type != ElementType.Float;
        var run = new CudaAttention(context, form, g, q.Type, 5, narrow ? 12 : 8);
        long columns = g.K.Rows, depth = g.Q.Columns, width = g.V.Columns, keyBytes = run.KeyAt.Length * columns * depth * sizeof(float), valueBytes = run.ValueAt.Length * columns * width * sizeof(float);
        nint[] scratch = context.Parts(run.TableBytes, run.PackedBytes, run.Piece * sizeof(float), run.Piece * sizeof(float), narrow ? run.Piece * run.Size : 0, narrow ? run.Piece * run.Size : 0,
            run.Most * run.Rows * depth * sizeof(float), dk == 0 ? 0 : keyBytes, dv == 0 ? 0 : valueBytes);
        nint scores = scratch[2], slopes = scratch[3], p = narrow ? scratch[4] : scores, ds = narrow ? scratch[5] : slopes, dQueries = scratch[6], dKeys = scratch[7], dValues = scratch[8];
        run.Prepare(scratch[0], scratch[1]);
        run.Pack(dy.Address, g.Y, g.YAt);
        run.Pack(q.Address, g.Q, g.QAt);
        run.Pack(k.Address, g.K, g.KAt);
        run.Pack(v.Address, g.V, g.VAt);
        if (dk != 0) context.Fill(dKeys, 0, keyBytes);
        if (dv != 0) context.Fill(dValues, 0, valueBytes);
        foreach (AttentionRun part in run.Runs)
        {
            for (long first = 0; first < g.Q.Rows; first += run.Rows)
            {
                long rows = Math.Min(run.Rows, g.Q.Rows - first), next = rows * columns;
                CudaOperand queries = run.Operand(q.Address, g.Q, g.QAt, part, first), keys = run.Operand(k.Address, g.K, g.KAt, part, 0), values = run.Operand(v.Address, g.V, g.VAt, part, 0);
                CudaOperand dResults = run.Operand(dy.Address, g.Y, g.YAt, part, first), probabilities = new(p, q.Type, columns, next), dScores = new(ds, q.Type, columns, next);
                context.Multiply(rows, columns, depth, queries, keys with { Transposed = !keys.Transposed }, new(scores, ElementType.Float, columns, next), part.Count);
                context.Multiply(rows, columns, width, dResults, values with { Transposed = !values.Transposed }, new(slopes, ElementType.Float, columns, next), part.Count);
                run.Launch("AttentionSlopes", part, first, rows, scores, slopes, p, ds, context.Address(4));
                if (dv != 0) context.Multiply(columns, width, rows, probabilities with { Transposed = true }, dResults, Sum(dValues, run.ValueIndex, width), part.Count, add: true);
                if (dk != 0) context.Multiply(columns, depth, rows, dScores with { Transposed = true }, queries, Sum(dKeys, run.KeyIndex, depth), part.Count, add: true);
                if (dq == 0) continue;
                context.Multiply(rows, depth, columns, dScores, keys, new(dQueries, ElementType.Float, depth, rows * depth), part.Count);
                run.Place(dQueries, dq, g.Q, g.QAt, part, first, rows);
            }

            // The sums of this part's keys or values: one matrix of [columns, wide] for each place.
            CudaOperand Sum(nint sums, long[] index, long wide)
            {
                long from = index[run.Order[part.Order]] * columns * wide, next = part.Count > 1 ? (index[run.Order[part.Order + 1]] * columns * wide) - from : 0;
                return new(sums + (nint)(from * sizeof(float)), ElementType.Float, wide, next);
            }
        }
        if (dk != 0) run.PlaceAll(dKeys, dk, g.K, run.KeyAt);
        if (dv != 0) run.PlaceAll(dValues, dv, g.V, run.ValueAt);
    }
}
