namespace Lift.Ort.Sessions.Fusions;

/// <summary>
/// A rotary embedding as exporters spell it: pairs (x₁, x₂) of each row turned by an angle. The pairs are the two halves of the last axis or its neighbours; they are cut out by Split,
/// Slice or Gather; the result is x · cos + (−x₂, x₁) · sin, or both parts computed by themselves and put together. A partial one turns the first columns of a head only: x is their slice.
/// </summary>
/// <param name="Interleaved">True where neighbours are pairs, false where halves are.</param>
/// <param name="IsSum">True for x · cos + turned · sin over whole rows.</param>
internal sealed record RotaryChain(string X, string Cos, string Sin, bool Interleaved, bool IsSum)
{
    /// <summary>The embedding that ends in this node, or null.</summary>
    public static RotaryChain? Match(FusionGraph graph, NodeProto node)
    {
        if (node.Domain.Length > 0 || node.Input.Count != 2) return null;
        return node.OpType switch
        {
            "Add" => Sum(graph, node, node.Input[0], node.Input[1]) ?? Sum(graph, node, node.Input[1], node.Input[0]),
            "Concat" => Joined(graph, node),
            _ => null,
        };
    }

    /// <summary>x · cos + turned(x) · sin</summary>
    private static RotaryChain? Sum(FusionGraph graph, NodeProto sum, string first, string second)
    {
        if (graph.Maker(first, "Mul") is not { } cosine || graph.Maker(second, "Mul") is not { } sine) return null;
        foreach (var (turned, sin) in Orders(sine))
        {
            if (Turned(graph, turned) is not var (x, interleaved)) continue;
            foreach (var (straight, cos) in Orders(cosine))
                if (straight == x) return new(x, cos, sin, interleaved, true);
        }
        return null;
    }

    /// <summary>(−x₂, x₁): of which value, and whether neighbours are pairs.</summary>
    private static (string X, bool Interleaved)? Turned(FusionGraph graph, string value)
    {
        bool stacked = graph.Maker(value, "Reshape") is { } reshape && graph.Maker(reshape.Input[0], "Concat") is not null;
        NodeProto? concat = stacked ? graph.Maker(graph.Maker(value)!.Input[0]) : graph.Maker(value, "Concat");
        if (concat is not { Input.Count: 2 } || !IsLastAxis(graph, concat, concat.Output[0])) return null;
        string left = concat.Input[0], right = concat.Input[1];
        if (stacked)
        {
            if (graph.Maker(left, "Unsqueeze") is not { } l || graph.Maker(right, "Unsqueeze") is not { } r) return null;
            (left, right) = (l.Input[0], r.Input[0]);
        }
        return Negated(graph, left) is { } second && Parts(graph, right, second) is var (x, interleaved) && interleaved == stacked ? (x, interleaved) : null;
    }

    /// <summary>(x₁ · cos − x₂ · sin, x₂ · cos + x₁ · sin), one behind the other or stacked as neighbours.</summary>
    private static RotaryChain? Joined(FusionGraph graph, NodeProto concat)
    {
        string left = concat.Input[0], right = concat.Input[1];
        if (!IsLastAxis(graph, concat, concat.Output[0])) return null;
        if (graph.Maker(left, "Unsqueeze") is { } l && graph.Maker(right, "Unsqueeze") is { } r) (left, right) = (l.Input[0], r.Input[0]);
        if (graph.Maker(left, "Sub") is not { } difference || graph.Maker(right, "Add") is not { } sum) return null;
        if (graph.Maker(difference.Input[0], "Mul") is not { } plus || graph.Maker(difference.Input[1], "Mul") is not { } minus) return null;
        foreach (var (first, cos) in Orders(plus))
        {
            foreach (var (second, sin) in Orders(minus))
            {
                if (Parts(graph, first, second) is not var (x, interleaved)) continue;
                bool other = Orders(sum).Any(o => IsProduct(graph, o.First, second, cos) && IsProduct(graph, o.Second, first, sin));
                if (other) return new(x, cos, sin, interleaved, false);
            }
        }
        return null;
    }

