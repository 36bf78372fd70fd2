using Lift.Ort.Onnx;

namespace Lift.Ort.Gradients;

/// <summary>Losses over numbers; labels have the shape of the scores.</summary>
public static partial class Losses
{
    /// <summary>Mean of (score − label)² over all elements.</summary>
    private static Var MeanSquaredError(LossGraph l)
    {
        Var d = l.Scores - l.Labels;
        return MeanOfAll(d * d);
    }

    /// <summary>Mean of |score − label| over all elements.</summary>
    private static Var MeanAbsoluteError(LossGraph l) => MeanOfAll(Distance(l));

    /// <summary>Mean of q (|d| − q/2) with q = min(|d|, δ): d²/2 up to δ, δ (|d| − δ/2) beyond.</summary>
    private static Var Huber(LossGraph l)
    {
        Var d = Distance(l), q = l.Graph.Add("Min", [d, d.Like(l.Options.Delta)]);
        return MeanOfAll(q * (d - q * 0.5));
    }

    /// <summary>Huber's loss divided by δ: d²/(2δ) up to δ, |d| − δ/2 beyond.</summary>
    private static Var SmoothL1(LossGraph l) => Huber(l) / l.Options.Delta;

    /// <summary>
    /// Mean of (1 − y) z + (1 + (w − 1) y) softplus(−z) over the labels y other than −100; w weighs positive labels, z is the score before a final Sigmoid, or
    /// the score itself where there is none.
    /// </summary>
    private static Var BinaryCrossEntropy(LossGraph l)
    {
        Graph g = l.Graph;
        IReadOnlyList<double> weights = l.Options.PositiveWeights;
        if (weights.Count > 1 && l.Scores.Shape is { Rank: > 0 } s && s[-1].Value is { } last && last != weights.Count)
            throw new LiftException($"--positive-weights has {weights.Count} numbers, but '{l.Scores.Name}' {l.Scores.Type} has {last} entries on its last axis; give one number, or one for each.");

        Var z = Before("Sigmoid", l.Scores), ignored = l.Labels.EqualTo(l.Labels.Like(Ignore)), counted = ignored.Not().Cast(ElementType.Float);
        Var y = ignored.Where(l.Labels.Like(0), l.Labels), softplus = g.Add("Softplus", [-z]);
        Var? more = weights.Count switch
        {
            0 => null,
            1 => y.Like(weights[0] - 1),
            _ => Floats(g, weights.Select(w => w - 1)),
        };
        Var loss = (1 - y) * z + (more is null ? softplus : (y * more + 1) * softplus);
        return Ratio(SumOfAll(counted * loss), SumOfAll(counted));
    }

    /// <summary>Mean of max(0, margin − y · score); y is 1 for labels above 0 and −1 for all others.</summary>
    private static Var Hinge(LossGraph l)
    {
        Var y = l.Graph.Add("Greater", [l.Labels, l.Labels.Like(0)]).Where(l.Labels.Like(1), l.Labels.Like(-1));
        return MeanOfAll(l.Graph.Add("Relu", [l.Options.Margin - y * l.Scores]));
    }

    private static Var Distance(LossGraph l) => l.Graph.Add("Abs", [l.Scores - l.Labels]);
}
