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

    /// <summary>Rows of a matrix whose numbers lie in blocks, two or more to a byte where they are stored as uint8; the last axis of <c>data</c> is then shorter than the matrix's.</summary>
    [Infers("com.microsoft.GatherBlockQuantized")]
    static void GatherBlockQuantized(Inferred n)
    {
        if (n.Shape(0) is not { } data || n.Shape(1) is not { } indices || Inferred.Axis(n.Node.Int("gather_axis"), data.Rank) is not { } axis)
        {
            n.Y(n.Element(2), null);
            return;
        }
        long perByte = n.Element() == ElementType.UInt8 ? 8 / n.Node.Int("bits", 4) : 1;
        Dim[] dims = [.. data.Dims];
        dims[^1] = DimMath.Mul(dims[^1], perByte);
        n.Y(n.Element(2), new Shape([.. dims[..axis], .. indices.Dims, .. dims[(axis + 1)..]]));
    }

    /// <summary>[rows, blocks, bytes] → [rows, blocks · numbers in a block].</summary>
    [Infers("com.microsoft.DequantizeNBits")]
    static void DequantizeNBits(Inferred n) => n.Y(n.Element(1),
        n.Shape(0) is { Rank: 3 } packed ? new Shape(packed[0], DimMath.Mul(packed[1], DimMath.Mul(packed[2], 8 / n.Node.Int("bits", 4)))) : null);

    [Infers("MatMulInteger")]
    static void MatMulInteger(Inferred n) => n.Y(ElementType.Int32, Matrices.Product(n.Shape(0), n.Shape(1)));

    /// <summary>A [.., K] times a packed [N, K] matrix → [.., N].</summary>
    [Infers("com.microsoft.MatMulNBits")]
    static void MatMulNBits(Inferred n) => n.Y(n.Element(), n.Shape(0) is { Rank: > 0 } a ? new Shape(a.Dims.SetItem(a.Rank - 1, n.Node.Int("N"))) : null);
}