    private static bool IsProduct(FusionGraph graph, string value, string a, string b) => graph.Maker(value, "Mul") is { } mul && FusionGraph.Other(mul, a) == b;

    /// <summary>What is negated: −x, or x · −1.</summary>
    private static string? Negated(FusionGraph graph, string value)
    {
        if (graph.Maker(value, "Neg") is { } neg) return neg.Input[0];
        if (graph.Maker(value, "Mul") is not { } mul) return null;
        return Orders(mul).Where(o => graph.Types.Uniform(o.Second) == -1).Select(o => o.First).FirstOrDefault();
    }

    /// <summary>The value of which these are the first and the second of each pair.</summary>
    private static (string X, bool Interleaved)? Parts(FusionGraph graph, string first, string second)
    {
        (first, second) = (Unsqueezed(graph, first), Unsqueezed(graph, second));
        if (graph.Maker(first) is not { } one || graph.Maker(second) is not { } two || one.OpType != two.OpType || one.Input[0] != two.Input[0]) return null;
        string x = one.Input[0];
        if (graph.Types.ShapeOf(x) is not { Rank: > 0 } shape || graph.Types.ShapeOf(first) is not { Rank: > 0 } half) return null;
        switch (one.OpType)
        {
            case "Split" when ReferenceEquals(one, two) && one.Output.Count == 2 && one.Output[0] == first && half[-1].Value * 2 == shape[-1].Value && IsLastAxis(graph, one, x):
                return (x, false);
            case "Split" when ReferenceEquals(one, two) && one.Output.Count == 2 && one.Output[0] == first:
                return Pairs(graph, x, (int)FusionGraph.Int(one, "axis", 0));
            case "Gather" when graph.Types.Uniform(one.Input[1]) == 0 && graph.Types.Uniform(two.Input[1]) == 1 && FusionGraph.Int(one, "axis", 0) == FusionGraph.Int(two, "axis", 0):
                return Pairs(graph, x, (int)FusionGraph.Int(one, "axis", 0));
            case "Slice" when Step(graph, one) == Step(graph, two) && Start(graph, one) == 0 && graph.Types.ShapeOf(second) is { Rank: > 0 } rest && rest[-1].Value is { } width && half[-1].Value == width && 2 * width == shape[-1].Value:
                return (Step(graph, one), Start(graph, two)) switch
                {
                    (1, var start) when start == width || start is null or < 0 => (x, false),
                    (2, 1) => (x, true),
                    _ => null,
                };
            default:
                return null;
        }
    }

    /// <summary>An axis of two elements: the last one, of neighbours, or the one before, of halves; behind a reshape of x.</summary>
    private static (string X, bool Interleaved)? Pairs(FusionGraph graph, string value, int axis)
    {
        if (graph.Types.ShapeOf(value) is not { } shape || graph.Maker(value, "Reshape") is not { } reshape) return null;
        int at = axis < 0 ? axis + shape.Rank : axis;
        return shape[at].Value != 2 ? null : at == shape.Rank - 1 ? (reshape.Input[0], true) : at == shape.Rank - 2 ? (reshape.Input[0], false) : null;
    }

    /// <summary>A part of a pair before its axis of one element is taken away.</summary>
    private static string Unsqueezed(FusionGraph graph, string value) => graph.Maker(value) is { OpType: "Squeeze" } node ? node.Input[0] : value;

    private static long? Start(FusionGraph graph, NodeProto slice) => graph.Types.Longs(slice.Input[1]) is [var start] ? start : null;

    private static long Step(FusionGraph graph, NodeProto slice) => slice.Input.Count > 4 && slice.Input[4].Length > 0 ? graph.Types.Longs(slice.Input[4]) is [var step] ? step : 0 : 1;

    private static bool IsLastAxis(FusionGraph graph, NodeProto node, string value)
    {
        long axis = FusionGraph.Int(node, "axis", 0);
        return axis == -1 || graph.Types.ShapeOf(value)?.Rank == axis + 1;
    }

    private static IEnumerable<(string First, string Second)> Orders(NodeProto node) => [(node.Input[0], node.Input[1]), (node.Input[1], node.Input[0])];
}
