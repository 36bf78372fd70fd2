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

    /// <summary>MatMul whose operands may be transposed: in their last two axes, and with the first axis behind the batch axes.</summary>
    [Infers("com.microsoft.FusedMatMul", "com.microsoft.TransposeMatMul", "com.microsoft.FusedMatMulActivation")]
    static void FusedMatMul(Inferred n) => n.Y(n.Element(), Product(Turned(n, 0, "A"), Turned(n, 1, "B")));

    private static Shape? Turned(Inferred n, int input, string name)
    {
        if (n.Shape(input) is not { Rank: >= 2 } s) return n.Shape(input);
        if (s.Rank > 2 && n.Node.Int($"transBatch{name}") != 0) s = new Shape([.. s.Dims[1..^1], s[0], s[-1]]);
        return n.Node.Int($"trans{name}") != 0 ? new Shape([.. s.Dims[..^2], s[-1], s[-2]]) : s;
    }

    [Infers("Det")]
    static void Det(Inferred n) => n.Y(n.Element(), n.Shape(0) is { Rank: >= 2 } s ? new Shape(s.Dims[..^2]) : null);

    [Infers("com.microsoft.Inverse")]
    static void Inverse(Inferred n) => n.Y(n.X(0));

    [Infers("com.microsoft.FusedGemm")]
    static void FusedGemm(Inferred n) => Gemm(n);

    /// <summary>Each letter is one dimension; operands that have it broadcast along it.</summary>
    [Infers("Einsum")]
    static void Einsum(Inferred n)
    {
        if (EinsumEquation.Parse(n.Node.String("equation"), [.. Enumerable.Range(0, n.InputCount).Select(i => n.Shape(i)?.Rank)]) is not { } equation)
        {
            n.Y(n.Element(), null);
            return;
        }
        var sizes = new Dictionary<char, Dim>();
        foreach (var (letter, size) in equation.Terms.SelectMany((o, i) => o.Select((c, axis) => (c, n.Shape(i)![axis]))))
        {
            sizes[letter] = sizes.TryGetValue(letter, out Dim before) ? DimMath.Broadcast(before, size) : size;
        }
        n.Y(n.Element(), new Shape([.. equation.Result.Select(c => sizes[c])]));
    }
}
