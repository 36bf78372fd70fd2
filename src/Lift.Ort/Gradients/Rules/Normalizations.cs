using Lift.Ort.Onnx;

namespace Lift.Ort.Gradients.Rules;

/// <summary>Rules of softmax and of layer normalisation.</summary>
internal static class Normalizations
{
    /// <summary>y = softmax x ⇒ dx = SoftmaxGrad(dy, y) = y (dy − Σ dy y)</summary>
    [Gradient("Softmax")]
    public static Var?[] Softmax(Backward b) => [b.Graph.Add("SoftmaxGrad_13", [b.Dy, b.Y], n => n.With("axis", b.Node.Int("axis", -1)), "com.microsoft")];

    /// <summary>y = ln softmax x ⇒ dx = LogSoftmaxGrad(dy, y) = dy − eʸ Σ dy</summary>
    [Gradient("LogSoftmax")]
    public static Var?[] LogSoftmax(Backward b) => [b.Graph.Add("LogSoftmaxGrad_13", [b.Dy, b.Y], n => n.With("axis", b.Node.Int("axis", -1)), "com.microsoft")];

    /// <summary>y = x̂ s + t, x̂ = (x − μ)/σ over the last axes ⇒ LayerNormalizationGrad(dy, x, s, μ, 1/σ)</summary>
    [Gradient("LayerNormalization")]
    public static Var?[] LayerNormalization(Backward b)
    {
        Var x = b.X(), scale = b.X(1);
        int rank = b.RankOf(x), axis = b.Axis(rank, -1);
        if (axis == rank - 1 && IsRow(scale, x) && (!b.HasX(2) || IsRow(b.X(2), x)))
        {
            Var[] d = b.Graph.AddMany("LayerNormalizationGrad", 3, [b.Dy, x, scale, Statistics(b, 1), Statistics(b, 2)], n => n.With("axis", -1L), "com.microsoft");
            return [ThroughStatistics(b, b.Like(d[0], x), [axis], 1, 2), b.Like(d[1], scale), b.HasX(2) ? b.Like(d[2], b.X(2)) : null];
        }
        long[] inner = [.. Enumerable.Range(axis, rank - axis)];
        Var inverse = b.Out(2).Cast(x.Element), normalised = (x - b.Out(1).Cast(x.Element)) * inverse, ds = b.Dy * scale;
        Var dx = inverse * (ds - ds.ReduceMean(inner) - normalised * (ds * normalised).ReduceMean(inner));
        return [ThroughStatistics(b, dx, inner, 1, 2), Broadcasting.SumTo(b.Dy * normalised, scale), b.HasX(2) ? Broadcasting.SumTo(b.Dy, b.X(2)) : null];
    }

    /// <summary>y = x r s, r = 1/√(mean x² + ε) over the last axes ⇒ SimplifiedLayerNormalizationGrad(dy, x, s, r)</summary>
    [Gradient("SimplifiedLayerNormalization")]
    public static Var?[] SimplifiedLayerNormalization(Backward b)
    {
        int rank = b.RankOf(b.X()), axis = b.Axis(rank, -1);
        if (axis != rank - 1 || !IsRow(b.X(1), b.X()))
        {
            Var x = b.X(), inverse = b.Out(1).Cast(x.Element), normalised = x * inverse, ds = b.Dy * b.X(1);
            long[] inner = [.. Enumerable.Range(axis, rank - axis)];
            return [ThroughStatistics(b, inverse * (ds - normalised * (ds * normalised).ReduceMean(inner)), inner, -1, 1), Broadcasting.SumTo(b.Dy * normalised, b.X(1))];
        }
        Var[] d = b.Graph.AddMany("SimplifiedLayerNormalizationGrad", 2, [b.Dy, b.X(), b.X(1), Statistics(b, 1)], n => n.With("axis", -1L), "com.microsoft");
        return [ThroughStatistics(b, b.Like(d[0], b.X()), [axis], -1, 1), b.Like(d[1], b.X(1))];
    }

    /// <summary>Mean or 1/σ as the operators of the backward pass want them: float32 beside 16 bits, too; float64 beside float64, of which the forward pass makes float32.</summary>
    private static Var Statistics(Backward b, int output) => b.Out(output).Cast(b.X().Element == ElementType.Double ? ElementType.Double : ElementType.Float);

    /// <summary>dx, and what comes through the outputs that say μ and r = 1/σ over n elements: dμ / n − dr · r³ (x − μ) / n</summary>
    private static Var ThroughStatistics(Backward b, Var dx, long[] axes, int mean, int inverse)
    {
        Var x = b.X();
        if (b.DyOf(inverse) is null && (mean < 0 || b.DyOf(mean) is null)) return dx;
        Var count = b.Graph.Add("ReduceProd", [b.Dims(x).Gather(b.Graph.Longs(axes))], n => n.With("keepdims", 0L)).Cast(x.Element);
        if (mean >= 0 && b.DyOf(mean) is { } dMean) dx += dMean.Cast(x.Element) / count;
        if (b.DyOf(inverse) is not { } dInverse) return dx;
        Var r = b.Out(inverse).Cast(x.Element), centred = mean >= 0 ? x - b.Out(mean).Cast(x.Element) : x;
        return dx - dInverse.Cast(x.Element) * r * r * r * centred / count;
    }

    /// <summary>True where a scale or bias has one entry per element of a row; false where it has, or may have, one per example (adaptive normalisation) or one for all.</summary>
    private static bool IsRow(Var v, Var x)
    {
        if (v.Rank is not (null or 1)) return false;
        if (v.Shape?[0] is not { } size || x.Shape?[-1] is not { } row) return true;
        return size.SameAs(row) || (size.Value > 1 && !row.IsKnown);
    }
}
