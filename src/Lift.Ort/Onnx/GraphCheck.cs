using Lift.Ort.Onnx.Checks;

namespace Lift.Ort.Onnx;

/// <summary>Checks that a graph is sound, and names the first broken thing. (What concerns bytes and tensors is checked while they are read.)</summary>
internal static class GraphCheck
{
    /// <summary>
    /// Every operator is known: a standard one, one of a domain that ONNX Runtime brings along, or a function of the model; and every node has the inputs,
    /// outputs and attributes that its operator asks for.
    /// </summary>
    /// <exception cref="LiftException">Names the node, its operator and its domain, or what does not fit.</exception>
    public static void Operators(Graph graph, string path)
    {
        var functions = graph.Functions.Select(f => (Domain(f.Domain), f.Name)).ToHashSet();
        foreach (Node node in graph.Nodes.SelectMany(WithInner))
        {
            if (functions.Contains((node.Domain, node.OpType))) continue;
            if (OperatorSchema.Known(node))
            {
                if (OperatorSchema.Clash(node, graph.Opset) is { } clash) throw new LiftException($"{node} in '{path}' {clash}; export the model again, or mend that node.");
                continue;
            }
            throw new LiftException(node.Domain.Length == 0
                ? $"{node} in '{path}' is no operator of ONNX."
                : $"{node} in '{path}' is an operator of the unknown domain '{node.Domain}', and the model has no function for it; export the model with standard operators.");
        }
    }

    /// <summary>Element types and fixed dimensions fit at every node, and outputs are what they are declared to be.</summary>
    /// <exception cref="LiftException">Names the node and the values that clash.</exception>
    public static void Types(Graph graph, string path)
    {
        foreach (Node node in graph.Nodes)
        {
            if ((TypeRules.Clash(graph, node) ?? TypeRules.AxisClash(graph, node) ?? TypeRules.ShapeClash(graph, node)) is { } clash) throw new LiftException($"{node} in '{path}' {clash}.");
        }
        foreach (GraphValue output in graph.Outputs)
        {
            ElementType made = graph.TypeOf(output.Name).Element, declared = output.Type.Element;
            if (made != declared && made != ElementType.Undefined && declared != ElementType.Undefined)
            {
                throw new LiftException($"Output '{output.Name}' of '{path}' is declared {TypeRules.Word(declared)}, but the graph computes {TypeRules.Word(made)}.");
            }
        }
    }

    /// <summary>A node and those inside its subgraphs.</summary>
    private static IEnumerable<Node> WithInner(Node node) => node.Subgraphs.SelectMany(g => g.Node).Select(Node.Of).SelectMany(WithInner).Prepend(node);

    private static string Domain(string domain) => domain == "ai.onnx" ? "" : domain;
}
