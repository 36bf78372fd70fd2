using Lift.Ort.Onnx;

namespace Lift.Ort.Gradients;

/// <summary>Drops nodes and constants that no output of the graph needs.</summary>
internal static class Prune
{
    public static void Run(Graph graph)
    {
        var needed = graph.Outputs.Select(o => o.Name).ToHashSet();
        var kept = new List<Node>(graph.Nodes.Count);
        foreach (Node node in graph.Nodes.AsEnumerable().Reverse())
        {
            if (!node.Outputs.Any(needed.Contains)) continue;
            kept.Add(node);
            needed.UnionWith(node.Inputs.Concat(Subgraphs.OuterNames(node)));
        }
        kept.Reverse();
        graph.Nodes.Clear();
        graph.Nodes.AddRange(kept);
        Keep(graph, needed);
    }

    /// <summary>Drops constants that no node reads.</summary>
    public static void Initializers(Graph graph) => Keep(graph, [.. graph.Outputs.Select(o => o.Name), .. graph.Nodes.SelectMany(n => n.Inputs.Concat(Subgraphs.OuterNames(n)))]);

    private static void Keep(Graph graph, HashSet<string> needed)
    {
        foreach (string name in graph.Initializers.Keys.Where(n => !needed.Contains(n)).ToArray()) graph.Initializers.Remove(name);
    }
}

/// <summary>Looks into the subgraphs of If, Loop and Scan.</summary>
internal static class Subgraphs
{
    /// <summary>Names that a node's subgraphs mention; those defined outside are inputs of the node in all but form.</summary>
    public static IEnumerable<string> OuterNames(Node node) => node.Attributes.Values.Where(a => a.G is not null).SelectMany(a => Names(a.G));

    private static IEnumerable<string> Names(GraphProto g) =>
        g.Node.SelectMany(n => n.Input.Concat(n.Attribute.Where(a => a.G is not null).SelectMany(a => Names(a.G)))).Concat(g.Output.Select(o => o.Name));
}
