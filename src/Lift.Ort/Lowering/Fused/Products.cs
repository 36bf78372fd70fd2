using Lift.Ort.Onnx;

namespace Lift.Ort.Lowering.Fused;

/// <summary>Products and convolutions with an activation behind them, as ONNX Runtime writes them when it saves an optimized model.</summary>
internal static class Products
{
    /// <summary>y = activation(α A' B' + β C)</summary>
    [Lowering("com.microsoft.FusedGemm")]
    public static Var?[] FusedGemm(FusedNode n)
    {
        Var y = n.Graph.Add("Gemm", [n.X(), n.X(1), n.Maybe(2)], n.Copy("alpha", "beta", "transA", "transB"));
        return [Activate(n, y, Named(n))];
    }

    /// <summary>y = activation(conv(X, W) + B + Z)</summary>
    [Lowering("com.microsoft.FusedConv")]
    public static Var?[] FusedConv(FusedNode n)
    {
        Var y = n.Graph.Add("Conv", [n.X(), n.X(1), n.Maybe(2)], n.Copy("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"));
        if (n.Maybe(3) is { } sum) y += sum;
        return [Activate(n, y, Listed(n))];
    }

    /// <summary>y = activation(α A' B')</summary>
    [Lowering("com.microsoft.FusedMatMulActivation")]
    public static Var?[] FusedMatMulActivation(FusedNode n)
    {
        Var y = n.Graph.Add("FusedMatMul", [n.X(), n.X(1)], n.Copy("alpha", "transA", "transB", "transBatchA", "transBatchB"), "com.microsoft");
        return [Activate(n, y, Named(n))];
    }

    /// <summary>y = x ∗ᵀ w + bias with pads that are an input: what they cut is cut off afterwards</summary>
    [Lowering("com.microsoft.ConvTransposeWithDynamicPads")]
    public static Var?[] ConvTranspose(FusedNode n)
    {
        if (n.Node.String("auto_pad", "NOTSET") != "NOTSET") throw n.Refuse("it has both pads and auto_pad");
        Var whole = n.Graph.Add("ConvTranspose", [n.X(), n.X(1), n.Maybe(3)], n.Copy("dilations", "group", "kernel_shape", "output_padding", "strides"));
        if (n.Maybe(2) is not { } pads) return [whole];
        long axes = n.RankOf(n.X()) - 2;
        Var ends = whole.ShapeOf().Slice(2, long.MaxValue, 0) - pads.Slice(axes, 2 * axes, 0);
        return [n.Graph.Add("Slice", [whole, pads.Slice(0, axes, 0), ends, n.Graph.Longs([.. Enumerable.Range(2, (int)axes)])])];
    }

    /// <summary>The same as Conv and FusedConv, with the channels last in x, y and what is added: x [N, H, W, C]</summary>
    [Lowering("com.microsoft.NhwcConv"), Lowering("com.microsoft.NhwcFusedConv")]
    public static Var?[] ChannelsLast(FusedNode n)
    {
        int rank = n.RankOf(n.X());
        Var y = n.Graph.Add("Conv", [Layout.First(n.X(), rank), n.X(1), n.Maybe(2)], n.Copy("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"));
        y = Layout.Last(y, rank);
        if (n.Maybe(3) is { } sum) y += sum;
        return [Activate(n, y, Listed(n))];
    }

    /// <summary>The parameters of the activation, an attribute each.</summary>
    private static float?[] Named(FusedNode n) => [.. new[] { "activation_alpha", "activation_beta", "activation_gamma" }.Select(p => n.Node.Has(p) ? n.Float(p) : (float?)null)];

    /// <summary>The parameters of the activation in one list.</summary>
    private static float?[] Listed(FusedNode n) => [.. (n.Node.Attributes.GetValueOrDefault("activation_params")?.Floats ?? []).Select(v => (float?)v)];

    /// <summary>The node's activation; parameters in the order alpha, beta, gamma, or as Clip has them: low, high.</summary>
    private static Var Activate(FusedNode n, Var y, float?[] parameters)
    {
        string name = n.Node.String("activation");
        if (name.Length == 0) return y;
        string[] names = name switch
        {
            "LeakyRelu" or "Elu" or "ThresholdedRelu" or "Celu" => ["alpha"],
            "HardSigmoid" => ["alpha", "beta"],
            "Selu" => ["alpha", "gamma"],
            "Relu" or "Tanh" or "Sigmoid" or "Softplus" or "Softsign" or "Clip" => [],
            _ => throw n.Refuse($"its activation '{name}' is not known"),
        };
        float? At(int index) => parameters.ElementAtOrDefault(index);
        if (name == "Clip") return n.Graph.Add("Clip", [y, At(0) is { } low ? y.Like(low) : null, At(1) is { } high ? y.Like(high) : null]);
        return n.Graph.Add(name, [y], a =>
        {
            for (int i = 0; i < names.Length; i++) if (At(i) is { } value) a.With(names[i], value);
        });
    }
}
