using Lift.Ort.Onnx;

namespace Lift.Ort.Gradients.Rules;

/// <summary>Rules of normalisations over channels, groups of channels, space, or neighbouring channels.</summary>
internal static class ChannelNormalizations
{
    /// <summary>
    /// y = x̂ s + t, x̂ = (x − μ)/√(σ² + ε) per channel. With given statistics: dx = dy s/√(σ² + ε), ds = Σ dy x̂, dt = Σ dy. With the batch's own (training_mode 1) the
    /// training graph computes BatchNormInternal, whose saved statistics BatchNormalizationGrad takes.
    /// </summary>
    /// <remarks>
    /// Running statistics are no weights. With given statistics they stay as they are: PyTorch's fine-tuning with frozen statistics (eval() on the layer). In training form
    /// <see cref="BatchStatistics"/> makes outputs of the new ones (momentum · old + (1 − momentum) · batch), and the session keeps them.
    /// </remarks>
    [Gradient("BatchNormalization")]
    public static Var?[] BatchNormalization(Backward b)
    {
        if (b.Node.Int("training_mode") != 0) return TrainingMode(b);
        Var x = b.X(), inverse = 1 / (b.X(4) + b.Node.Float("epsilon", 1e-5f)).Sqrt();
        long[] others = Others(b.RankOf(x));
        Var? ds = b.Needs(1) ? (b.Dy * ((x - PerChannel(b.X(3), x)) * PerChannel(inverse, x))).ReduceSum(others, keepDims: false) : null;
        Var? dt = b.Needs(2) ? b.Dy.ReduceSum(others, keepDims: false) : null;
        Var? dx = b.Needs(0) ? b.Dy * PerChannel(b.X(1) * inverse, x) : null;
        // Statistics that the graph computes, and does not just read, have gradients too: y falls by s/√ as μ rises, and by ½ (y − t)/(σ² + ε) as σ² does.
        Var? dMean = b.Needs(3) ? -(b.Dy.ReduceSum(others, keepDims: false) * b.X(1) * inverse) : null;
        Var? dVariance = b.Needs(4) ? (b.Dy * (x - PerChannel(b.X(3), x))).ReduceSum(others, keepDims: false) * b.X(1) * inverse * inverse * inverse * -0.5 : null;
        return [dx, ds, dt, dMean, dVariance];
    }

    /// <summary>BatchNormalization as ONNX Runtime trains it.</summary>
    [Gradient("com.microsoft.BatchNormInternal")]
    public static Var?[] BatchNormInternal(Backward b)
    {
        Var[] d = b.Graph.AddMany("BatchNormalizationGrad", 3, [b.Dy, b.X(), b.X(1), b.Out(3), b.Out(4)], n => n.With("epsilon", b.Node.Float("epsilon", 1e-5f)), "com.microsoft");
        return [b.Like(d[0], b.X()), b.Like(d[1], b.X(1)), b.Like(d[2], b.X(2))];
    }

    /// <summary>y = x̂ s + t per example and channel over the spatial axes ⇒ dx = (g − mean g − x̂ mean(g x̂))/√(σ² + ε) with g = dy s, ds = Σ dy x̂, dt = Σ dy</summary>
    [Gradient("InstanceNormalization")]
    public static Var?[] InstanceNormalization(Backward b)
    {
        Var x = b.X();
        int rank = b.RankOf(x);
        long[] spatial = [.. Enumerable.Range(2, rank - 2)];
        var (normalised, inverse) = Standardise(x, spatial, b.Node.Float("epsilon", 1e-5f));
        return [Unstandardise(b.Dy * PerChannel(b.X(1), x), normalised, inverse, spatial), (b.Dy * normalised).ReduceSum(Others(rank), keepDims: false), b.Dy.ReduceSum(Others(rank), keepDims: false)];
    }

    /// <summary>y = x̂ s + t, normalised per example and group of channels ⇒ as for one instance, over a group; s and t per channel (opset 21), or per group (opset 18)</summary>
    [Gradient("GroupNormalization")]
    public static Var?[] GroupNormalization(Backward b)
    {
        Var x = b.X(), dims = b.Dims(x), dy = b.Dy;
        int rank = b.RankOf(x);
        long groups = b.Node.Int("num_groups");
        Var inGroups = b.Graph.Concat(0, b.DimOf(x, 0), b.Graph.Longs(groups), b.Graph.Add("ReduceProd", [dims.Slice(1, long.MaxValue, 0)], n => n.With("keepdims", 1L)) / b.Graph.Longs(groups));
        Var InGroups(Var v) => v.Reshape(inGroups);
        var (normalised, inverse) = Standardise(InGroups(x), [2], b.Node.Float("epsilon", 1e-5f));
        bool perGroup = b.Graph.Opset < 21;
        Var g = perGroup ? InGroups(dy) * b.X(1).Reshape(-1, 1) : InGroups(dy * PerChannel(b.X(1), x));
        Var dx = b.Like(Unstandardise(g, normalised, inverse, [2]).Reshape(dims), x);
        if (perGroup) return [dx, (InGroups(dy) * normalised).ReduceSum([0, 2], keepDims: false), InGroups(dy).ReduceSum([0, 2], keepDims: false)];
        return [dx, (dy * b.Like(normalised.Reshape(dims), x)).ReduceSum(Others(rank), keepDims: false), dy.ReduceSum(Others(rank), keepDims: false)];
    }

