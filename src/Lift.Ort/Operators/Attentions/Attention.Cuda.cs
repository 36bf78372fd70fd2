using Lift.Ort.Onnx;

namespace Lift.Ort.Operators.Attentions;

internal sealed partial class Attention : ICudaKernel
{
    public void Run(CudaContext context)
    {
        CpuTensor q = context.Input(0), k = context.Input(1), v = context.Input(2);
        var g = new AttentionGeometry(form, q.Dims, k.Dims, v.Dims);
        nint y = context.Output(0, g.YDims), lse = context.Output(1, [.. g.Q.Leads, g.Q.Rows]);
        if (g.Count * g.Q.Rows == 0 || FlashAttention.Of(context, form, g, q, k, v, 3)?.Forward(y, lse) == true) return;
        bool narrow = q.Type != ElementType.Float;
        var run = new CudaAttention(context, form, g, q.Type, 3, narrow ? 6 : 4);
        nint[] scratch = context.Parts(run.TableBytes, run.PackedBytes, run.Piece * sizeof(float), narrow ? run.Piece * run.Size : 0, run.Most * run.Rows * g.V.Columns * sizeof(float));
        run.Prepare(scratch[0], scratch[1]);
        run.Pack(q.Address, g.Q, g.QAt);
        run.Pack(k.Address, g.K, g.KAt);
        run.Pack(v.Address, g.V, g.VAt);
        nint scores = scratch[2], probabilities = narrow ? scratch[3] : scores, result = scratch[4];
        long columns = g.K.Rows, width = g.V.Columns;
        foreach (AttentionRun part in run.Runs)
        {
            for (long first = 0; first < g.Q.Rows; first += run.Rows)
            {
                long rows = Math.Min(run.Rows, g.Q.Rows - first), next = rows * columns;
                CudaOperand keys = run.Operand(k.Address, g.K, g.KAt, part, 0);
                context.Multiply(rows, columns, g.Q.Columns, run.Operand(q.Address, g.Q, g.QAt, part, first), keys with { Transposed = !keys.Transposed }, new(scores, ElementType.Float, columns, next), part.Count);
                run.Launch("AttentionSoftmax", part, first, rows, scores, probabilities, lse);
                context.Multiply(rows, width, columns, new(probabilities, q.Type, columns, next), run.Operand(v.Address, g.V, g.VAt, part, 0), new(result, ElementType.Float, width, rows * width), part.Count);
                run.Place(result, y, g.Y, g.YAt, part, first, rows);
            }
        }
    }
}
