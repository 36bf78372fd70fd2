using Lift.Ort.Lowering.ControlFlow;
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
        source = Unfolding.Of(source);
        if (!source.Nodes.Exists(n => Lowerings.Has(n.Operator))) return source.Clone();
        Graph graph = source.Clone();
        Node[] nodes = [.. graph.Nodes];
        graph.ReserveNames();
        graph.Nodes.Clear();
        ShapeInference.InferInputs(graph);
        var shared = new Dictionary<string, Var>();
        foreach (Node node in nodes)
        {
            if (Lowerings.Has(node.Operator) && TryLower(graph, node, shared) is null) continue;
            graph.Nodes.Add(node);
            ShapeInference.Infer(graph, node);
        }
        return graph;
    }

    /// <summary>Why <see cref="Of"/> leaves a node of a graph as it is; null where it has no lowering, or is lowered.</summary>
    /// <param name="graph">What <see cref="Of"/> gave back: the node stays in it because its lowering failed, and is tried once more for the reason.</param>
    public static string? WhyNot(Graph graph, Node node) =>
        Lowerings.Has(node.Operator) ? TryLower(graph, node.Clone(), [])?.Message
        : Refusals.Of(node.Operator) is { } reason ? $"{node} cannot be trained through: {reason}."
        : Unfolding.WhyNot(graph, node);

    /// <summary>Appends a node's lowering to the graph; where the node is of a form that cannot be lowered, the graph stays as it was and the reason comes back.</summary>
    private static LiftException? TryLower(Graph graph, Node node, Dictionary<string, Var> shared)
    {
        int first = graph.Nodes.Count;
        string[] known = [.. shared.Keys];
        string? outer = graph.Scope;
        graph.Scope = node.Name.Length > 0 ? node.Name : node.Outputs.First(o => o.Length > 0);
        try
        {
            var fused = new FusedNode(graph, node, shared);
            Name(fused, first, Lowerings.Find(node.Operator)!(fused));
            return null;
        }
        catch (LiftException e)
        {
            graph.Nodes.RemoveRange(first, graph.Nodes.Count - first);
            foreach (string key in shared.Keys.Except(known).ToArray()) shared.Remove(key);
            return e;
        }
        finally
        {
            graph.Scope = outer;
        }
    }

    /// <summary>Gives the values that a lowering made the names of the node's outputs; what is none of its own making, or has such a name already, is copied.</summary>
    private static void Name(FusedNode fused, int first, Var?[] results)
    {
        var (graph, node) = (fused.Graph, fused.Node);
        Node[] made = [.. graph.Nodes.Skip(first)];
        var makers = made.SelectMany(n => n.Outputs.Select((o, i) => (Output: o, Node: n, Index: i))).Where(m => m.Output.Length > 0).ToDictionary(m => m.Output, m => (m.Node, m.Index));
        var names = new Dictionary<string, string>();
        for (int i = 0; i < node.Outputs.Count; i++)
        {
            if (node.Output(i) is not { } output) continue;
            Var value = results.ElementAtOrDefault(i) ?? throw fused.Refuse($"its output '{output}' has no form in standard operators");
            if (!makers.TryGetValue(value.Name, out var maker) || !names.TryAdd(value.Name, output))
            {
                graph.Nodes.Add(new Node("Identity", "", [names.GetValueOrDefault(value.Name, value.Name)], [output], $"{graph.Scope}/{output}"));
                ShapeInference.Infer(graph, graph.Nodes[^1]);
                continue;
            }
            maker.Node.Outputs[maker.Index] = output;
            graph.Types[output] = Known(value.Type, graph.TypeOf(output));
            if (graph.ContentOf(value.Name) is { } content) graph.Contents[output] = content;
        }
        foreach (Node reader in made)
            for (int i = 0; i < reader.Inputs.Count; i++) reader.Inputs[i] = names.GetValueOrDefault(reader.Inputs[i], reader.Inputs[i]);
    }

    /// <summary>What is known of a value from its lowering, and where that is nothing, from the fused operator.</summary>
    private static TensorType Known(TensorType lowered, TensorType fused)
    {
        if (lowered.Shape is not { } shape || fused.Shape is not { } other || shape.Rank != other.Rank) return new(lowered.Element, lowered.Shape ?? fused.Shape);
        return new(lowered.Element, new Shape([.. shape.Dims.Select((d, i) => d.IsKnown || !(d.Symbol?.StartsWith("dim(", StringComparison.Ordinal) ?? true) ? d : other[i])]));
    }
}
