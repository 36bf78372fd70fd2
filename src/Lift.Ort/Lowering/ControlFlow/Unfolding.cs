using Lift.Ort.Lowering.Decoders;
using Lift.Ort.Onnx;
using Lift.Ort.Onnx.Opsets;

namespace Lift.Ort.Lowering.ControlFlow;

/// <summary>
/// Writes a graph out without the choices that are settled before it runs: a decoder's cache is empty, an If whose condition is known is its branch,
/// a Loop or Scan whose count is known and small is its steps. What depends on the run stays as it is.
/// </summary>
internal sealed class Unfolding
{
    /// <summary>Steps of a Loop or Scan that are written out at most, and nodes that they may become.</summary>
    public const int MaxSteps = 256, MaxNodes = 20_000;

    private readonly Graph graph;
    private readonly KnownNumbers numbers;
    private readonly Sequences sequences;
    private readonly HashSet<string> nodeNames; // ONNX Runtime wants them different
    private int depth;

    private Unfolding(Graph graph, IEnumerable<Node> nodes)
    {
        (this.graph, numbers, nodeNames) = (graph, new(graph), [.. nodes.Select(n => n.Name)]);
        sequences = new(graph, numbers, Take);
    }

    /// <summary>The graph without cache and settled control flow; <paramref name="source"/> itself where it has neither.</summary>
    /// <param name="keepPresent">True leaves a decoder's presents among the outputs.</param>
    /// <exception cref="LiftException">A cache is the only way in which the model knows its encoder.</exception>
    public static Graph Of(Graph source, bool keepPresent = false)
    {
        bool cache = EmptyCache.IsNeeded(source);
        if (!cache && !source.Nodes.Exists(n => n.Subgraphs.Any() || Sequences.Operators.Contains(n.Operator))) return source;
        Graph graph = source.Clone();
        graph.ReserveNames();
        graph.Nodes.Clear();
        if (cache) EmptyCache.Fill(graph, source, keepPresent);
        else ShapeInference.InferInputs(graph);
        var unfolding = new Unfolding(graph, source.Nodes);
        foreach (Node node in source.Nodes) unfolding.Visit(node.Clone());
        unfolding.DropUnused(source);
        Renew(graph);
        return graph;
    }

    /// <summary>Why a node of control flow is still there; null for other nodes.</summary>
    public static string? WhyNot(Graph graph, Node node) => node.Operator switch
    {
        "If" => $"{node} chooses its branch by '{node.Input(0)}', which {OpenDims.WayOut(graph, node.Input(0))}.",
        "Loop" when node.Input(0) is { } count && new KnownNumbers(graph).Of(count) is [var times] => $"{node} repeats {times} times, and only up to {MaxSteps} times, {MaxNodes} nodes and with conditions known beforehand are written out.",
        "Loop" => $"{node} repeats as often as '{node.Input(0) ?? node.Input(1)}' says, which {OpenDims.WayOut(graph, node.Input(0) ?? node.Input(1))}.",
        "Scan" when graph.TypeOf(node.Inputs[^1]).Shape?.Dims is { } dims && graph.Inputs.Find(i => i.Type.Shape?.Dims.Any(d => d.Symbol is { } s && dims.Any(o => o.Symbol == s)) == true) is { } input =>
            $"{node} goes over an axis of '{node.Inputs[^1]}' {graph.TypeOf(node.Inputs[^1])}, whose length depends on the size of the input '{input.Name}' {input.Type} or is above {MaxSteps} (give the size with --dim NAME=SIZE).",
        "Scan" => $"{node} goes over an axis of '{node.Inputs[^1]}' {graph.TypeOf(node.Inputs[^1])}, whose length depends on the run or is above {MaxSteps}.",
        _ => Sequences.WhyNot(node),
    };

    /// <summary>Brings the branches that are left into the forms of the graph around them; bodies of Loop and Scan travel as they are.</summary>
    private static void Renew(Graph graph)
    {
        if (graph.SubgraphOpset == 0) return;
        Node[] left = [.. graph.Nodes.Where(n => n.Subgraphs.Any())];
        if (left.Any(n => !OnlyIfs(n))) return;
        foreach (Node node in left)
            foreach (string branch in Branches.Names)
                node.Set(new() { Name = branch, Type = AttributeProto.Types.AttributeType.Graph, G = Branches.Close(graph, Branches.Open(graph, node, Branches.Of(node, branch)), $"{node.Outputs[0]}/{branch}") });
        graph.SubgraphOpset = 0;
    }

    private static bool OnlyIfs(Node node) => node.Operator == "If" && node.Subgraphs.SelectMany(g => g.Node).Select(Node.Of).Where(n => n.Subgraphs.Any()).All(OnlyIfs);

    private void Visit(Node node)
    {
        if (++depth > 64) throw new LiftException($"{node} lies in more than 64 subgraphs of one another; no exporter makes that.");
        bool folded = sequences.TryFold(node) && !sequences.Has(node.Outputs[0]); // what makes a sequence stays until nobody reads it
        if (!folded && !TryUnfold(node))
        {
            EmptyParts.Drop(graph, node);
            graph.Nodes.Add(node);
            ShapeInference.Infer(graph, node);
            numbers.Add(node);
        }
        depth--;
    }

    private bool TryUnfold(Node node) => node.Operator switch
    {
        "If" => TryIf(node),
        "Loop" => new EmbeddingBags(graph, node, numbers, Take).TryUnfold() || new LoopSteps(graph, node, numbers, Take).TryUnfold(),
        "Scan" => new ScanSteps(graph, node, Take).TryUnfold(),
        _ => false,
    };

    private bool TryIf(Node node)
    {
        if (node.Input(0) is not { } condition || numbers.Of(condition) is not [var value]) return false;
        if (node.Attributes.GetValueOrDefault(value != 0 ? "then_branch" : "else_branch")?.G is not { } branch) return false;
        Take(Subgraph.Inline(graph, node, branch, new Dictionary<string, string>(), node.Outputs).Nodes);
        return true;
    }

    /// <summary>Puts a subgraph's nodes into the graph, in the forms of its opset.</summary>
    private void Take(IEnumerable<Node> nodes)
    {
        foreach (Node node in nodes)
        {
            string stem = node.Name;
            for (int i = 1; stem.Length > 0 && !nodeNames.Add(node.Name); i++) node.Name = $"{stem}_{i}";
            string? outer = graph.Scope;
            graph.Scope = node.Outputs.FirstOrDefault(o => o.Length > 0);
            List<Node> converted = graph.SubgraphOpset == 0 || node.Subgraphs.Any() ? [node] : OpsetConverter.Convert(graph, node, graph.SubgraphOpset, "the model");
            graph.Scope = outer;
            foreach (Node n in converted) Visit(n);
        }
    }

    /// <summary>Drops the nodes that only a cache, or a branch not taken, needed.</summary>
    private void DropUnused(Graph source)
    {
        var needed = graph.Outputs.Select(o => o.Name).ToHashSet();
        for (int i = graph.Nodes.Count - 1; i >= 0; i--)
        {
            Node node = graph.Nodes[i];
            if (!node.Outputs.Any(needed.Contains)) graph.Nodes.RemoveAt(i);
            else needed.UnionWith(node.Inputs.Concat(node.Captured));
        }
        if (source.Inputs.Find(i => needed.Contains(i.Name) && CacheEntry.IsPast(i) && CacheEntry.IsOfEncoder(i.Name)) is { } encoder)
            throw new LiftException($"'{encoder.Name}' holds what the decoder once computed from its encoder, and this file has no other way to it; prepare the decoder without past (decoder_model.onnx), or the merged one.");
    }
}
