using Lift.Ort.Onnx;

namespace Lift.Ort.Lowering.Fused;

/// <summary>Group normalisation as ONNX Runtime's diffusion optimizer writes it: channels last by default, with an activation, and with the residual sum before it.</summary>
internal static class GroupNorms
{
    /// <summary>y = x̂ γ + β per example and group of channels, SiLU after it where activation is 1</summary>
    [Lowering("com.microsoft.GroupNorm")]
    public static Var?[] GroupNorm(FusedNode n) => [Normalised(n, n.X())];

    /// <summary>s = x + skip + bias; the same of s; outputs: normalised, s. Skip may be [batch, channels], or have 1 for height and width.</summary>
    [Lowering("com.microsoft.SkipGroupNorm")]
    public static Var?[] SkipGroupNorm(FusedNode n)
    {
        Var skip = n.X(3);
        if (n.RankOf(skip) == 2) skip = skip.Unsqueeze(1, 2);
        Var sum = n.X() + skip;
        if (n.Maybe(4) is { } bias) sum += bias;
        return [Normalised(n, sum), sum];
    }

    private static Var Normalised(FusedNode n, Var x)
    {
        long groups = n.Count("groups");
        bool last = n.Int("channels_last", 1) != 0;
        Var dims = x.ShapeOf(), gamma = n.X(1).Cast(x.Element), beta = n.X(2).Cast(x.Element);
        // [N, places, groups, channels of one], or [N, groups, channels of one, places]
        Var split = last ? x.Reshape(n.Graph.Concat(0, dims.Slice(0, 1, 0), n.Graph.Longs(-1, groups), dims.Slice(-1, long.MaxValue, 0) / n.Graph.Longs(groups)))
            : x.Reshape(n.Graph.Concat(0, dims.Slice(0, 1, 0), n.Graph.Longs(groups), dims.Slice(1, 2, 0) / n.Graph.Longs(groups), n.Graph.Longs(-1)));
        long[] axes = last ? [1, 3] : [2, 3];
        Var centred = split - split.ReduceMean(axes);
        Var unit = (centred / ((centred * centred).ReduceMean(axes) + n.Float("epsilon", 1e-5f)).Sqrt()).Reshape(dims);
        Var PerChannel(Var v) => last ? v : v.Reshape([-1, .. Enumerable.Repeat(1L, n.RankOf(x) - 2)]);
        Var y = unit * PerChannel(gamma) + PerChannel(beta);
        return n.Int("activation") switch
        {
            0 => y,
            1 => y * n.Graph.Add("Sigmoid", [y]),
            var other => throw n.Refuse($"its activation {other} is neither 0 (none) nor 1 (SiLU)"),
        };
    }
}