    /// <summary>y = (x − μ)/σ over given axes (batch and space by default) ⇒ dx = (dy − mean dy − y mean(dy y))/σ</summary>
    [Gradient("MeanVarianceNormalization")]
    public static Var?[] MeanVarianceNormalization(Backward b)
    {
        Var x = b.X();
        int rank = b.RankOf(x);
        long[] axes = [.. (b.Node.Ints("axes") ?? [0, 2, 3]).Select(a => a < 0 ? a + rank : a)];
        Var centred = x - x.ReduceMean(axes);
        Var inverse = 1 / ((centred * centred).ReduceMean(axes).Sqrt() + 1e-9);
        return [Unstandardise(b.Dy, centred * inverse, inverse, axes)];
    }

    /// <summary>
    /// y = x / sᵝ, s = bias + α/size · Σ x² over neighbouring channels ⇒ dx = dy/sᵝ − 2αβ/size · x · Σ over the channels that have it as neighbour of dy x/sᵝ⁺¹
    /// </summary>
    [Gradient("LRN")]
    public static Var?[] LocalResponse(Backward b)
    {
        Var x = b.X(), dims = b.Dims(x);
        long size = b.Node.Int("size"), before = (size - 1) / 2, after = size - 1 - before;
        float alpha = b.Node.Float("alpha", 1e-4f), beta = b.Node.Float("beta", 0.75f), bias = b.Node.Float("bias", 1);
        Var flat = b.Graph.Concat(0, b.DimOf(x, 0), b.Graph.Longs(1), b.DimOf(x, 1), b.Graph.Add("ReduceProd", [dims.Slice(2, long.MaxValue, 0)], n => n.With("keepdims", 1L)));
        // Channels as the rows of an image of one channel: sums over neighbours are means over a window.
        Var Neighbours(Var v, long front, long back) => b.Like((b.Graph.Add("AveragePool", [v.Reshape(flat)], n =>
            n.With("kernel_shape", [size, 1L]).With("pads", [front, 0L, back, 0]).With("count_include_pad", 1L)) * size).Reshape(dims), x);
        Var s = Neighbours(x * x, before, after) * (alpha / size) + bias;
        Var scaled = b.Dy * b.Graph.Add("Pow", [s, s.Like(-beta)]);
        return [scaled - x * (Neighbours(scaled * x / s, after, before) * (2 * alpha * beta / size))];
    }

    /// <summary>y = x / ‖x‖ₚ along an axis ⇒ p = 2: dx = (dy − y Σ dy y)/‖x‖, p = 1: dx = (dy − sign x Σ dy y)/‖x‖; 0 where the norm is 0</summary>
    [Gradient("LpNormalization")]
    public static Var?[] LpNormalization(Backward b)
    {
        Var x = b.X();
        long[] axis = [b.Axis(b.RankOf(x), -1)];
        bool two = b.Node.Int("p", 2) == 2;
        Var norm = two ? (x * x).ReduceSum(axis).Sqrt() : b.Unary("Abs", x).ReduceSum(axis), none = norm.Like(0);
        Var inverse = norm.EqualTo(none).Where(none, 1 / norm);
        return [(b.Dy - (two ? b.Y : b.Unary("Sign", x)) * (b.Dy * b.Y).ReduceSum(axis)) * inverse];
    }

    /// <summary>Turns the node into ONNX Runtime's operator, which saves the batch's statistics.</summary>
    private static Var?[] TrainingMode(Backward b)
    {
        (b.Node.OpType, b.Node.Domain) = ("BatchNormInternal", "com.microsoft");
        b.Graph.Domains.TryAdd("com.microsoft", 1);
        while (b.Node.Outputs.Count < 3) b.Out(b.Node.Outputs.Count);
        return BatchNormInternal(b);
    }

    /// <summary>Batch and spatial axes.</summary>
    private static long[] Others(int rank) => [0, .. Enumerable.Range(2, Math.Max(0, rank - 2)).Select(i => (long)i)];

    /// <summary>A vector of channels, shaped to be combined with <paramref name="x"/>.</summary>
    private static Var PerChannel(Var v, Var x) => x.Rank <= 2 ? v : v.Reshape([-1, .. Enumerable.Repeat(1L, x.Rank!.Value - 2)]);

    private static (Var Normalised, Var Inverse) Standardise(Var x, long[] axes, float epsilon)
    {
        Var centred = x - x.ReduceMean(axes);
        Var inverse = 1 / ((centred * centred).ReduceMean(axes) + epsilon).Sqrt();
        return (centred * inverse, inverse);
    }

    private static Var Unstandardise(Var d, Var normalised, Var inverse, long[] axes) =>
        inverse * (d - d.ReduceMean(axes) - normalised * (d * normalised).ReduceMean(axes));
}
