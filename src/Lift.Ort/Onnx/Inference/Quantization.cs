namespace Lift.Ort.Onnx.Inference;

/// <summary>Between real numbers and their 8- and 4-bit stand-ins.</summary>
internal static class Quantization
{
    [Infers("QuantizeLinear", "com.microsoft.QuantizeLinear")]
    static void Quantize(Inferred n) =>
        n.Y(n.Has(2) ? n.Element(2) : n.Node.Int("output_dtype") is > 0 and var type ? (ElementType)type : ElementType.UInt8, n.Shape(0));

    [Infers("DequantizeLinear", "com.microsoft.DequantizeLinear")]
    static void Dequantize(Inferred n) => n.Y(n.Element(1), n.Shape(0));

    [Infers("DynamicQuantizeLinear")]
    static void Dynamic(Inferred n)
    {
        n.Y(ElementType.UInt8, n.Shape(0));
        n.Y(ElementType.Float, Shape.Scalar, 1);
        n.Y(ElementType.UInt8, Shape.Scalar, 2);
    }

    [Infers("MatMulInteger")]
    static void MatMulInteger(Inferred n) => n.Y(ElementType.Int32, Matrices.Product(n.Shape(0), n.Shape(1)));

    /// <summary>A [.., K] times a packed [N, K] matrix → [.., N].</summary>
    [Infers("com.microsoft.MatMulNBits")]
    static void MatMulNBits(Inferred n) => n.Y(n.Element(), n.Shape(0) is { Rank: > 0 } a ? new Shape(a.Dims.SetItem(a.Rank - 1, n.Node.Int("N"))) : null);
}
