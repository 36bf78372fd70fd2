using System.Text.RegularExpressions;
using Lift.Ort.Onnx;

namespace Lift.Ort.Gradients;

/// <summary>What a weight does in its model.</summary>
public enum WeightKind { Attention, Mlp, Linear, Head, Embedding, Convolution, Norm, Statistics, Bias, Other }

/// <summary>A float initializer of the model that belongs to some layer.</summary>
/// <param name="Name">The initializer's name in the file.</param>
/// <param name="Layer">The layer it belongs to, dots between the parts ("layers.0.attention.wq"), also where the exporter gave the initializer a made-up name.</param>
/// <param name="Transposed">True for a matrix that is stored [in, out], as MatMul wants it; false for [out, in], as PyTorch keeps it.</param>
public sealed record CatalogWeight(string Name, Tensor Value, string Layer, WeightKind Kind, bool Transposed)
{
    /// <summary>LIFT's default choice: matrices of attention and MLP layers; never head, embeddings, norms, biases.</summary>
    public bool IsLiftDefault => Kind is WeightKind.Attention or WeightKind.Mlp or WeightKind.Linear && Value.Dims.Length == 2;
}

/// <summary>Finds the weights of a graph and the layer each belongs to, by following how they are used.</summary>
public static partial class WeightCatalog
{
    private static readonly string[] passing = ["Identity", "Transpose", "Cast", "Reshape", "Squeeze", "Unsqueeze", "Expand", "DequantizeLinear", "Dropout", "Slice", "Split"];
    private static readonly string[] afterHead = ["Identity", "Transpose", "Cast", "Reshape", "Squeeze", "Unsqueeze", "Softmax", "LogSoftmax", "Sigmoid", "Tanh", "Slice", "Flatten"];

    /// <summary>Lists every float initializer with at least one element that the graph uses, in file order. Constant nodes count only in a model that keeps all its matrices in them.</summary>
    /// <param name="scored">The output that is scored: the matrix it comes from is the head. Null: no head is looked for.</param>
    public static IReadOnlyList<CatalogWeight> Find(Graph graph, string? scored) => FindFor(graph, scored is null ? [] : [scored]);

    /// <summary>The same for several outputs: each has a head.</summary>
    internal static IReadOnlyList<CatalogWeight> FindFor(Graph graph, IReadOnlyList<string> scored)
    {
        var consumers = new Dictionary<string, List<(Node Node, int Index)>>();
        foreach (Node node in graph.Nodes)
        {
            for (int i = 0; i < node.Inputs.Count; i++) Use(node.Inputs[i], node, i);
            HashSet<string> captured = [.. node.Attributes.Count == 0 ? [] : node.Captured];
            if (node.Operator == "If" && captured.Count > 0) UseInside(node, captured);
            foreach (string name in captured) Use(name, node, int.MaxValue);
        }
        bool constants = !graph.Initializers.Values.Any(t => t.Type.IsFloat() && t.Dims.Length > 1 && !graph.Constants.Contains(t.Name) && !graph.Buffers.Contains(t.Name));
        HashSet<Node> heads = [.. scored.SelectMany(s => Heads(graph, s))];
        return [.. graph.Initializers.Values.Where(t => t.Type.IsFloat() && t.Count > 0 && (constants || !graph.Constants.Contains(t.Name)) && !graph.Buffers.Contains(t.Name) && consumers.TryGetValue(t.Name, out var uses) && !uses.TrueForAll(u => IsExponent(t, u) || IsParameterOfQuantization(u)) && !IsNumber(t)).Select(t => Describe(t, consumers, heads))];

        // x² is a formula, not a weight; training its 2 would ask for the logarithm of x. An exponent like 3.1 under a name of its own was learned (generalised mean pooling), and stands over positive numbers only.
        static bool IsExponent(Tensor tensor, (Node Node, int Index) use) => use is { Node.OpType: "Pow", Index: 1 } && (tensor.Dims.Length == 0 || MadeUp().IsMatch(tensor.Name) || Array.TrueForAll(tensor.ToFloats(), v => float.IsInteger(v * 2)));

        // Exporters that write no Constant nodes keep ε, √d and the like among the initializers, under made-up names.
        static bool IsNumber(Tensor tensor) => tensor.Dims.Length == 0 && MadeUp().IsMatch(tensor.Name);

        // Scales and zero points belong to integers that stay as they are.
        static bool IsParameterOfQuantization((Node Node, int Index) use) => use.Node.OpType switch
        {
            "QuantizeLinear" or "DequantizeLinear" => use.Index >= 1,
            "MatMulNBits" => use.Index is >= 2 and <= 4,
            "GatherBlockQuantized" => use.Index >= 2,
            "MatMulBnb4" => use.Index >= 1,
            "QLinearMatMul" or "QLinearConv" or "QGemm" or "MatMulIntegerToFloat" or "DynamicQuantizeMatMul" => use.Index is >= 1 and <= 7,
            _ => false,
        };

        // A branch uses a weight as the graph around it would.
        void UseInside(Node node, HashSet<string> captured)
        {
            foreach (Node inner in node.Subgraphs.SelectMany(g => g.Node).Select(Node.Of))
            {
                for (int i = 0; i < inner.Inputs.Count; i++) if (captured.Contains(inner.Inputs[i])) Use(inner.Inputs[i], inner, i);
                if (inner.Operator == "If") UseInside(inner, captured);
            }
        }

        void Use(string name, Node node, int index)
        {
            if (name.Length > 0) (consumers.TryGetValue(name, out var list) ? list : consumers[name] = []).Add((node, index));
        }
    }

