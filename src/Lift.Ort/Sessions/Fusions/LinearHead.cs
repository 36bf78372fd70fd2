using Lift.Ort.Onnx;

namespace Lift.Ort.Sessions.Fusions;

/// <summary>
/// The linear layer that makes a value of [.., C]: scale · (hidden·weight + bias), or softcap · tanh of that, with views, casts and transpositions between its parts.
/// </summary>
/// <param name="Product">The node of the product.</param>
/// <param name="Hidden">[.., K]</param>
/// <param name="Weight">[K, C], or [C, K] where <paramref name="Turned"/>: before any Transpose.</param>
/// <param name="Bias">[C], or null.</param>
/// <param name="Tanh">What the tanh of the softcap makes; null where there is none.</param>
internal sealed record LinearHead(NodeProto Product, string Hidden, string Weight, bool Turned, string? Bias, double Scale, double Softcap, string? Tanh)
{
    /// <summary>What the gradient of the layer's result is multiplied by on its way to the product.</summary>
    public double Factors => Tanh is null ? Scale : Scale * Softcap;

    /// <summary>The layer whose result, seen as rows, is <paramref name="scores"/>; null where there is none.</summary>
    public static LinearHead? Match(FusionGraph graph, string scores)
    {
        if (graph.Types.ShapeOf(scores) is not { Rank: 2 } rows) return null;
        string? bias = null, tanh = null;
        double scale = 1, softcap = 0;
        for (string value = scores; graph.Maker(value) is { } maker && IsRowsOf(graph, value, rows[-1]);)
        {
            if (Before(graph, maker, casts: true) is { } earlier)
            {
                value = earlier;
                continue;
            }
            if (maker is { OpType: "Add" or "Sub", Domain: "" } && graph.Types.Scalar(maker.Input[1]) == 0)
            {
                value = maker.Input[0];
                continue;
            }
            if (bias is null && Factor(graph, maker) is var (scaled, factor))
            {
                (value, scale) = (scaled, scale * factor);
                continue;
            }
            if (bias is null && tanh is null && maker is { OpType: "Tanh", Domain: "" })
            {
                (softcap, scale, tanh, value) = (scale, 1, value, maker.Input[0]);
                continue;
            }
            if (bias is null && maker is { OpType: "Add", Domain: "" } && Biased(graph, maker, rows[-1]) is var (sum, b))
            {
                (value, bias) = (sum, b);
                continue;
            }
            return Of(graph, maker, rows[-1], bias, scale) is { } head ? head with { Softcap = softcap, Tanh = tanh } : null;
        }
        return null;
    }

    /// <summary>What a node shows under another shape or, with <paramref name="casts"/>, in another floating-point type; null for nodes that do more.</summary>
    public static string? Before(FusionGraph graph, NodeProto node, bool casts) => (node.Domain, node.OpType) switch
    {
        ("", "Reshape" or "Flatten" or "Squeeze" or "Unsqueeze" or "Identity") => node.Input[0],
        ("", "Cast") when casts && graph.Types.ElementOf(node.Input[0]).IsFloat() && graph.Types.ElementOf(node.Output[0]).IsFloat() => node.Input[0],
        _ => null,
    };

    /// <summary>What a node multiplies by or divides by a constant number, and the factor.</summary>
    public static (string Value, double Factor)? Factor(FusionGraph graph, NodeProto node)
    {
        if (node.Domain.Length > 0 || node.OpType is not ("Mul" or "Div")) return null;
        if (graph.Types.Scalar(node.Input[1]) is { } right && right != 0) return (node.Input[0], node.OpType == "Div" ? 1 / right : right);
        return node.OpType == "Mul" && graph.Types.Scalar(node.Input[0]) is { } left && left != 0 ? (node.Input[1], left) : null;
    }

    /// <summary>True for a value whose last axis is certainly this one.</summary>
    public static bool IsRowsOf(FusionGraph graph, string value, Dim columns) => graph.Types.ShapeOf(value) is { Rank: > 0 } shape && shape[-1].SameAs(columns);

    private static (string Sum, string Bias)? Biased(FusionGraph graph, NodeProto add, Dim classes)
    {
        foreach (var (sum, bias) in new[] { (add.Input[0], add.Input[1]), (add.Input[1], add.Input[0]) })
            if (graph.Types.ShapeOf(bias) is { Rank: 1 } && IsRowsOf(graph, bias, classes) && graph.Types.ShapeOf(sum) is { Rank: > 1 }) return (sum, bias);
        return null;
    }

    private static LinearHead? Of(FusionGraph graph, NodeProto node, Dim classes, string? bias, double scale)
    {
        if (LinearProduct.Of(graph, node) is not { Left.Turned: false } product || graph.Types.ShapeOf(product.Right.Value) is not { Rank: 2 }) return null;
        if (product.Bias is { } own)
        {
            if (bias is not null || product.Alpha != 1 || graph.Types.ShapeOf(own) is not { Rank: 1 } || !IsRowsOf(graph, own, classes)) return null;
            bias = own;
        }
        if (product.Alpha != 1 && bias is not null) return null; // the factor would be the product's alone
        MatrixOperand weight = product.Right.Root(graph);
        return new(node, product.Left.Value, weight.Value, weight.Turned, bias, scale * product.Alpha, 0, null);
    }
}

/// <summary>An operand of a product, transposed by the product or by nodes before it where <paramref name="Turned"/>.</summary>
internal readonly record struct MatrixOperand(string Value, bool Turned)
{
    /// <summary>The matrix before its transpositions.</summary>
    public MatrixOperand Root(FusionGraph graph)
    {
        MatrixOperand at = this;
        while (graph.Maker(at.Value) is { } node && Swapped(graph, node)) at = new(node.Input[0], !at.Turned);
        return at;
    }

    /// <summary>True for the transposition of a matrix.</summary>
    public static bool Swapped(FusionGraph graph, NodeProto node) => node is { OpType: "Transpose", Domain: "" } && graph.Types.ShapeOf(node.Input[0]) is { Rank: 2 }
        && node.Attribute.FirstOrDefault(a => a.Name == "perm")?.Ints.ToArray() is null or [1, 0];
}

/// <summary>alpha · left · right + bias, be it MatMul, FusedMatMul or Gemm; "turned" operands take part transposed.</summary>
internal sealed record LinearProduct(MatrixOperand Left, MatrixOperand Right, string? Bias, double Alpha)
{
    public static LinearProduct? Of(FusionGraph graph, NodeProto node)
    {
        bool Turned(string name) => FusionGraph.Int(node, name, 0) != 0;
        float Number(string name) => node.Attribute.FirstOrDefault(a => a.Name == name)?.F ?? 1;
        switch (node.Domain, node.OpType)
        {
            case ("", "MatMul"):
                return graph.Types.ShapeOf(node.Input[0]) is { Rank: > 1 } ? new(new(node.Input[0], false), new(node.Input[1], false), null, 1) : null;
            case ("com.microsoft", "FusedMatMul"):
                if (Turned("transBatchA") || Turned("transBatchB") || graph.Types.ShapeOf(node.Input[0]) is not { Rank: > 1 }) return null;
                return new(new(node.Input[0], Turned("transA")), new(node.Input[1], Turned("transB")), null, Number("alpha"));
            case ("", "Gemm"):
                string? bias = node.Input.Count > 2 && node.Input[2].Length > 0 ? node.Input[2] : null;
                return bias is null || Number("beta") == 1 ? new(new(node.Input[0], Turned("transA")), new(node.Input[1], Turned("transB")), bias, Number("alpha")) : null;
            default:
                return null;
        }
    }
}
