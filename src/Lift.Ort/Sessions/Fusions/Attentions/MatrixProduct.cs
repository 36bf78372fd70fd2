using Lift.Ort.Onnx.Inference;

namespace Lift.Ort.Sessions.Fusions.Attentions;

/// <summary>A value whose axes have letters, as in an Einsum equation.</summary>
internal sealed record Lettered(string Value, string Term)
{
    /// <summary>Where the axes of these letters lie: <c>Term[result[i]] = letters[i]</c>; null where they are not the value's axes.</summary>
    public long[]? OrderOf(string letters)
    {
        if (letters.Length != Term.Length || letters.Any(l => !Term.Contains(l))) return null;
        return [.. letters.Select(l => (long)Term.IndexOf(l))];
    }
}

/// <summary>A product of two operands, whatever its operator: MatMul, FusedMatMul, or an Einsum over two operands.</summary>
internal sealed record MatrixProduct(NodeProto Node, Lettered Left, Lettered Right, string Result, float Alpha)
{
    private const string Leading = "abcdefgh";

    /// <summary>The letters that are summed over; null where it is not exactly one.</summary>
    public char? Depth => Left.Term.Where(l => Right.Term.Contains(l) && !Result.Contains(l)).ToArray() is [var one] ? one : null;

    /// <summary>The node as a product; null where it is none, or its ranks are not known.</summary>
    public static MatrixProduct? Of(FusionGraph graph, NodeProto node)
    {
        if (node.Input.Count != 2 || graph.Types.ShapeOf(node.Input[0])?.Rank is not { } left || graph.Types.ShapeOf(node.Input[1])?.Rank is not { } right) return null;
        if (node.OpType == "Einsum" && EinsumEquation.Parse(node.Attribute.FirstOrDefault(a => a.Name == "equation")?.S.ToStringUtf8() ?? "", [left, right]) is { } e)
            return e.Terms.All(t => t.Distinct().Count() == t.Length) ? new(node, new(node.Input[0], e.Terms[0]), new(node.Input[1], e.Terms[1]), e.Result, 1) : null;
        bool fused = node is { OpType: "FusedMatMul" or "TransposeMatMul", Domain: "com.microsoft" };
        if (!fused && (node.OpType != "MatMul" || node.Domain.Length > 0)) return null;
        if (left < 2 || right < 2 || Math.Max(left, right) - 2 > Leading.Length || FusionGraph.Int(node, "transBatchA", 0) + FusionGraph.Int(node, "transBatchB", 0) != 0) return null;
        string leads = Leading[..(Math.Max(left, right) - 2)];
        string a = leads[^(left - 2)..] + (FusionGraph.Int(node, "transA", 0) != 0 ? "ki" : "ik"), b = leads[^(right - 2)..] + (FusionGraph.Int(node, "transB", 0) != 0 ? "jk" : "kj");
        return new(node, new(node.Input[0], a), new(node.Input[1], b), leads + "ij", fused ? node.Attribute.FirstOrDefault(t => t.Name == "alpha")?.F ?? 1 : 1);
    }

    /// <summary>The operand seen through a transposition: the same letters on the value before it.</summary>
    public static (Lettered Value, NodeProto By)? Before(FusionGraph graph, Lettered operand)
    {
        if (graph.Maker(operand.Value, "Transpose") is not { } node || Order(node, operand.Term.Length) is not { } order || order.Length != operand.Term.Length) return null;
        char[] term = new char[order.Length];
        for (int i = 0; i < order.Length; i++) term[order[i]] = operand.Term[i];
        return (new(node.Input[0], new(term)), node);
    }

    /// <summary>The value behind a transposition, with the same letters.</summary>
    public static Lettered After(NodeProto transpose, Lettered value)
    {
        long[] order = Order(transpose, value.Term.Length)!;
        return new(transpose.Output[0], string.Concat(order.Select(o => value.Term[(int)o])));
    }

    /// <summary>The operand and all that transpositions made it from.</summary>
    public static IEnumerable<Lettered> Sources(FusionGraph graph, Lettered operand)
    {
        for (Lettered? at = operand; at is not null; at = Before(graph, at)?.Value) yield return at;
    }

    /// <summary>Both operands in either order.</summary>
    public IEnumerable<(Lettered This, Lettered Other)> Sides => [(Left, Right), (Right, Left)];

    private static long[]? Order(NodeProto transpose, int rank) =>
        transpose.Attribute.FirstOrDefault(a => a.Name == "perm")?.Ints.ToArray() ?? [.. Enumerable.Range(0, rank).Select(i => (long)(rank - 1 - i))];
}