    private static CatalogWeight Describe(Tensor tensor, Dictionary<string, List<(Node Node, int Index)>> consumers, HashSet<Node> heads)
    {
        bool transposed = false;
        var uses = Uses(tensor.Name, false).ToList();
        var kinds = uses.Select(u => Kind(tensor, u.Node, u.Index, heads)).ToList();
        // Shared by an embedding and the head: the embedding decides (neither is LIFT's to train).
        var kind = kinds.Contains(WeightKind.Embedding) ? WeightKind.Embedding : kinds.DefaultIfEmpty(WeightKind.Other).Min();
        int at = Math.Max(0, kinds.IndexOf(kind));
        Node? node = uses.Count > 0 ? uses[at].Node : null;
        if (node is not null) transposed = uses[at].Flipped ^ (node.OpType == "Gemm" ? node.Int("transB") == 0 : node.OpType is "MatMul" or "FusedMatMul");
        string layer = node is null ? Suffix().Replace(tensor.Name, "") : LayerOf(tensor.Name, node);
        if (kind == WeightKind.Linear) kind = AttentionName().IsMatch(layer) && !layer.Contains("DenseReluDense", StringComparison.Ordinal) ? WeightKind.Attention : MlpName().IsMatch(layer) ? WeightKind.Mlp : kind;
        return new(tensor.Name, tensor, layer, kind, transposed && tensor.Dims.Length == 2);

        IEnumerable<(Node Node, int Index, bool Flipped)> Uses(string name, bool flipped)
        {
            foreach (var (user, index) in consumers.GetValueOrDefault(name) ?? [])
            {
                if (index == 0 && passing.Contains(user.OpType))
                    foreach (var use in user.Outputs.SelectMany(o => Uses(o, flipped ^ user.OpType == "Transpose"))) yield return use;
                else yield return (user, index, flipped);
            }
        }
    }

    private static WeightKind Kind(Tensor tensor, Node node, int index, HashSet<Node> heads) => (node.OpType, index) switch
    {
        ("MatMul" or "Gemm" or "FusedMatMul" or "Einsum", 0 or 1) when tensor.Dims.Length >= 2 => heads.Contains(node) ? WeightKind.Head : WeightKind.Linear,
        ("Gather", 0) when tensor.Dims.Length == 2 => WeightKind.Embedding,
        ("Conv" or "ConvTranspose", 1) => WeightKind.Convolution,
        ("BatchNormalization", 3 or 4) => WeightKind.Statistics,
        ("BatchNormalization" or "LayerNormalization" or "SimplifiedLayerNormalization" or "InstanceNormalization" or "GroupNormalization" or "RMSNormalization", >= 1) => WeightKind.Norm,
        (_, int.MaxValue) => WeightKind.Other, // inside a subgraph
        ("Mul", _) when tensor.Dims.Length == 1 && tensor.Count > 1 => WeightKind.Norm,
        ("Add" or "Gemm" or "Conv" or "ConvTranspose", _) when tensor.Dims.Length == 1 && tensor.Count > 1 => WeightKind.Bias,
        _ => WeightKind.Other,
    };

    /// <summary>The products that make the scored output, with nothing but bias, scale, shape and activation between.</summary>
    private static HashSet<Node> Heads(Graph graph, string scored)
    {
        var producers = graph.Nodes.SelectMany(n => n.Outputs.Where(o => o.Length > 0).Select(o => (o, n))).ToDictionary(p => p.o, p => p.n);
        var heads = new HashSet<Node>();
        var pending = new Stack<string>([scored]);
        while (pending.TryPop(out string? value))
        {
            if (!producers.TryGetValue(value, out Node? node)) continue;
            if (node.OpType is "MatMul" or "Gemm" or "FusedMatMul" or "Einsum" or "Conv") heads.Add(node);
            else if (afterHead.Contains(node.OpType) && node.Input(0) is { } before) pending.Push(before);
            else if (node.OpType is "Add" or "Mul" or "Div" or "Sub" && node.Inputs.Count(i => !graph.Initializers.ContainsKey(i)) == 1)
                pending.Push(node.Inputs.First(i => !graph.Initializers.ContainsKey(i)));
        }
        return heads;
    }

    /// <summary>The layer of an initializer: by its own name, or by that of the node that reads it where an exporter made the name up.</summary>
    internal static string LayerOf(string initializer, Node node) => MadeUp().IsMatch(initializer) && node.Name.Length > 0 ? LayerOf(node) : Suffix().Replace(initializer, "");

    /// <summary>"/layers.0/attention/wq/MatMul" ⇒ "layers.0.attention.wq"</summary>
    private static string LayerOf(Node node)
    {
        string[] parts = node.Name.Split('/', StringSplitOptions.RemoveEmptyEntries);
        return string.Join('.', parts.Length > 1 ? parts[..^1] : parts);
    }

    [GeneratedRegex(@"::|^/|^\d+$|^_?v(al)?_?\d+$|^const|^node_|^_", RegexOptions.IgnoreCase)]
    private static partial Regex MadeUp();

    [GeneratedRegex(@"\.(weight|bias|kernel|gamma|beta)$", RegexOptions.IgnoreCase)]
    private static partial Regex Suffix();

    [GeneratedRegex(@"attn|attention|(^|[._/])([qkvo]|w[qkvo]|qkv|query|key|value)(_proj|_lin)?($|[._/])", RegexOptions.IgnoreCase)]
    private static partial Regex AttentionName();

    [GeneratedRegex(@"mlp|ffn|feed_?forward|dense_?relu_?dense|(^|[._/])wi(_\d)?($|[._/])|intermediate|(^|[._/])(fc|dense|gate|up|down|w[123]|c_fc|lin|linear)\d*(_proj)?($|[._/])", RegexOptions.IgnoreCase)]
    private static partial Regex MlpName();
}
