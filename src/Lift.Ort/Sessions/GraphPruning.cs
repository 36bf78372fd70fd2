using Lift.Ort.Operators;

namespace Lift.Ort.Sessions;

/// <summary>Drops from a model what none of its outputs needs.</summary>
internal static class GraphPruning
{
    public static void KeepOnlyNeeded(ModelProto model)
    {
        GraphProto graph = model.Graph;
        var needed = graph.Output.Select(o => o.Name).ToHashSet();
        var used = new HashSet<NodeProto>(ReferenceEqualityComparer.Instance);
        foreach (NodeProto node in graph.Node.Reverse().Where(n => n.Output.Any(needed.Contains)))
        {
            used.Add(node);
            needed.UnionWith(Reads(node));
        }
        Keep(graph.Node, used.Contains);
        Keep(graph.Input, v => needed.Contains(v.Name));
        Keep(graph.Initializer, t => needed.Contains(t.Name));
        Keep(graph.SparseInitializer, t => needed.Contains(t.Values.Name));
        var made = graph.Node.SelectMany(n => n.Output).ToHashSet();
        Keep(graph.ValueInfo, v => made.Contains(v.Name));

        // A function that is left calls others, so functions are dropped only where nothing at all calls them.
        var called = graph.Node.Concat(model.Functions.SelectMany(f => f.Node)).SelectMany(WithInner).Select(n => (n.Domain, n.OpType)).ToHashSet();
        Keep(model.Functions, f => called.Contains((f.Domain, f.Name)));
    }

    /// <summary>Takes the names of optional outputs that nobody reads from nodes of our training operators, so that nothing is computed for them: a frozen weight's gradient, an image's.</summary>
    public static void LeaveOutUnread(ModelProto model)
    {
        var schemas = TrainingOperators.Table.ToDictionary(s => (s.Domain, s.Name));
        var read = model.Graph.Node.SelectMany(Reads).Concat(model.Graph.Output.Select(o => o.Name)).ToHashSet();
        foreach (NodeProto node in model.Graph.Node)
        {
            if (!schemas.TryGetValue((node.Domain, node.OpType), out OperatorSchema? schema)) continue;
            for (int i = 0; i < node.Output.Count; i++)
            {
                if (!read.Contains(node.Output[i]) && schema.Outputs[Math.Min(i, schema.Outputs.Length - 1)].Presence == Presence.Optional) node.Output[i] = "";
            }
        }
    }

    /// <summary>All values that a node reads, those that its subgraphs take from outside included.</summary>
    private static IEnumerable<string> Reads(NodeProto node) =>
        node.Input.Concat(Subgraphs(node).SelectMany(g => g.Node.SelectMany(Reads).Concat(g.Output.Select(o => o.Name))));

    private static IEnumerable<NodeProto> WithInner(NodeProto node) => Subgraphs(node).SelectMany(g => g.Node).SelectMany(WithInner).Prepend(node);

    private static IEnumerable<GraphProto> Subgraphs(NodeProto node) =>
        node.Attribute.SelectMany(a => a.G is null ? a.Graphs : a.Graphs.Prepend(a.G));

    private static void Keep<T>(Google.Protobuf.Collections.RepeatedField<T> items, Func<T, bool> keep)
    {
        T[] kept = [.. items.Where(keep)];
        if (kept.Length == items.Count) return;
        items.Clear();
        items.AddRange(kept);
    }
}
