namespace Lift.Ort.Sessions.Fusions;

/// <summary>
/// x / √(mean x² + ε) · w, written out, becomes ONNX Runtime's SimplifiedLayerNormalization, and what its rules made of the way back one
/// SimplifiedLayerNormalizationGrad. The way back is found by what it reads, not by its exact steps: everything computed from dy · w and the chain's own
/// values ends in terms of dx, which are only added up; their sum is the operator's output.
/// </summary>
internal static class RmsNormalizationFusion
{
    public static bool Apply(FusionGraph graph, NodeProto node)
    {
        if (node.OpType != "Mul" || Forward.Match(graph, node) is not { } chain) return false;
        string y = node.Output[0], inverse = $"{y}/lift/inverse";
        var forward = Fusion.Node("SimplifiedLayerNormalization", "", [chain.X, chain.Weight], [y, inverse], ("axis", -1), ("epsilon", chain.Epsilon), ("stash_type", 1));
        NodeProto[] written = [node, .. chain.Nodes];
        if (chain.Nodes.All(n => graph.ReadOnlyBy(n.Output[0], written)))
        {
            graph.Replace(node, written, forward); // no gradient passes here
            return true;
        }
        if (graph.Readers(chain.Weight) is not [{ OpType: "Mul" } first, { OpType: "Mul" } second]) return false;
        NodeProto scaled = ReferenceEquals(first, node) ? second : first;
        if (ReferenceEquals(scaled, node) || FusionGraph.Other(scaled, chain.Weight) is not { } dy) return false;
        if (Backward(graph, chain, scaled) is not var (inside, exits) || exits.Count == 0) return false;
        if (Sums(graph, exits) is not var (kept, bypassed)) return false;

        var backward = Fusion.Node("SimplifiedLayerNormalizationGrad", "com.microsoft", [dy, chain.X, chain.Weight, inverse], [kept, $"{kept}/lift/scale"], ("axis", -1));
        graph.Replace(node, written, forward);
        graph.Replace(scaled, [.. inside, .. bypassed.Select(b => b.Add)], backward, Resolve(bypassed));
        return true;
    }

    /// <summary>All nodes computed from <paramref name="scaled"/> (dy · w) and the chain's values alone, and the values with which they end; null where a chain's value is read elsewhere.</summary>
    private static (List<NodeProto> Inside, List<string> Exits)? Backward(FusionGraph graph, Forward chain, NodeProto scaled)
    {
        var own = chain.Nodes.Select(n => n.Output[0]).ToHashSet();
        var side = new Dictionary<string, NodeProto>(); // made from the chain's values without dy: 2x, 2√, shapes
        var values = new HashSet<string> { scaled.Output[0] };
        List<NodeProto> inside = [scaled];
        bool Known(string v) => v == chain.X || own.Contains(v) || graph.IsConstant(v) || Aside(v);
        bool Aside(string v)
        {
            if (side.ContainsKey(v)) return true;
            if (graph.Maker(v) is not { OpType: "Mul" or "Shape" or "Div" or "Neg" or "Reciprocal" } maker || chain.Nodes.Contains(maker) || !maker.Input.All(i => i == chain.X || own.Contains(i) || graph.IsConstant(i))) return false;
            side[v] = maker;
            return true;
        }
        for (int i = 0; i < inside.Count; i++)
        {
            foreach (NodeProto next in graph.Readers(inside[i].Output[0]))
            {
                bool follows = next.OpType is "Mul" or "Div" or "Neg" or "ReduceSum" or "Expand" && next.Input.All(v => values.Contains(v) || Known(v));
                if (!follows || inside.Contains(next)) continue;
                inside.Add(next);
                values.Add(next.Output[0]);
            }
        }
        List<string> exits = [.. values.Where(v => graph.IsOutput(v) || graph.Readers(v).Any(n => !inside.Contains(n)))];
        NodeProto[] all = [.. inside, .. chain.Nodes, chain.Last, .. side.Values];
        bool closed = own.Concat(side.Keys.Where(k => side[k].OpType != "Shape")).All(v => graph.ReadOnlyBy(v, all));
        return closed ? ([.. inside, .. side.Values.Where(n => graph.ReadOnlyBy(n.Output[0], all))], exits) : null;
    }

