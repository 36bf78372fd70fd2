using Lift.Ort.Onnx;
using Lift.Ort.Onnx.Reading;
using Lift.Ort.Onnx.Writing;

namespace Lift.Ort.Gradients;

/// <summary>
/// Quantized layers inside the branches and bodies of If, Loop and Scan. Their matrices are initializers of the main graph, which sibling branches share; so does the float weight
/// that takes their place.
/// </summary>
internal static class DequantizedBranches
{
    /// <summary>The quantized layers inside, node by node; a matrix that two branches read stands there twice.</summary>
    public static IEnumerable<QuantizedLayer> Find(Graph graph) =>
        graph.Nodes.SelectMany(n => n.Subgraphs).SelectMany(Nodes).Select(n => QuantizedLayer.Of(graph, Node.Of(n))).OfType<QuantizedLayer>();

    /// <summary>Puts float layers in the place of the chosen ones.</summary>
    /// <param name="graph">Changed; the subgraphs of the graph that it is a copy of are not.</param>
    /// <exception cref="LiftException">Two branches give one name to values of different layers, so that a file's nodes cannot be told apart.</exception>
    public static IEnumerable<DequantizedWeight> Apply(Graph graph, Func<QuantizedLayer, bool> chosen)
    {
        QuantizedLayer[] all = [.. Find(graph)];
        var made = new List<DequantizedWeight>();
        if (!all.Any(chosen)) return made;
        foreach (var twice in all.GroupBy(l => l.Node.Outputs[0]).Where(g => g.DistinctBy(l => l.Weight).Count() > 1 && g.Any(chosen)))
            throw new LiftException($"{twice.First().Node} cannot become a float layer: branches of one If both call a value '{twice.Key}' that different matrices make ({string.Join(", ", twice.Select(l => l.Weight))}); leave them quantized, or export the branches as models of their own.");
        var names = new Dictionary<string, string>(); // of float weights, by packed matrix
        foreach (Node outer in graph.Nodes)
        {
            foreach (string key in outer.Attributes.Where(a => SubgraphNames.Of(a.Value).Any()).Select(a => a.Key).ToArray())
            {
                AttributeProto copy = outer.Attributes[key].Clone();
                foreach (GraphProto inner in SubgraphNames.Of(copy)) Rewrite(inner);
                outer.Attributes[key] = copy;
            }
        }
        return made;

        void Rewrite(GraphProto inner)
        {
            NodeProto[] nodes = [.. inner.Node];
            inner.Node.Clear();
            foreach (NodeProto node in nodes)
            {
                foreach (GraphProto deeper in node.Attribute.SelectMany(SubgraphNames.Of)) Rewrite(deeper);
                if (QuantizedLayer.Of(graph, Node.Of(node)) is not { } layer || !chosen(layer))
                {
                    inner.Node.Add(node);
                    continue;
                }
                names.TryGetValue(layer.Weight, out string? name);
                made.Add(Dequantization.Float(graph, layer, inside: true, name));
                names[layer.Weight] = made[^1].Name;
                inner.Node.AddRange(made[^1].Nodes.Select(GraphWriter.Message));
            }
        }
    }

    private static IEnumerable<NodeProto> Nodes(GraphProto graph) => graph.Node.SelectMany(n => n.Attribute.SelectMany(SubgraphNames.Of).SelectMany(Nodes).Append(n));
}
