using Lift.Ort.Onnx;
using Lift.Ort.Operators;

namespace Lift.Ort.Sessions.Fusions;

/// <summary>
/// Rotary embeddings with tables [T, D]: x · cos + (−x₂, x₁) · sin on the way there, dy · cos + ((dy · sin)₂, −(dy · sin)₁) on the way back;
/// each becomes one operator.
/// </summary>
internal static class RotaryFusion
{
    public static bool Apply(FusionGraph graph, NodeProto node)
    {
        if (node.OpType != "Add" || node.Input.Count != 2) return false;
        return Forward(graph, node) || Match(graph, node, node.Input[0], node.Input[1]) || Match(graph, node, node.Input[1], node.Input[0]);
    }

    /// <summary>x · cos + turned(x) · sin, whatever its spelling, where nothing else reads what is between.</summary>
    private static bool Forward(FusionGraph graph, NodeProto sum)
    {
        if (RotaryChain.Match(graph, sum) is not { IsSum: true, Interleaved: false } chain || !IsTable(graph, chain.Cos, chain.X) || !IsTable(graph, chain.Sin, chain.X)) return false;
        if (!sum.Input.All(i => graph.Maker(i) is { } product && graph.IsDead(product, [sum]))) return false;
        string[] read = [.. sum.Input];
        graph.Replace(sum, [sum], Fusion.Node("Rotary", OperatorSchema.OwnDomain, [chain.X, chain.Cos, chain.Sin], [sum.Output[0]]));
        graph.RemoveUnread(read);
        return true;
    }

    private static bool Match(FusionGraph graph, NodeProto sum, string first, string second)
    {
        if (graph.Maker(first, "Mul") is not { } cosine) return false;
        foreach (var (x, table) in new[] { (cosine.Input[0], cosine.Input[1]), (cosine.Input[1], cosine.Input[0]) })
        {
            if (!IsTable(graph, table, x) || graph.Types.ShapeOf(x)![-1].Value is not { } width || Backward(graph, x, second, width) is not var (sine, nodes) || !IsTable(graph, sine, x)) continue;
            NodeProto[] all = [sum, cosine, .. nodes];
            if (!all[1..].All(n => n.Output.All(o => graph.ReadOnlyBy(o, all)))) continue;
            graph.Replace(sum, all, Fusion.Node("Rotary", OperatorSchema.OwnDomain, [x, table, sine], [sum.Output[0]], ("backward", 1)));
            return true;
        }
        return false;
    }

    /// <summary>Concat(p₂, −p₁) with p = dy · sin split in halves.</summary>
    private static (string Sine, NodeProto[] Nodes)? Backward(FusionGraph graph, string dy, string value, long width)
    {
        if (graph.Maker(value, "Concat") is not { Input.Count: 2 } concat || !IsLast(graph, concat, dy) || graph.Maker(concat.Input[1], "Neg") is not { } minus) return null;
        if (graph.Maker(concat.Input[0], "Split") is not { } split || graph.Maker(split.Input[0], "Mul") is not { } product) return null;
        if (Halves(graph, product.Output[0], width) != split || FusionGraph.Other(product, dy) is not { } sine) return null;
        return concat.Input[0] == split.Output[1] && minus.Input[0] == split.Output[0] ? (sine, [concat, minus, split, product]) : null;
    }

    /// <summary>The split of a value into two equal halves along its last axis.</summary>
    private static NodeProto? Halves(FusionGraph graph, string value, long width)
    {
        NodeProto? split = graph.Readers(value).FirstOrDefault(n => n.OpType == "Split" && n.Output.Count == 2);
        if (split is null || width % 2 != 0 || !IsLast(graph, split, value)) return null;
        bool equal = split.Input.Count < 2 || split.Input[1].Length == 0 || (graph.Integers(split.Input[1]) is [var a, var b] && a == b && a + b == width);
        return equal ? split : null;
    }

    private static bool IsLast(FusionGraph graph, NodeProto node, string value)
    {
        long axis = FusionGraph.Int(node, "axis", 0);
        return axis == -1 || (axis > 0 && graph.Types.ShapeOf(value)?.Rank == axis + 1);
    }

    /// <summary>True for tables with a row per position and as many columns as x: [T, D], with axes of 1 in front or not.</summary>
    private static bool IsTable(FusionGraph graph, string table, string x) =>
        graph.Types.ShapeOf(table) is { Rank: > 1 } of && graph.Types.ShapeOf(x) is { Rank: > 1 } rows && of.Rank <= rows.Rank && of.Dims[..^2].All(d => d.Value == 1)
        && of[-1].Value is { } width && width == rows[-1].Value && width % 2 == 0 && (of[-2].SameAs(rows[-2]) || IsCut(of[-2], rows[-2]));

    /// <summary>True for as many rows as x has, or as a table had of which they were cut: min(64, sequence).</summary>
    private static bool IsCut(Dim table, Dim rows) => rows.Symbol is { } symbol && table.Symbol is { } cut && cut.StartsWith("min(", StringComparison.Ordinal) && cut.Contains($"‹{symbol}›", StringComparison.Ordinal);
}
