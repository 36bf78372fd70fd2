using Lift.Ort.Onnx;

namespace Lift.Ort.Lowering.Quantized;

/// <summary>Recurrent layers with 8-bit weights, as quantize_dynamic writes them.</summary>
internal static class Recurrent
{
    /// <summary>
    /// LSTM of the numbers that W [D, I, 4H] and R [D, H, 4H] stand for, stored the other way round: scales 8 and 10, zeros 9 and 11, one for each direction or one for each of its columns.
    /// ONNX Runtime's kernel rounds x and h to 8 bits at every step besides, which this form does not.
    /// </summary>
    [Lowering("com.microsoft.DynamicQuantizeLSTM")]
    public static Var?[] Lstm(FusedNode n)
    {
        Var?[] inputs = [n.X(), Weight(n, 1, 8, 9), Weight(n, 2, 10, 11), .. Enumerable.Range(3, 5).Select(n.Maybe)];
        return n.Graph.AddMany("LSTM", 3, inputs, n.Copy("activation_alpha", "activation_beta", "activations", "clip", "direction", "hidden_size", "input_forget"));
    }

    private static Var Weight(FusedNode n, int numbers, int scales, int zeros)
    {
        Var q = n.X(numbers), scale = n.Table(scales);
        if (n.RankOf(scale) < 2) return n.Real(numbers, scales, zeros, 0).Transpose(0, 2, 1);
        Var real = q.Cast(ElementType.Float);
        if (n.Maybe(zeros) is { } zero) real -= zero.Cast(ElementType.Float).Unsqueeze(1);
        return (real * scale.Unsqueeze(1)).Transpose(0, 2, 1);
    }
}
