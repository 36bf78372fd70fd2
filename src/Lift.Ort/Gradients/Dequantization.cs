using System.Text.RegularExpressions;
using Lift.Ort.Onnx;

namespace Lift.Ort.Gradients;

/// <summary>A quantized matrix that became a float weight of the graph.</summary>
/// <param name="Layer">The matrix as the file has it.</param>
/// <param name="Name">The initializer that took its place.</param>
/// <param name="Nodes">What takes the place of the layer's node: a MatMul and an Add for MatMulNBits, nothing for DequantizeLinear.</param>
/// <param name="Constants">Further initializers that these nodes read: a bias as floats, a scale in another shape.</param>
public sealed record DequantizedWeight(QuantizedLayer Layer, string Name, IReadOnlyList<Node> Nodes, IReadOnlyList<string> Constants);

/// <summary>
/// Turns chosen quantized matrices into float weights, so that they can be trained: MatMulNBits becomes MatMul (and Add for its bias), DequantizeLinear of a matrix its result,
/// QLinearConv a Conv between DequantizeLinear and QuantizeLinear; <see cref="DequantizedNodes"/> has them all.
/// Values are (q − zero) · scale in float32, rounded to the scales' type; everything else stays as it is.
/// </summary>
public static partial class Dequantization
{
    /// <summary>A copy of <paramref name="source"/> in which the matrices that <paramref name="patterns"/> match (by initializer, layer or node name) are float weights; their values are made when they are first read.</summary>
    /// <exception cref="LiftException">A pattern matches no quantized matrix, or one that cannot become float.</exception>
    public static (Graph Graph, IReadOnlyList<DequantizedWeight> Weights) Apply(Graph source, IReadOnlyList<string> patterns)
    {
        if (patterns.Count == 0) return (source, []);
        var all = QuantizedLayer.Find(source);
        List<Glob> globs = [.. patterns.Select(p => new Glob(p))];
        if (globs.Find(g => !all.Any(l => Matches(g, l))) is { } idle)
        {
            throw new LiftException(all.Count == 0
                ? $"--dequantize '{idle.Pattern}' matches nothing: the model has no quantized matrices."
                : $"--dequantize '{idle.Pattern}' matches no quantized matrix; lift inspect lists them, for instance '{all[0].Layer}'.");
        }
        Graph graph = source.Clone();
        var made = new Dictionary<Node, DequantizedWeight>(ReferenceEqualityComparer.Instance);
        var originals = source.Nodes.Zip(graph.Nodes).ToDictionary(p => p.First, p => p.Second, (IEqualityComparer<Node>)ReferenceEqualityComparer.Instance);
        bool IsChosen(QuantizedLayer layer) => globs.Exists(g => Matches(g, layer));
        foreach (QuantizedLayer layer in QuantizedLayer.Outside(source).Where(IsChosen)) made[originals[layer.Node]] = Float(graph, layer);
        IEnumerable<DequantizedWeight> inside = DequantizedBranches.Apply(graph, IsChosen);
        Node[] nodes = [.. graph.Nodes.SelectMany(n => made.TryGetValue(n, out DequantizedWeight? weight) ? weight.Nodes : [n])];
        graph.Nodes.Clear();
        graph.Nodes.AddRange(nodes);
        Prune.Initializers(graph);
        ShapeInference.Infer(graph);
        return (graph, [.. made.Values, .. inside]);
    }

    private static bool Matches(Glob glob, QuantizedLayer layer) => glob.Matches(layer.Weight) || glob.Matches(layer.Layer) || glob.Matches($"{layer.Layer}.weight") || glob.Matches(layer.Node.Name);

    /// <summary>The float weight of a layer, and the nodes that take its node's place.</summary>
    /// <param name="inside">True for a layer in a branch, whose weight has a name of its own: other branches may read it too.</param>
    /// <param name="name">The weight's name where it was made before.</param>
    internal static DequantizedWeight Float(Graph graph, QuantizedLayer layer, bool inside = false, string? name = null)
    {
        if (!layer.CanBecomeFloat) throw new LiftException($"{layer.Node} cannot become a float layer: the scale of its weight was not found behind it (Cast, then Mul by the product of both scales); leave '{layer.Weight}' quantized, or export the model in QDQ form.");
        bool isValue = layer.Node.OpType == "DequantizeLinear", known = name is not null;
        name ??= isValue && !inside ? layer.Node.Outputs[0] : graph.NewName(FloatName(layer.Weight));
        if (!known) Add(graph, layer, name);
        if (isValue && inside) return new(layer, name, [new Node("Identity", "", [name], [layer.Node.Outputs[0]], layer.Node.Name)], []);
        var nodes = new DequantizedNodes(graph, layer, name);
        return new(layer, name, nodes.Make(), nodes.Constants);
    }

    private static void Add(Graph graph, QuantizedLayer layer, string name)
    {
        var values = new QuantizedValues(graph, layer);
        Tensor tensor = Tensor.Deferred(name, values.Type, layer.Dims, values.Make);
        graph.Initializers.Add(name, tensor);
        graph.Types[name] = tensor.TensorType;
    }

    /// <summary>"model.layers.0.q_proj.weight_Q4" ⇒ "model.layers.0.q_proj.weight"</summary>
    internal static string FloatName(string packed)
    {
        string stem = PackedSuffix().Replace(packed, "");
        return stem.EndsWith(".weight", StringComparison.Ordinal) ? stem : $"{stem}.weight";
    }

    [GeneratedRegex(@"[._](q_?weight|quant|quantized|packed|B|Q\d+\w*|\w+_Q\d+\w*|DequantizeLinear.*)$", RegexOptions.IgnoreCase)]
    private static partial Regex PackedSuffix();
}
