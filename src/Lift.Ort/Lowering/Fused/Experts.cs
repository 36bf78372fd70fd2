using Lift.Ort.Onnx;

namespace Lift.Ort.Lowering.Fused;

/// <summary>Mixture of experts. Letters: R tokens, H their width, E experts, F the width of their middle.</summary>
internal static class Experts
{
    // input, router_probs, fc1 weights and bias, fc2, fc3
    private const int Router = 1, First = 2, Second = 4, Third = 6;

    /// <summary>
    /// y = Σ of the k best experts, p · (activation(x W₁ᵀ + b₁) W₂ᵀ + b₂) with p = softmax(router). Every expert is computed for every token and the others get the
    /// weight 0: right, and E / k times the work. Source: com.microsoft.MoE.
    /// </summary>
    [Lowering("com.microsoft.MoE")]
    public static Var?[] MoE(FusedNode n)
    {
        if (n.Int("use_sparse_mixer") != 0) throw n.Refuse("its router is a sparse mixer (use_sparse_mixer = 1)");
        Graph g = n.Graph;
        Var x = n.X(), tokens = x;
        if (n.RankOf(x) != 2) tokens = x.Reshape(g.Concat(0, g.Longs(-1), x.ShapeOf().Slice(-1, long.MaxValue, 0)));
        tokens = tokens.Unsqueeze(0);
        Var middle = Layer(n, tokens, First);
        middle = n.Node.String("activation_type", "relu") switch
        {
            "relu" => g.Add("Relu", [middle]),
            "gelu" => g.Add("FastGelu", [middle], domain: "com.microsoft"),
            "silu" => middle * g.Add("Sigmoid", [middle]),
            "identity" => middle,
            "swiglu" => Gated(n, middle, tokens),
            var other => throw n.Refuse($"its activation '{other}' is not known"),
        };
        if (n.Has(Third) && n.Node.String("activation_type", "relu") != "swiglu") middle *= Layer(n, tokens, Third);
        Var y = Layer(n, middle, Second) * Routes(n).Transpose(1, 0).Unsqueeze(2);
        return [y.ReduceSum([0], keepDims: false).Reshape(x.ShapeOf())];
    }

    /// <summary>x W ᵀ + b of all experts, [E, R, F].</summary>
    private static Var Layer(FusedNode n, Var x, int weights)
    {
        Var y = x.MatMul(n.X(weights).Transpose(0, 2, 1));
        return n.Maybe(weights + 1) is { } bias ? y + bias.Unsqueeze(1) : y;
    }

    /// <summary>G σ(αG) (L + β) of gates G and values L, cut at the limit: they alternate along the last axis, are its halves, or L is the third layer.</summary>
    private static Var Gated(FusedNode n, Var x, Var tokens)
    {
        Graph g = n.Graph;
        var (gate, value) = n.Int("swiglu_fusion") switch
        {
            0 when n.Has(Third) => (x, Layer(n, tokens, Third)),
            1 => Pair(Rotation.Split(x.Reshape(g.Concat(0, x.ShapeOf().Slice(0, -1, 0), g.Longs(-1, 2))), -1, 1, 1), -1),
            2 => Pair(Rotation.Split(x.Reshape(g.Concat(0, x.ShapeOf().Slice(0, -1, 0), g.Longs(2, -1))), -2, 1, 1), -2),
            var other => throw n.Refuse($"its gates and values are in one layer, but neither alternate (swiglu_fusion = 1) nor are its halves (2): swiglu_fusion = {other}"),
        };
        if (n.Node.Has("swiglu_limit"))
        {
            double limit = n.Float("swiglu_limit");
            (gate, value) = (g.Add("Min", [gate, gate.Like(limit)]), g.Add("Clip", [value, value.Like(-limit), value.Like(limit)]));
        }
        return gate * g.Add("Sigmoid", [gate * n.Float("activation_alpha", 1)]) * (value + n.Float("activation_beta", 0));
    }

    private static (Var First, Var Second) Pair(Var[] halves, long axis) => (halves[0].Squeeze(axis), halves[1].Squeeze(axis));

    /// <summary>Shares of the experts, [R, E]: 0 outside of the k best.</summary>
    private static Var Routes(FusedNode n)
    {
        Graph g = n.Graph;
        Var shares = g.Add("Softmax", [n.X(Router)], a => a.With("axis", -1L));
        Var[] best = g.AddMany("TopK", 2, [shares, g.Longs(n.Int("k", 1))], a => a.With("axis", -1L));
        Var values = n.Int("normalize_routing_weights") != 0 ? best[0] / best[0].ReduceSum([-1]) : best[0];
        return g.Add("ScatterElements", [shares * 0, best[1], values], a => a.With("axis", 1L));
    }
}
