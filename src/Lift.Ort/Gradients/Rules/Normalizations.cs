using Lift.Ort.Onnx;

namespace Lift.Ort.Gradients.Rules;

/// <summary>Rules of softmax and of normalisation layers.</summary>
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
        Var x = b.X(), scale = b.X(1), mean = b.Out(1), inverse = b.Out(2);
        int rank = b.RankOf(x), axis = b.Axis(rank, -1);
        if (axis == rank - 1)
        {
            Var[] d = b.Graph.AddMany("LayerNormalizationGrad", 3, [b.Dy, x, scale, mean, inverse], n => n.With("axis", -1L), "com.microsoft");
            return [b.Like(d[0], x), b.Like(d[1], scale), b.HasX(2) ? b.Like(d[2], b.X(2)) : null];
        }
        long[] inner = [.. Enumerable.Range(axis, rank - axis)];
        Var normalised = (x - mean) * inverse, ds = b.Dy * scale;
        Var dx = inverse * (ds - ds.ReduceMean(inner) - normalised * (ds * normalised).ReduceMean(inner));
        return [dx, Broadcasting.SumTo(b.Dy * normalised, scale), b.HasX(2) ? Broadcasting.SumTo(b.Dy, b.X(2)) : null];
    }

    /// <summary>y = x r s, r = 1/√(mean x² + ε) over the last axis ⇒ SimplifiedLayerNormalizationGrad(dy, x, s, r)</summary>
    [Gradient("SimplifiedLayerNormalization")]
    public static Var?[] SimplifiedLayerNormalization(Backward b)
    {
        int rank = b.RankOf(b.X());
        if (b.Axis(rank, -1) != rank - 1) throw b.Refuse("only the last axis is supported");
        Var[] d = b.Graph.AddMany("SimplifiedLayerNormalizationGrad", 2, [b.Dy, b.X(), b.X(1), b.Out(1)], n => n.With("axis", -1L), "com.microsoft");
        return [b.Like(d[0], b.X()), b.Like(d[1], b.X(1))];
    }

    /// <summary>y = (x − μ)/√(σ² + ε) · s + t per channel, μ and σ² constant ⇒ dx = dy s/√(σ² + ε), ds = Σ dy x̂, dt = Σ dy</summary>
    [Gradient("BatchNormalization")]
    public static Var?[] BatchNormalization(Backward b)
    {
        if (b.Node.Int("training_mode") != 0) throw b.Refuse("training_mode = 1 (batch statistics) is not supported");
        Var x = b.X();
        int rank = b.RankOf(x);
        Var Channel(Var v) => rank <= 2 ? v : v.Reshape([-1, .. Enumerable.Repeat(1L, rank - 2)]);
        Var inverse = 1 / (b.X(4) + b.Node.Float("epsilon", 1e-5f)).Sqrt();
        long[] others = [0, .. Enumerable.Range(2, rank - 2)];
        Var? ds = b.Needs(1) ? (b.Dy * ((x - Channel(b.X(3))) * Channel(inverse))).ReduceSum(others, keepDims: false) : null;
        Var? dt = b.Needs(2) ? b.Dy.ReduceSum(others, keepDims: false) : null;
        return [b.Dy * Channel(b.X(1) * inverse), ds, dt];
    }

    /// <summary>y = x̂ s + t per example and channel over the spatial axes ⇒ the layer-normalisation formula over those axes</summary>
    [Gradient("InstanceNormalization")]
    public static Var?[] InstanceNormalization(Backward b)
    {
        Var x = b.X();
        int rank = b.RankOf(x);
        long[] spatial = [.. Enumerable.Range(2, rank - 2)];
        Var scale = b.X(1).Reshape([-1, .. Enumerable.Repeat(1L, rank - 2)]);
        var (normalised, inverse) = Standardise(x, spatial, b.Node.Float("epsilon", 1e-5f));
        long[] others = [0, .. spatial];
        return [Unstandardise(b.Dy * scale, normalised, inverse, spatial), (b.Dy * normalised).ReduceSum(others, keepDims: false), b.Dy.ReduceSum(others, keepDims: false)];
    }

    /// <summary>y = x / ‖x‖ₚ along an axis ⇒ p = 2: dx = (dy − y Σ dy y)/‖x‖, p = 1: dx = (dy − sign x Σ dy y)/‖x‖</summary>
    [Gradient("LpNormalization")]
    public static Var?[] LpNormalization(Backward b)
    {
        Var x = b.X();
        long[] axis = [b.Axis(b.RankOf(x), -1)];
        bool two = b.Node.Int("p", 2) == 2;
        Var norm = two ? (x * x).ReduceSum(axis).Sqrt() : b.Unary("Abs", x).ReduceSum(axis);
        return [(b.Dy - (two ? b.Y : b.Unary("Sign", x)) * (b.Dy * b.Y).ReduceSum(axis)) / norm];
    }

    private static (Var Normalised, Var Inverse) Standardise(Var x, long[] axes, float epsilon)
    {
        Var centred = x - x.ReduceMean(axes);
        Var inverse = 1 / ((centred * centred).ReduceMean(axes) + epsilon).Sqrt();
        return (centred * inverse, inverse);
    }

    private static Var Unstandardise(Var d, Var normalised, Var inverse, long[] axes) =>
        inverse * (d - d.ReduceMean(axes) - normalised * (d * normalised).ReduceMean(axes));
}