    /// <summary>
    /// One term that stays, and the additions of all others on the way from it, which fall away with the value that takes their place; null where the terms
    /// do not meet in one sum that nobody reads half-done.
    /// </summary>
    private static (string Kept, List<(NodeProto Add, string Instead)> Bypassed)? Sums(FusionGraph graph, List<string> exits)
    {
        foreach (string start in exits)
        {
            var left = exits.Where(e => e != start).ToHashSet();
            var bypassed = new List<(NodeProto, string)>();
            string value = start;
            while (left.Count > 0 && !graph.IsOutput(value) && graph.Readers(value) is [{ OpType: "Add" } add] && FusionGraph.Other(add, value) is { } other)
            {
                if (left.Contains(other) && !graph.IsOutput(other) && graph.Readers(other).Count == 1 && left.Remove(other)) bypassed.Add((add, value));
                value = add.Output[0];
            }
            if (left.Count == 0 && bypassed.All(b => !graph.IsOutput(b.Item1.Output[0]))) return (start, bypassed);
        }
        return null;
    }

    /// <summary>What readers of a removed sum read instead, through several removed sums where they follow each other.</summary>
    private static Dictionary<string, string> Resolve(List<(NodeProto Add, string Instead)> bypassed)
    {
        var renamed = new Dictionary<string, string>();
        foreach (var (add, instead) in bypassed) renamed[add.Output[0]] = renamed.GetValueOrDefault(instead, instead);
        return renamed;
    }

    /// <summary>The chain from x to y = unit · w: its nodes but the last, which is <c>Last</c>.</summary>
    private sealed record Forward(string X, string Weight, float Epsilon, NodeProto[] Nodes, NodeProto Last)
    {
        public static Forward? Match(FusionGraph graph, NodeProto last)
        {
            if (last.Input.Count != 2) return null;
            return Of(graph, last, last.Input[0], last.Input[1]) ?? Of(graph, last, last.Input[1], last.Input[0]);
        }

        private static Forward? Of(FusionGraph graph, NodeProto last, string unit, string weight)
        {
            if (graph.Dims(weight) is not [_] || graph.Maker(unit) is not { } scaling) return null;
            if (scaling.OpType == "Div") return Root(graph, last, weight, scaling.Input[0], scaling.Input[1], [scaling]);
            if (scaling.OpType != "Mul") return null;
            foreach (var (x, inverse) in new[] { (scaling.Input[0], scaling.Input[1]), (scaling.Input[1], scaling.Input[0]) })
            {
                if (graph.Maker(inverse, "Reciprocal") is { } reciprocal && Root(graph, last, weight, x, reciprocal.Input[0], [scaling, reciprocal]) is { } one) return one;
                if (graph.Maker(inverse, "Div") is { } div && graph.Number(div.Input[0]) == 1 && Root(graph, last, weight, x, div.Input[1], [scaling, div]) is { } other) return other;
            }
            return null;
        }

        private static Forward? Root(FusionGraph graph, NodeProto last, string weight, string x, string root, NodeProto[] nodes)
        {
            if (graph.Maker(root, "Sqrt") is not { } sqrt || graph.Maker(sqrt.Input[0], "Add") is not { } add) return null;
            string mean = graph.Number(add.Input[1]) is not null ? add.Input[0] : add.Input[1];
            if (FusionGraph.Other(add, mean) is not { } constant || graph.Number(constant) is not { } epsilon || graph.Maker(mean, "ReduceMean") is not { } average) return null;
            long[]? axes = average.Input.Count > 1 ? graph.Integers(average.Input[1]) : [.. average.Attribute.FirstOrDefault(a => a.Name == "axes")?.Ints ?? []];
            if (axes is not [-1] || FusionGraph.Int(average, "keepdims", 1) != 1 || graph.Maker(average.Input[0]) is not { } square) return null;
            bool squares = square.OpType == "Pow" ? square.Input[0] == x && graph.Number(square.Input[1]) == 2 : square.OpType == "Mul" && square.Input.All(i => i == x);
            return squares ? new Forward(x, weight, epsilon, [.. nodes, sqrt, add, average, square], last) : null;
        }
    }
}
