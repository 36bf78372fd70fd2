namespace Lift.Ort.Onnx.Inference;

/// <summary>Matrix products.</summary>
internal static class Matrices
{
    [Infers("MatMul")]
    static void MatMul(Inferred n) => n.Y(n.Element() == ElementType.Undefined ? n.Element(1) : n.Element(), Product(n.Shape(0), n.Shape(1)));

    [Infers("Gemm")]
    static void Gemm(Inferred n)
    {
        Dim rows = n.Shape(0) is { Rank: 2 } a ? a[n.Node.Int("transA") != 0 ? 1 : 0] : Dim.Unknown;
        Dim columns = n.Shape(1) is { Rank: 2 } b ? b[n.Node.Int("transB") != 0 ? 0 : 1] : Dim.Unknown;
        n.Y(n.Element(), new Shape(rows, columns));
    }

    /// <summary>The shape of a·b as NumPy's matmul: batch dimensions broadcast, a vector counts as a row or column that vanishes again.</summary>
    public static Shape? Product(Shape? a, Shape? b)
    {
        if (a is null || b is null || a.Rank == 0 || b.Rank == 0) return null;
        Shape? batch = Elementwise.Broadcast(new Shape(a.Dims[..Math.Max(0, a.Rank - 2)]), new Shape(b.Dims[..Math.Max(0, b.Rank - 2)]));
        var dims = batch!.Dims;
        if (a.Rank > 1) dims = dims.Add(a[-2]);
        if (b.Rank > 1) dims = dims.Add(b[-1]);
        return new(dims);
    }
}
