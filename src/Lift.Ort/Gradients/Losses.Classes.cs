using Lift.Ort.Onnx;

namespace Lift.Ort.Gradients;

/// <summary>Losses over classes.</summary>
public static partial class Losses
{
    /// <summary>Mean cross-entropy of scores[:, t] against labels[:, t + 1]; the shift moves the labels, so that no copy of the scores is made.</summary>
    private static Var CausalLanguageModel(LossGraph l)
    {
        if (l.Scores.Rank is not 3) throw l.Refuse("[batch, sequence, vocabulary]");
        Graph g = l.Graph;
        Var padded = g.Add("Pad", [l.Labels, g.Longs(0, 0, 0, 1), g.Scalar(Ignore, ElementType.Int64)]);
        return CrossEntropy(l, padded.Slice(1, long.MaxValue, 1));
    }

    private static Var CrossEntropy(LossGraph l)
    {
        if (l.Scores.Rank is null or < 2) throw l.Refuse("[batch, …, classes]");
        return CrossEntropy(l, l.Labels);
    }

    /// <summary>Mean cross-entropy over all labels other than −100. Scores that end in a Softmax over the classes are taken before it.</summary>
    private static Var CrossEntropy(LossGraph l, Var labels)
    {
        Graph g = l.Graph;
        Var rows = Rows(l, BeforeSoftmax(l)), flat = labels.Reshape(-1);
        if (l.Options is { LabelSmoothing: 0, ClassWeights.Count: 0 })
        {
            return g.AddMany("SoftmaxCrossEntropyLoss", 2, [rows, flat], n => n.With("reduction", "mean").With("ignore_index", Ignore), output: "lift.cross_entropy")[0];
        }
        return WeightedCrossEntropy(l, rows, flat);
    }

    /// <summary>
    /// −Σ w[y] ((1 − ε) ln p[y] + ε/C Σ_c w[c]/w[y] ln p[c]) / Σ w[y] over the labels y that count, as PyTorch defines smoothing and weights together.
    /// </summary>
    private static Var WeightedCrossEntropy(LossGraph l, Var rows, Var labels)
    {
        Graph g = l.Graph;
        double smoothing = l.Options.LabelSmoothing;
        if (l.Options.ClassWeights.Count > 0 && rows.Shape?[-1].Value is { } classes && classes != l.Options.ClassWeights.Count)
            throw new LiftException($"--class-weights has {l.Options.ClassWeights.Count} numbers, but '{l.Scores.Name}' {l.Scores.Type} has {classes} classes; give one for each.");

        Var p = g.Add("LogSoftmax", [rows], n => n.With("axis", -1L)); // [N, C]
        Var counted = labels.EqualTo(g.Scalar(Ignore, ElementType.Int64)).Not().Cast(ElementType.Float); // [N]
        Var safe = g.Add("Max", [labels, g.Scalar(0, ElementType.Int64)]);
        Var? weights = l.Options.ClassWeights.Count > 0 ? Floats(g, l.Options.ClassWeights) : null;
        Var share = weights is null ? counted : counted * weights.Gather(safe);
        Var picked = g.Add("GatherElements", [p, safe.Unsqueeze(1)], n => n.With("axis", 1L)).Squeeze(1);
        Var total = -SumOfAll(share * picked);
        if (smoothing > 0)
        {
            Var all = weights is null ? p : p * weights;
            Var even = SumOfAll(counted * all.ReduceSum([1], keepDims: false));
            Var perClass = rows.Shape?[-1].Value is { } c ? even * (smoothing / c) : even * smoothing / rows.ShapeOf().Slice(1, 2, 0).Squeeze(0).Cast(ElementType.Float);
            total = total * (1 - smoothing) - perClass;
        }
        return Ratio(total, SumOfAll(share));
    }

    /// <summary>−Σ_c y[c] ln p[c], the mean over rows; the labels y are probabilities in the shape of the scores.</summary>
    private static Var SoftLabel(LossGraph l)
    {
        if (l.Scores.Rank is null or < 2) throw l.Refuse("[batch, …, classes]");
        Var p = l.Graph.Add("LogSoftmax", [Rows(l, BeforeSoftmax(l))], n => n.With("axis", -1L));
        return -MeanOfAll((Rows(l, l.Labels) * p).ReduceSum([1], keepDims: false));
    }

    private static Var BeforeSoftmax(LossGraph l)
    {
        int rank = l.Scores.Rank!.Value, axis = l.Form.AxisOf(rank, l.Options);
        return Before("Softmax", l.Scores, n => n.Int("axis", -1) is var a && (a < 0 ? a + rank : a) == axis);
    }

    /// <summary>[N, C]: the classes last, everything before them in one axis.</summary>
    private static Var Rows(LossGraph l, Var scores)
    {
        int rank = l.Scores.Rank!.Value, axis = l.Form.AxisOf(rank, l.Options);
        if (axis != rank - 1) scores = scores.Transpose([.. Enumerable.Range(0, rank).Where(i => i != axis).Select(i => (long)i), axis]);
        return scores.Shape?[-1].Value is { } classes
            ? scores.Reshape(-1, classes)
            : scores.Reshape(l.Graph.Concat(0, l.Graph.Longs(-1), scores.ShapeOf().Slice(-1, long.MaxValue, 0)));
    }
}
