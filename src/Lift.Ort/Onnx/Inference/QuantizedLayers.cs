namespace Lift.Ort.Onnx.Inference;

/// <summary>Operators on 8-bit numbers that come with scales and zero points; what they make has the type of their output's zero point.</summary>
internal static class QuantizedLayers
{
    [Infers("com.microsoft.QLinearSigmoid", "com.microsoft.QLinearLeakyRelu", "com.microsoft.QLinearSoftmax")]
    static void LikeFirst(Inferred n) => n.Y(n.Has(4) ? n.Element(4) : n.Element(), n.Shape(0));

    [Infers("com.microsoft.QLinearAdd", "com.microsoft.QLinearMul")]
    static void Arithmetic(Inferred n) => n.Y(n.Element(), Elementwise.Broadcast(n.Shape(0), n.Shape(3)));

    [Infers("com.microsoft.QLinearWhere")]
    static void Where(Inferred n) => n.Y(n.Element(1), Elementwise.Broadcast(n.Shape(0), Elementwise.Broadcast(n.Shape(1), n.Shape(4))));

    [Infers("QLinearMatMul")]
    static void Product(Inferred n) => n.Y(n.Element(7), Matrices.Product(n.Shape(0), n.Shape(3)));

    [Infers("com.microsoft.QGemm")]
    static void Gemm(Inferred n)
    {
        Dim rows = n.Shape(0) is { Rank: 2 } a ? a[n.Node.Int("transA") != 0 ? 1 : 0] : Dim.Unknown;
        Dim columns = n.Shape(3) is { Rank: 2 } b ? b[n.Node.Int("transB") != 0 ? 0 : 1] : Dim.Unknown;
        n.Y(n.Has(7) ? n.Element(8) : ElementType.Float, new Shape(rows, columns));
    }

    [Infers("com.microsoft.MatMulIntegerToFloat")]
    static void IntegerToFloat(Inferred n) => n.Y(n.Element(2), Matrices.Product(n.Shape(0), n.Shape(1)));

    [Infers("com.microsoft.DynamicQuantizeMatMul")]
    static void Dynamic(Inferred n) => n.Y(n.Element(), Matrices.Product(n.Shape(0), n.Shape(1)));

    [Infers("com.microsoft.MatMulBnb4")]
    static void Bnb4(Inferred n) => n.Y(n.Element(), n.Shape(0) is { Rank: > 0 } a ? new Shape(a.Dims.SetItem(a.Rank - 1, n.Node.Int("N"))) : null);

    [Infers("QLinearConv", "com.microsoft.QLinearConv")]
    static void Conv(Inferred n) => n.Y(n.Element(7), Image(n, x => Convolved(n, x, n.Shape(3))));

    [Infers("ConvInteger")]
    static void ConvInteger(Inferred n) => n.Y(ElementType.Int32, n.Shape(0) is { } x ? Convolved(n, x, n.Shape(1)) : null);

    [Infers("com.microsoft.QLinearAveragePool")]
    static void Pool(Inferred n) => n.Y(n.Element(), Image(n, x => new Shape([x[0], x[1], .. Convolutions.Spatial(n, x, n.Node.Ints("kernel_shape"), null)])));

    [Infers("com.microsoft.QLinearGlobalAveragePool")]
    static void GlobalPool(Inferred n) => n.Y(n.Element(), Image(n, x => new Shape([x[0], x[1], .. x.Dims.Skip(2).Select(_ => (Dim)1)])));

    /// <summary>Of the output scale and zero; then numbers, scale and zero of each part.</summary>
    [Infers("com.microsoft.QLinearConcat")]
    static void Concat(Inferred n)
    {
        Shape?[] parts = [.. Enumerable.Range(0, (n.InputCount - 2) / 3).Select(i => n.Shape(2 + (3 * i)))];
        if (parts.Any(p => p is null) || Inferred.Axis(n.Node.Int("axis"), parts[0]!.Rank) is not { } axis) n.Y(n.Element(1), null);
        else n.Y(n.Element(1), new Shape(parts[0]!.Dims.SetItem(axis, parts.Select(p => p![axis]).Aggregate(DimMath.Add))));
    }

    [Infers("com.microsoft.QAttention")]
    static void Attention(Inferred n)
    {
        n.Y(n.Element(3), n.Shape(0) is { } x ? new Shape(x[0], x[1], n.Shape(1) is { Rank: 2 } w ? DimMath.Quotient(w[1], 3) : Dim.Unknown) : null);
        n.Y(n.Element(3), new Shape([.. new Dim[5]]), 1);
    }

    [Infers("com.microsoft.QEmbedLayerNormalization")]
    static void Embed(Inferred n)
    {
        n.Y(ElementType.Float, n.Shape(0) is { Rank: 2 } ids && n.Shape(2) is { Rank: 2 } table ? new Shape(ids[0], ids[1], table[1]) : null);
        n.Y(ElementType.Int32, n.Shape(0) is { } rows ? new Shape(rows[0]) : null, 1);
    }

    private static Shape Convolved(Inferred n, Shape x, Shape? w) => new([x[0], w is null ? Dim.Unknown : w[0], .. Convolutions.Spatial(n, x, n.Node.Ints("kernel_shape"), w)]);

    /// <summary>The shape that <paramref name="make"/> makes of [N, C, …], also where channels stand last.</summary>
    private static Shape? Image(Inferred n, Func<Shape, Shape> make)
    {
        if (n.Shape(0) is not { Rank: > 2 } x) return null;
        if (n.Node.Int("channels_last") == 0) return make(x);
        Shape y = make(new([x[0], x[-1], .. x.Dims[1..^1]]));
        return new([y[0], .. y.Dims[2..], y[1]]);
    }
}
