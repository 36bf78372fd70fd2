using Lift.Ort.Onnx;

namespace Lift.Ort.Lowering.Fused;

/// <summary>Residual sum and normalisation in one node, as ONNX Runtime's transformer optimizer and the GenAI model builder write them.</summary>
internal static class SkipNormalizations
{
    /// <summary>s = input + skip + bias; LayerNormalization(s, gamma, beta) over the last axis; outputs: normalised, mean, 1/σ, s</summary>
    [Lowering("com.microsoft.SkipLayerNormalization")]
    public static Var?[] SkipLayerNormalization(FusedNode n)
    {
        Var sum = Sum(n, n.Maybe(4));
        Var beta = n.Maybe(3) ?? n.ZerosLike(n.X(2));
        Var[] y = n.Graph.AddMany("LayerNormalization", n.Wants(2) ? 3 : n.Wants(1) ? 2 : 1, [sum, n.X(2), beta], a => a.With("axis", -1L).With("epsilon", n.Float("epsilon", 1e-12f)));
        return [y[0], y.ElementAtOrDefault(1), y.ElementAtOrDefault(2), sum];
    }

    /// <summary>s = input + skip + bias; y = gamma · s / √(mean s² + ε) over the last axis; outputs: y, none, 1/√(mean s² + ε), s</summary>
    [Lowering("com.microsoft.SkipSimplifiedLayerNormalization")]
    public static Var?[] SkipSimplifiedLayerNormalization(FusedNode n)
    {
        Var sum = Sum(n, n.Maybe(3));
        Var[] y = n.Graph.AddMany("SimplifiedLayerNormalization", n.Wants(2) ? 2 : 1, [sum, n.X(2)], a => a.With("axis", -1L).With("epsilon", n.Float("epsilon", 1e-12f)));
        return [y[0], null, y.ElementAtOrDefault(1), sum];
    }

    /// <summary>
    /// y = x / √(mean x² + ε) · scale over the axes from <c>axis</c> on, computed in float32 as stash_type says ⇒ ONNX Runtime's older operator for the last axis.
    /// Source: RMSNormalization of opset 23.
    /// </summary>
    [Lowering("RMSNormalization")]
    public static Var?[] RmsNormalization(FusedNode n)
    {
        Var x = n.X(), scale = n.X(1);
        int rank = n.RankOf(x);
        float epsilon = n.Float("epsilon", 1e-5f);
        int axis = n.Axis(rank, "axis", -1);
        bool wide = scale.Shape?[-1].Value is 1 && x.Shape?[-1].Value is not 1;
        if (axis == rank - 1 && scale.Rank == 1 && !wide) return [n.Graph.Add("SimplifiedLayerNormalization", [x, scale], a => a.With("axis", -1L).With("epsilon", epsilon))];
        Var stashed = x.Cast((ElementType)n.Int("stash_type", (long)ElementType.Float));
        Var unit = stashed / ((stashed * stashed).ReduceMean([.. Enumerable.Range(axis, rank - axis)]) + epsilon).Sqrt();
        return [unit.Cast(x.Element) * scale];
    }

    private static Var Sum(FusedNode n, Var? bias)
    {
        Var sum = n.X(0) + n.X(1); // skip may be [1, S, H] or [S, H]: it broadcasts as Add does
        return bias is null ? sum : sum + bias;
    }
}
