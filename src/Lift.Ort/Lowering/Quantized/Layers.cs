using Lift.Ort.Onnx;

namespace Lift.Ort.Lowering.Quantized;

/// <summary>ONNX Runtime's element-wise operators, pools and joins on 8-bit numbers: x is 0 to 2 (numbers, scale, zero) unless it says otherwise.</summary>
internal static class Layers
{
    [Lowering("com.microsoft.QLinearAdd")]
    public static Var?[] Add(FusedNode n) => [n.Quantized(n.Real(0, 1, 2) + n.Real(3, 4, 5), 6, 7)];

    [Lowering("com.microsoft.QLinearMul")]
    public static Var?[] Mul(FusedNode n) => [n.Quantized(n.Real(0, 1, 2) * n.Real(3, 4, 5), 6, 7)];

    [Lowering("com.microsoft.QLinearSigmoid")]
    public static Var?[] Sigmoid(FusedNode n) => [n.Quantized(n.Graph.Add("Sigmoid", [n.Real(0, 1, 2)]), 3, 4)];

    [Lowering("com.microsoft.QLinearLeakyRelu")]
    public static Var?[] LeakyRelu(FusedNode n) => [n.Quantized(n.Graph.Add("LeakyRelu", [n.Real(0, 1, 2)], a => a.With("alpha", n.Float("alpha", 0.01f))), 3, 4)];

    /// <summary>Softmax along one axis, or (opset below 13) over all axes from this one on.</summary>
    [Lowering("com.microsoft.QLinearSoftmax")]
    public static Var?[] Softmax(FusedNode n)
    {
        Var x = n.Real(0, 1, 2);
        bool one = n.Int("opset", 13) >= 13;
        long axis = n.Int("axis", one ? -1 : 1);
        Var y = one ? n.Graph.Add("Softmax", [x], a => a.With("axis", axis))
            : n.Graph.Add("Softmax", [n.Graph.Add("Flatten", [x], a => a.With("axis", axis))], a => a.With("axis", -1L)).Reshape(x.ShapeOf());
        return [n.Quantized(y, 3, 4)];
    }

    [Lowering("com.microsoft.QLinearAveragePool")]
    public static Var?[] AveragePool(FusedNode n) => [n.Quantized(Pooled(n, x => n.Graph.Add("AveragePool", [x], n.Copy("auto_pad", "ceil_mode", "count_include_pad", "kernel_shape", "pads", "strides"))), 3, 4)];

    [Lowering("com.microsoft.QLinearGlobalAveragePool")]
    public static Var?[] GlobalAveragePool(FusedNode n) => [n.Quantized(Pooled(n, x => n.Graph.Add("GlobalAveragePool", [x])), 3, 4)];

    /// <summary>Y's scale and zero are 0 and 1; then numbers, scale and zero of each part.</summary>
    [Lowering("com.microsoft.QLinearConcat")]
    public static Var?[] Concat(FusedNode n)
    {
        int parts = (n.Node.Inputs.Count - 2) / 3;
        return [n.Quantized(n.Graph.Concat(n.Int("axis"), [.. Enumerable.Range(0, parts).Select(i => n.Real(2 + (3 * i), 3 + (3 * i), 4 + (3 * i)))]), 0, 1, like: 2)];
    }

    /// <summary>The condition is 0, both values 1 to 3 and 4 to 6, of Y 7 and 8.</summary>
    [Lowering("com.microsoft.QLinearWhere")]
    public static Var?[] Where(FusedNode n) => [n.Quantized(n.X().Where(n.Real(1, 2, 3), n.Real(4, 5, 6)), 7, 8, like: 1)];

    /// <summary>com.microsoft.Attention of the numbers that input (0, 3, 6) and weights (1, 4, 7) stand for; its bias is a float, its output too.</summary>
    [Lowering("com.microsoft.QAttention")]
    public static Var?[] Attention(FusedNode n)
    {
        if (n.Has(8)) throw n.Refuse("it has a cache");
        return n.Instead("Attention", [n.Real(0, 3, 6), n.Columns(1, 4, 7), n.X(2), n.Maybe(5)]);
    }

    /// <summary>
    /// com.microsoft.EmbedLayerNormalization of the numbers that the three tables, gamma and beta (2 to 6) stand for: scales 8 to 12, zeros 13 to 17, the mask 7.
    /// </summary>
    [Lowering("com.microsoft.QEmbedLayerNormalization")]
    public static Var?[] EmbedLayerNormalization(FusedNode n)
    {
        Var? Of(int i) => n.Has(2 + i) ? n.Real(2 + i, 8 + i, 13 + i) : null;
        return n.Instead("EmbedLayerNormalization", [n.X(), n.Maybe(1), Of(0), Of(1), Of(2), Of(3), Of(4), n.Maybe(7)]);
    }

    /// <summary>Pools an image whose channels stand second, or last.</summary>
    private static Var Pooled(FusedNode n, Func<Var, Var> pool)
    {
        Var x = n.Real(0, 1, 2);
        int rank = n.RankOf(x);
        return n.Int("channels_last") == 0 ? pool(x) : Layout.Last(pool(Layout.First(x, rank)), rank);
    }
}
