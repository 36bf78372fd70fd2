namespace Lift.Ort.Onnx.Reading;

/// <summary>What subgraphs take from outside, and how it gets another name there.</summary>
internal static class SubgraphNames
{
    public static IEnumerable<GraphProto> Of(AttributeProto attribute) => attribute.G is null ? attribute.Graphs : attribute.Graphs.Append(attribute.G);

    /// <summary>The names that a subgraph uses and does not define.</summary>
    public static HashSet<string> Captured(GraphProto graph)
    {
        HashSet<string> own = Own(graph);
        var used = new HashSet<string>(graph.Output.Select(o => o.Name));
        foreach (NodeProto node in graph.Node)
        {
            used.UnionWith(node.Input.Where(i => i.Length > 0));
            foreach (GraphProto inner in node.Attribute.SelectMany(Of)) used.UnionWith(Captured(inner));
        }
        used.ExceptWith(own);
        return used;
    }

    /// <summary>Renames, in place, what a subgraph takes from outside; names of its own hide those outside.</summary>
    public static void Rename(GraphProto graph, IReadOnlyDictionary<string, string> names)
    {
        if (names.Count == 0) return;
        HashSet<string> own = Own(graph);
        Dictionary<string, string> outside = names.Where(n => !own.Contains(n.Key)).ToDictionary();
        if (outside.Count == 0) return;
        foreach (NodeProto node in graph.Node)
        {
            for (int i = 0; i < node.Input.Count; i++) node.Input[i] = outside.GetValueOrDefault(node.Input[i], node.Input[i]);
            foreach (GraphProto inner in node.Attribute.SelectMany(Of)) Rename(inner, outside);
        }
        foreach (ValueInfoProto output in graph.Output) output.Name = outside.GetValueOrDefault(output.Name, output.Name);
    }

    private static HashSet<string> Own(GraphProto graph) =>
        [.. graph.Input.Select(i => i.Name), .. graph.Initializer.Select(i => i.Name), .. graph.Node.SelectMany(n => n.Output)];
}
