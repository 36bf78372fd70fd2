using Lift.Ort.Onnx;

namespace Lift.Ort.Lowering.Quantized;

/// <summary>Products and convolutions of 8-bit numbers, as onnxruntime.quantization writes them: the float operator between the numbers that they stand for.</summary>
internal static class Products
{
    /// <summary>Y = Q(A · B); A: 0 to 2 (numbers, scale, zero), B: 3 to 5, of Y: 6 and 7</summary>
    [Lowering("QLinearMatMul")]
    public static Var?[] QLinearMatMul(FusedNode n) => [n.Quantized(n.Rows(0, 1, 2).MatMul(n.Columns(3, 4, 5)), 6, 7)];

    /// <summary>Y = Q(α A' B' + α C), C in int32 with the product of both scales; without a scale of Y: float</summary>
    [Lowering("com.microsoft.QGemm")]
    public static Var?[] QGemm(FusedNode n)
    {
        bool turned = n.Int("transB") != 0;
        Var a = n.Rows(0, 1, 2), b = n.Real(3, 4, 5, turned ? 0 : 1);
        float alpha = n.Float("alpha", 1);
        Var y = n.Graph.Add("Gemm", [a, b], g => g.With("alpha", alpha).With("transA", n.Int("transA")).With("transB", n.Int("transB")));
        if (n.Has(6)) y += n.Bias(6, 1, 4, alpha);
        return [n.Has(7) ? n.Quantized(y, 7, 8) : y];
    }

    /// <summary>Y = Q(conv(X, W) + B), W with one scale or one per output channel, B in int32 with the product of both scales</summary>
    [Lowering("QLinearConv"), Lowering("com.microsoft.QLinearConv")]
    public static Var?[] QLinearConv(FusedNode n)
    {
        Var x = n.Real(0, 1, 2), w = n.Real(3, 4, 5, 0);
        bool last = n.Int("channels_last") != 0;
        if (last) x = Layout.First(x, n.RankOf(x));
        Var? bias = n.Has(8) ? n.Bias(8, 1, 4) : null;
        Var y = n.Graph.Add("Conv", [x, w, bias], n.Copy("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"));
        return [n.Quantized(last ? Layout.Last(y, n.RankOf(n.X())) : y, 6, 7)];
    }

    /// <summary>Y = A · B (+ bias) as float; A 0, B 1, their scales 2 and 3, zeros 4 and 5</summary>
    [Lowering("com.microsoft.MatMulIntegerToFloat")]
    public static Var?[] MatMulIntegerToFloat(FusedNode n) => [Biased(n.Rows(0, 2, 4).MatMul(n.Columns(1, 3, 5)), n.Maybe(6))];

    /// <summary>Y = A · B (+ bias) as float, A quantized where it is used; B 1, its scale 2 and zero 3</summary>
    [Lowering("com.microsoft.DynamicQuantizeMatMul")]
    public static Var?[] DynamicQuantizeMatMul(FusedNode n)
    {
        Var[] a = n.Graph.AddMany("DynamicQuantizeLinear", 3, [n.X()]);
        return [Biased(n.Graph.Add("DequantizeLinear", [a[0], a[1], a[2]]).MatMul(n.Columns(1, 2, 3)), n.Maybe(4))];
    }

    private static Var Biased(Var y, Var? bias) => bias is null ? y : y + bias;
}
