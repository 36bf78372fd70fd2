using Lift.Ort.Onnx.Reading;

namespace Lift.Ort.Onnx;

/// <summary>New names for values inside a graph.</summary>
internal static class ValueNames
{
    /// <summary>Calls a node's output <paramref name="to"/>, wherever it is made, read, captured by a branch or given out.</summary>
    public static void Replace(Graph graph, string from, string to)
    {
        var names = new Dictionary<string, string> { [from] = to };
        foreach (Node node in graph.Nodes)
        {
            Replace(node.Inputs, from, to);
            Replace(node.Outputs, from, to);
            foreach (AttributeProto attribute in node.Attributes.Values.Where(a => SubgraphNames.Of(a).Any(g => SubgraphNames.Captured(g).Contains(from))).ToArray())
            {
                AttributeProto copy = attribute.Clone(); // a copy of a graph shares them
                foreach (GraphProto inner in SubgraphNames.Of(copy)) SubgraphNames.Rename(inner, names);
                node.Set(copy);
            }
        }
        for (int i = 0; i < graph.Outputs.Count; i++) if (graph.Outputs[i].Name == from) graph.Outputs[i] = graph.Outputs[i] with { Name = to };
        if (graph.Types.Remove(from, out TensorType? type)) graph.Types[to] = type;
        if (graph.Contents.Remove(from, out Dim[]? content)) graph.Contents[to] = content;
        if (graph.Detached.Remove(from)) graph.Detached.Add(to);
    }

    private static void Replace(IList<string> names, string from, string to)
    {
        for (int i = 0; i < names.Count; i++) if (names[i] == from) names[i] = to;
    }
}
