using System.Text.RegularExpressions;
using Lift.Ort.Artifacts;

namespace Lift.Ort.Sessions;

/// <summary>Which values of the forward pass are computed again for the backward pass instead of being kept.</summary>
public enum Recompute
{
    /// <summary>Nothing: every value that the backward pass reads is kept.</summary>
    None,

    /// <summary>What lies inside a layer of the model: only what passes from layer to layer is kept; about a third more arithmetic.</summary>
    Layers,

    /// <summary>The attention probabilities and what leads to them from queries and keys: the tensors that grow with the square of the length. Attention that a session fuses never keeps them: there is nothing to do then.</summary>
    Attention,
}

/// <summary>
/// Forward nodes are put into the backward pass once more, for each layer of the model, and the backward nodes read those. The copies stand in front of the
/// graph: ONNX Runtime then runs each right before the node that waits for it alone. The session must leave equal nodes apart
/// (<see cref="Widening.LeavesEqualNodesApart"/>). In memory only, never in a file; loss and gradients are the same.
/// </summary>
internal sealed partial class Recomputation
{
    private const string Prefix = "lift/again/";
    private const int Head = -1, Tail = int.MaxValue; // before the first layer, after the last one

    /// <summary>Operators whose second run gives something else.</summary>
    private static readonly HashSet<string> random = ["Dropout", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial"];

    private readonly GraphProto graph;
    private readonly Dictionary<string, string> layers; // the layer's path of each parameter
    private readonly Dictionary<string, NodeProto> makers = [];
    private readonly HashSet<NodeProto> forward;
    private readonly Dictionary<NodeProto, int> layerOf = new(ReferenceEqualityComparer.Instance);
    private readonly Dictionary<string, string> again = []; // value → its copy
    private readonly List<NodeProto> copies = [];

    private Recomputation(GraphProto graph, string loss, IReadOnlyList<WeightRecord> weights, IEnumerable<string> parameters)
    {
        this.graph = graph;
        layers = parameters.ToDictionary(p => p, p => p);
        foreach (WeightRecord weight in weights) layers[weight.Name] = weight.Layer;
        foreach (NodeProto node in graph.Node)
        {
            foreach (string output in node.Output) makers[output] = node;
        }
        forward = new HashSet<NodeProto>(ReferenceEqualityComparer.Instance);
        Collect(loss);
        foreach (NodeProto node in graph.Node.Where(forward.Contains)) layerOf[node] = LayerOf(node);
    }

    /// <summary>Changes a session's model; answers how many nodes run twice.</summary>
    /// <param name="weights">The trainable weights with their layers' names.</param>
    /// <param name="parameters">Names of all inputs that are parameters.</param>
    public static int Apply(ModelProto model, Recompute what, string loss, IReadOnlyList<WeightRecord> weights, IEnumerable<string> parameters)
    {
        if (what == Recompute.None) return 0;
        var pass = new Recomputation(model.Graph, loss, weights, parameters);
        HashSet<NodeProto> chosen = what == Recompute.Layers ? pass.InsideLayers() : pass.Attention();
        pass.Repeat(chosen);
        return pass.copies.Count;
    }

    /// <summary>The nodes that the loss needs.</summary>
    private void Collect(string loss)
    {
        var open = new Stack<string>([loss]);
        while (open.TryPop(out string? value))
        {
            if (!makers.TryGetValue(value, out NodeProto? node) || !forward.Add(node)) continue;
            foreach (string input in node.Input) open.Push(input);
        }
    }

    /// <summary>The layer whose weight a node reads; otherwise the last layer that its inputs come from.</summary>
    private int LayerOf(NodeProto node)
    {
        int before = node.Input.Max(i => (int?)(makers.TryGetValue(i, out NodeProto? maker) && layerOf.TryGetValue(maker, out int layer) ? layer : Head)) ?? Head;
        int own = node.Input.Where(layers.ContainsKey).Select(i => Number(layers[i])).DefaultIfEmpty(Head).Max();
        if (own > Head) return Math.Max(before, own);
        bool reads = node.Input.Any(layers.ContainsKey);
        return reads && before > Head ? Tail : before; // a weight of no layer behind the layers: the final norm, the head
    }

    /// <summary>3 in "model.layers.3.mlp.up_proj"; −1 where no part of the path is a number.</summary>
    private static int Number(string path) => Part().Match(path) is { Success: true } match && int.TryParse(match.Groups[1].Value, out int number) ? number : Head;

    /// <summary>Everything in a layer but the last one, whose values the backward pass needs at once, and but what cannot be repeated.</summary>
    private HashSet<NodeProto> InsideLayers()
    {
        int[] numbers = [.. layerOf.Values.Where(l => l is not Head and not Tail).Distinct().Order()];
        var chosen = new HashSet<NodeProto>(ReferenceEqualityComparer.Instance);
        foreach (var (node, layer) in layerOf)
        {
            if (layer is not Head and not Tail && numbers.Length > 0 && layer != numbers[^1] && IsRepeatable(node)) chosen.Add(node);
        }
        return chosen;
    }

    /// <summary>Every Softmax with what leads to it, back to the nearest product.</summary>
    private HashSet<NodeProto> Attention()
    {
        var chosen = new HashSet<NodeProto>(ReferenceEqualityComparer.Instance);
        foreach (NodeProto softmax in forward.Where(n => n.OpType == "Softmax" && layerOf[n] is not Head and not Tail))
        {
            var open = new Stack<NodeProto>([softmax]);
            while (open.TryPop(out NodeProto? node))
            {
                if (!IsRepeatable(node) || layerOf[node] != layerOf[softmax] || !chosen.Add(node) || node.OpType is "MatMul" or "Gemm" or "FusedMatMul" or "Einsum") continue;
                foreach (string input in node.Input)
                {
                    if (makers.TryGetValue(input, out NodeProto? maker) && forward.Contains(maker)) open.Push(maker);
                }
            }
        }
        return chosen;
    }

    private static bool IsRepeatable(NodeProto node) => !random.Contains(node.OpType) && node.Attribute.All(a => a.G is null && a.Graphs.Count == 0);

    /// <summary>Copies the chosen nodes that the backward pass needs, and lets it read the copies.</summary>
    private void Repeat(HashSet<NodeProto> chosen)
    {
        HashSet<string> kept = [.. graph.Output.Select(o => o.Name)];
        // What a later layer reads is there anyway: it need not be made again.
        foreach (NodeProto node in graph.Node.Where(forward.Contains))
        {
            foreach (string input in node.Input)
            {
                if (makers.TryGetValue(input, out NodeProto? maker) && layerOf.TryGetValue(maker, out int layer) && layer != layerOf[node]) kept.Add(input);
            }
        }
        NodeProto[] backward = [.. graph.Node.Where(n => !forward.Contains(n))];
        HashSet<NodeProto> waiting = BehindTheLoss();
        foreach (NodeProto node in backward.Where(n => n.OpType is not ("Shape" or "Size"))) // a shape is read while the value is there
        {
            for (int i = 0; i < node.Input.Count; i++) node.Input[i] = Again(node.Input[i], chosen, kept);
        }
        NodeProto[] early = [.. backward.Where(n => !waiting.Contains(n))], rest = [.. graph.Node.Where(n => forward.Contains(n) || waiting.Contains(n))];
        graph.Node.Clear();
        graph.Node.AddRange(copies);
        graph.Node.AddRange(early);
        graph.Node.AddRange(rest);
    }

    /// <summary>
    /// The backward nodes that wait for a gradient. The others (a transposed activation, a shape) could run at once and would pull the copies along: in
    /// front of the graph ONNX Runtime leaves them until their reader has everything else.
    /// </summary>
    private HashSet<NodeProto> BehindTheLoss()
    {
        var waiting = new HashSet<NodeProto>(ReferenceEqualityComparer.Instance);
        foreach (NodeProto node in graph.Node)
        {
            bool waits = forward.Contains(node) ? layerOf[node] == Tail
                : node.Input.Any(i => makers.TryGetValue(i, out NodeProto? maker) && waiting.Contains(maker));
            if (waits) waiting.Add(node);
        }
        return waiting;
    }

    /// <summary>The name of the value's copy, made where it is not there yet; the value itself where it is kept.</summary>
    private string Again(string value, HashSet<NodeProto> chosen, HashSet<string> kept)
    {
        if (again.TryGetValue(value, out string? copy)) return copy;
        if (kept.Contains(value) || !makers.TryGetValue(value, out NodeProto? maker) || !chosen.Contains(maker)) return value;
        NodeProto node = maker.Clone();
        node.Name = $"{Prefix}{maker.Name}";
        for (int i = 0; i < node.Input.Count; i++) node.Input[i] = Again(node.Input[i], chosen, kept);
        for (int i = 0; i < node.Output.Count; i++)
        {
            if (node.Output[i].Length > 0) again[node.Output[i]] = node.Output[i] = $"{Prefix}{node.Output[i]}";
        }
        copies.Add(node);
        return again[value];
    }

    [GeneratedRegex(@"(?:^|[./_])(\d+)(?:[./_]|$)")]
    private static partial Regex Part();
}
