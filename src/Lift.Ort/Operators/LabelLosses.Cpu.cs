using System.Numerics;

namespace Lift.Ort.Operators;

/// <summary>Rows along the last axis of scores.</summary>
internal static unsafe class ScoreRows
{
    public static (long Rows, long Classes) Of(CpuTensor scores) => scores.Dims is [.., var classes] && classes > 0
        ? (scores.Count / classes, classes)
        : throw new ArgumentException($"scores of [{string.Join(", ", scores.Dims)}] have no classes");

    /// <summary>ln Σ eˣ of a row.</summary>
    public static T Norm<T>(T* x, long n) where T : unmanaged, IFloatingPointIeee754<T>
    {
        T max = Simd.Max(x, n), sum = T.Zero;
        for (long i = 0; i < n; i++) sum += T.Exp(x[i] - max);
        return max + T.Log(sum);
    }

    /// <summary>Σ of the labels' weights, or their number where there are none.</summary>
    public static double Total<T>(CpuTensor? weight, long rows) where T : unmanaged, IFloatingPointIeee754<T>
    {
        if (weight is not { } w) return rows;
        double total = 0;
        for (long i = 0; i < w.Count; i++) total += double.CreateChecked(w.Data<T>()[i]);
        return total;
    }

    public static long Label(CpuTensor labels, long row, long classes) => (ulong)labels.Integer(row) < (ulong)classes ? labels.Integer(row)
        : throw new ArgumentException($"label {labels.Integer(row)} at position {row} is not in 0 … {classes - 1}");
}

internal sealed unsafe partial class SoftmaxCrossEntropy
{
    protected override void Run<T>(CpuContext context)
    {
        CpuTensor scores = context.Input(0), labels = context.Input(1);
        var (rows, classes) = ScoreRows.Of(scores);
        T* x = scores.Data<T>(), label = labels.Data<T>(), log = context.Output<T>(1, scores.Dims);
        double loss = 0;
        for (long r = 0; r < rows; r++)
        {
            T norm = ScoreRows.Norm(x + r * classes, classes);
            for (long i = r * classes; i < (r + 1) * classes; i++)
            {
                loss -= double.CreateChecked(label[i] * (x[i] - norm));
                if (log != null) log[i] = x[i] - norm;
            }
        }
        *context.Output<T>(0) = T.CreateChecked(mean ? loss / rows : loss);
    }
}

internal sealed unsafe partial class SoftmaxCrossEntropyGrad
{
    protected override void Run<T>(CpuContext context)
    {
        CpuTensor log = context.Input(1);
        T scale = *context.Input(0).Data<T>() / T.CreateChecked(mean ? ScoreRows.Of(log).Rows : 1);
        T* l = log.Data<T>(), label = context.Input(2).Data<T>(), dx = context.Output<T>(0, log.Dims);
        for (long i = 0; i < log.Count; i++) dx[i] = (T.Exp(l[i]) - label[i]) * scale;
    }
}

internal sealed unsafe partial class SparseSoftmaxCrossEntropy
{
    protected override void Run<T>(CpuContext context)
    {
        CpuTensor scores = context.Input(0), labels = context.Input(1);
        var (rows, classes) = ScoreRows.Of(scores);
        T* x = scores.Data<T>(), log = context.Output<T>(1, scores.Dims), weight = context.OptionalInput(2) is { } w ? w.Data<T>() : null;
        double loss = 0;
        for (long r = 0; r < rows; r++)
        {
            T norm = ScoreRows.Norm(x + r * classes, classes);
            loss += double.CreateChecked((norm - x[r * classes + ScoreRows.Label(labels, r, classes)]) * (weight == null ? T.One : weight[r]));
            for (long i = r * classes; log != null && i < (r + 1) * classes; i++) log[i] = x[i] - norm;
        }
        *context.Output<T>(0) = T.CreateChecked(mean ? loss / ScoreRows.Total<T>(context.OptionalInput(2), rows) : loss);
    }
}

internal sealed unsafe partial class SparseSoftmaxCrossEntropyGrad
{
    protected override void Run<T>(CpuContext context)
    {
        CpuTensor log = context.Input(1), labels = context.Input(2);
        var (rows, classes) = ScoreRows.Of(log);
        T* l = log.Data<T>(), dx = context.Output<T>(0, log.Dims), weight = context.OptionalInput(3) is { } w ? w.Data<T>() : null;
        T scale = *context.Input(0).Data<T>() / T.CreateChecked(mean ? ScoreRows.Total<T>(context.OptionalInput(3), rows) : 1);
        for (long r = 0; r < rows; r++)
        {
            T share = weight == null ? scale : scale * weight[r];
            for (long i = r * classes; i < (r + 1) * classes; i++) dx[i] = T.Exp(l[i]) * share;
            dx[r * classes + ScoreRows.Label(labels, r, classes)] -= share;
        }
    }
}

internal sealed unsafe partial class NegativeLogLikelihoodLossInternal
{
    protected override void Run<T>(CpuContext context)
    {
        CpuTensor logs = context.Input(0), target = context.Input(1);
        long ignored = context.OptionalInput(3) is { } index ? index.Integer(0) : long.MinValue;
        var labels = Labels<T>.Of(logs, target, context.OptionalInput(2), ignored, out Slices s);
        T* x = logs.Data<T>(), output = context.Output<T>(0, reduction == LossReduction.None ? target.Dims : []);
        double sum = 0;
        for (long i = 0; i < s.Count; i++)
        {
            long label = labels.Class(i);
            T loss = label < 0 ? T.Zero : -labels.Weight(label) * x[i / s.Inner * s.Length * s.Inner + i % s.Inner + label * s.Inner];
            if (reduction == LossReduction.None) output[i] = loss;
            sum += double.CreateChecked(loss);
        }
        if (reduction == LossReduction.None) return;
        double total = reduction == LossReduction.Mean ? double.CreateChecked(labels.TotalWeight()) : 1;
        *output = T.CreateChecked(total == 0 ? 0 : sum / total);
    }
}
