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
        return Match(graph, node, node.Input[0], node.Input[1]) || Match(graph, node, node.Input[1], node.Input[0]);
    }

    private static bool Match(FusionGraph graph, NodeProto sum, string first, string second)
    {
        if (graph.Maker(first, "Mul") is not { } cosine) return false;
        foreach (var (x, table) in new[] { (cosine.Input[0], cosine.Input[1]), (cosine.Input[1], cosine.Input[0]) })
        {
            if (Width(graph, table) is not { } width) continue;
            if ((Forward(graph, x, second, width) ?? Backward(graph, x, second, width)) is not var (sine, nodes) || Width(graph, sine) != width) continue;
            bool backward = graph.Maker(second)!.OpType == "Concat";
            NodeProto[] all = [sum, cosine, .. nodes];
            if (!all[1..].All(n => n.Output.All(o => graph.ReadOnlyBy(o, all)))) continue;
            graph.Replace(sum, all, Fusion.Node("Rotary", OperatorSchema.OwnDomain, [x, table, sine], [sum.Output[0]], ("backward", backward ? 1 : 0)));
            return true;
        }
        return false;
    }

    /// <summary>Concat(−x₂, x₁) · sin, with x split in halves.</summary>
    private static (string Sine, NodeProto[] Nodes)? Forward(FusionGraph graph, string x, string value, long width)
    {
        if (graph.Maker(value, "Mul") is not { } product) return null;
        foreach (var (turned, sine) in new[] { (product.Input[0], product.Input[1]), (product.Input[1], product.Input[0]) })
        {
            if (graph.Maker(turned, "Concat") is not { } concat || !IsLast(graph, concat, x) || concat.Input.Count != 2) continue;
            if (graph.Maker(concat.Input[0], "Neg") is not { } minus || Halves(graph, x, width) is not { } split) continue;
            if (minus.Input[0] == split.Output[1] && concat.Input[1] == split.Output[0]) return (sine, [product, concat, minus, split]);
        }
        return null;
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

    /// <summary>The width of a table of two dimensions: a constant, rows cut from one, twice one beside itself, or the cosines and sines of positions times frequencies.</summary>
    private static long? Width(FusionGraph graph, string table)
    {
        if (graph.Maker(table, "Concat") is { Input.Count: 2 } twice && twice.Input[0] == twice.Input[1] && FusionGraph.Int(twice, "axis", 0) is 1 or -1) return 2 * Width(graph, twice.Input[0]);
        string source = graph.Maker(table, "Slice") is { } slice && slice.Input.Count > 3 && graph.Integers(slice.Input[3]) is [0] ? slice.Input[0] : table;
        return graph.Dims(source) is [_, var width] ? width : Angles(graph, source);
    }

    /// <summary>cos or sin of Concat(h, h) with h = positions [T, 1] · frequencies [D/2], the positions being a Range: the width is D.</summary>
    private static long? Angles(FusionGraph graph, string table)
    {
        if (graph.Maker(table) is not { OpType: "Cos" or "Sin" } turn || graph.Maker(turn.Input[0], "Concat") is not { Input.Count: 2 } concat) return null;
        if (concat.Input[0] != concat.Input[1] || FusionGraph.Int(concat, "axis", 0) is not (1 or -1) || graph.Maker(concat.Input[0], "Mul") is not { } half) return null;
        foreach (var (time, frequencies) in new[] { (half.Input[0], half.Input[1]), (half.Input[1], half.Input[0]) })
        {
            if (graph.Dims(frequencies) is not [var count] || graph.Maker(time, "Unsqueeze") is not { Input.Count: 2 } column || graph.Integers(column.Input[1]) is not [1]) continue;
            NodeProto? positions = graph.Maker(column.Input[0], "Cast") is { } cast ? graph.Maker(cast.Input[0]) : graph.Maker(column.Input[0]);
            if (positions?.OpType == "Range") return 2 * count;
        }
        return null;
    }
}
