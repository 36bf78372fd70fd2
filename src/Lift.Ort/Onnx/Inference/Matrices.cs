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

    /// <summary>MatMul whose operands may be transposed in their last two axes; the batch-transposed form is left unknown.</summary>
    [Infers("com.microsoft.FusedMatMul", "com.microsoft.TransposeMatMul")]
    static void FusedMatMul(Inferred n)
    {
        bool batch = n.Node.Int("transBatchA") != 0 || n.Node.Int("transBatchB") != 0;
        n.Y(n.Element(), batch ? null : Product(Turned(n.Shape(0), n.Node.Int("transA")), Turned(n.Shape(1), n.Node.Int("transB"))));
    }

    private static Shape? Turned(Shape? s, long transposed) => s is null || transposed == 0 || s.Rank < 2 ? s : new Shape([.. s.Dims[..^2], s[-1], s[-2]]);

    [Infers("com.microsoft.FusedGemm")]
    static void FusedGemm(Inferred n) => Gemm(n);

    /// <summary>Each letter is one dimension; an ellipsis is left unknown.</summary>
    [Infers("Einsum")]
    static void Einsum(Inferred n)
    {
        string[] sides = n.Node.String("equation").Replace(" ", "").Split("->");
        string[] operands = sides[0].Split(',');
        bool known = operands.Length == n.InputCount && !n.Node.String("equation").Contains('.') && operands.Select((o, i) => n.Shape(i)?.Rank == o.Length).All(k => k);
        if (!known)
        {
            n.Y(n.Element(), null);
            return;
        }
        var sizes = new SortedDictionary<char, Dim>();
        foreach (var (letter, size) in operands.SelectMany((o, i) => o.Select((c, axis) => (c, n.Shape(i)![axis]))))
        {
            sizes[letter] = sizes.TryGetValue(letter, out Dim before) ? DimMath.Broadcast(before, size) : size;
        }
        IEnumerable<char> result = sides.Length > 1 ? sides[1] : sizes.Keys.Where(c => sides[0].Count(x => x == c) == 1);
        n.Y(n.Element(), new Shape([.. result.Select(c => sizes[c])]));
    }
}
