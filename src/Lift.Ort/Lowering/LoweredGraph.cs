using Lift.Ort.Onnx;

namespace Lift.Ort.Lowering;

/// <summary>
/// A model as training sees it: fused operators, and those of opset 22 and later, written out in standard operators of opset 21 at most that have a gradient.
/// Weights are the initializers they were, so that their gradients belong to the file's own weights; the file itself keeps its form.
/// </summary>
public static class LoweredGraph
{
    /// <summary>A copy of <paramref name="source"/> in which every node is written out whose operator has a lowering; inputs, outputs and weights keep their names.</summary>
    /// <remarks>A node that uses a form which its lowering cannot say stays as it is: <see cref="WhyNot"/> tells the reason.</remarks>
    public static Graph Of(Graph source)
    {
        if (!source.Nodes.Exists(n => Lowerings.Has(n.Operator))) return source.Clone();
        Graph graph = source.Clone();
        Node[] nodes = [.. graph.Nodes];
        graph.ReserveNames();
        graph.Nodes.Clear();
        ShapeInference.InferInputs(graph);
        foreach (Node node in nodes)
        {
            if (TryLower(graph, node) is null) continue;
            graph.Nodes.Add(node);
            ShapeInference.Infer(graph, node);
        }
        return graph;
    }

    /// <summary>Why <see cref="Of"/> leaves a node of a graph as it is; null where it has no lowering, or is lowered.</summary>
    public static string? WhyNot(Graph graph, Node node) => Lowerings.Has(node.Operator) ? TryLower(graph.Clone(), node.Clone())?.Message : null;

    /// <summary>Appends a node's lowering to the graph; where the node is of a form that cannot be lowered, the graph stays as it was and the reason comes back.</summary>
    private static LiftException? TryLower(Graph graph, Node node)
    {
        if (Lowerings.Find(node.Operator) is not { } formula) return new LiftException($"{node} has no lowering.");
        int first = graph.Nodes.Count;
        string? outer = graph.Scope;
        graph.Scope = node.Name.Length > 0 ? node.Name : node.Outputs.First(o => o.Length > 0);
        try
        {
            Name(graph, node, first, formula(new FusedNode(graph, node)));
            return null;
        }
        catch (LiftException e)
        {
            graph.Nodes.RemoveRange(first, graph.Nodes.Count - first);
            return e;
        }
        finally
        {
            graph.Scope = outer;
        }
    }

    /// <summary>Gives the values that a lowering made the names of the node's outputs; what is none of its own making, or has such a name already, is copied.</summary>
    private static void Name(Graph graph, Node node, int first, Var?[] results)
    {
        Node[] made = [.. graph.Nodes.Skip(first)];
        var makers = made.SelectMany(n => n.Outputs.Select((o, i) => (Output: o, Node: n, Index: i))).Where(m => m.Output.Length > 0).ToDictionary(m => m.Output, m => (m.Node, m.Index));
        var names = new Dictionary<string, string>();
        for (int i = 0; i < node.Outputs.Count; i++)
        {
            if (node.Output(i) is not { } output) continue;
            Var value = results.ElementAtOrDefault(i) ?? throw new FusedNode(graph, node).Refuse($"its output '{output}' has no form in standard operators");
            if (!makers.TryGetValue(value.Name, out var maker) || !names.TryAdd(value.Name, output))
            {
                graph.Nodes.Add(new Node("Identity", "", [names.GetValueOrDefault(value.Name, value.Name)], [output], $"{graph.Scope}/{output}"));
                ShapeInference.Infer(graph, graph.Nodes[^1]);
                continue;
            }
            maker.Node.Outputs[maker.Index] = output;
            graph.Types[output] = value.Type;
            if (graph.ContentOf(value.Name) is { } content) graph.Contents[output] = content;
        }
        foreach (Node reader in made)
            for (int i = 0; i < reader.Inputs.Count; i++) reader.Inputs[i] = names.GetValueOrDefault(reader.Inputs[i], reader.Inputs[i]);
    }
}
