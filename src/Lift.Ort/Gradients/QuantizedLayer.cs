using Lift.Ort.Onnx;

namespace Lift.Ort.Gradients;

/// <summary>A matrix of a model that is stored in few bits, and the node that reads it.</summary>
/// <param name="Weight">Name of the initializer that holds the packed numbers.</param>
/// <param name="Layer">The layer it belongs to, as <see cref="WeightCatalog"/> names layers.</param>
/// <param name="Bits">Bits of one number.</param>
/// <param name="BlockSize">How many numbers share a scale; null where that is a whole axis or the whole matrix.</param>
/// <param name="Dims">Dimensions of the float matrix, [in, out] for MatMulNBits and MatMulBnb4, as stored elsewhere.</param>
public sealed record QuantizedLayer(Node Node, string Weight, string Layer, int Bits, long? BlockSize, long[] Dims)
{
    /// <summary>Name of the scales: the node's own, and for products of integers the one that is multiplied in behind them; null where that was not found.</summary>
    public string? Scale { get; private init; }

    /// <summary>True where <c>lift prepare --dequantize</c> can turn it into a float matrix.</summary>
    public bool CanBecomeFloat => DequantizedNodes.Knows(Node.Operator) && Scale is not null;

    /// <summary>Where an operator has its packed matrix, the scales and the zero points; no scales: they follow behind.</summary>
    internal static (int Packed, int? Scale, int Zero)? Inputs(string op) => op switch
    {
        "DequantizeLinear" or "com.microsoft.DequantizeLinear" => (0, 1, 2),
        "com.microsoft.MatMulNBits" or "com.microsoft.DynamicQuantizeMatMul" => (1, 2, 3),
        "com.microsoft.MatMulBnb4" => (1, 2, int.MaxValue),
        "com.microsoft.GatherBlockQuantized" => (0, 2, 3),
        "com.microsoft.MatMulIntegerToFloat" => (1, 3, 5),
        "QLinearMatMul" or "QLinearConv" or "com.microsoft.QGemm" => (3, 4, 5),
        "com.microsoft.QAttention" => (1, 4, 7),
        "MatMulInteger" or "ConvInteger" => (1, null, 3),
        _ => null,
    };

    /// <summary>Lists the quantized matrices of a graph in the order of its nodes, then those inside of branches and bodies, each once.</summary>
    public static IReadOnlyList<QuantizedLayer> Find(Graph graph) => [.. Outside(graph), .. DequantizedBranches.Find(graph).DistinctBy(l => l.Weight)];

    /// <summary>The quantized matrices of the main graph.</summary>
    internal static IEnumerable<QuantizedLayer> Outside(Graph graph) => graph.Nodes.Select(n => Of(graph, n)).OfType<QuantizedLayer>();

    internal static QuantizedLayer? Of(Graph graph, Node node)
    {
        if (Inputs(node.Operator) is not { } at || node.Input(at.Packed) is not { } name || !graph.Initializers.TryGetValue(name, out Tensor? packed)) return null;
        bool product = node.OpType is "MatMulNBits" or "MatMulBnb4", gathers = node.OpType == "GatherBlockQuantized" && packed.Type == ElementType.UInt8;
        int bits = node.OpType == "MatMulBnb4" ? 4 : node.OpType == "MatMulNBits" || gathers ? (int)node.Int("bits", 4) : packed.Type.Bits();
        long[] dims = product ? [node.Int("K"), node.Int("N")] : gathers ? [.. packed.Dims[..^1], packed.Dims[^1] * 8 / bits] : packed.Dims;
        if (dims.Length < 2) return null; // a bias
        return new(node, name, WeightCatalog.LayerOf(Dequantization.FloatName(name), node), bits, node.Int("block_size") is > 0 and var size ? size : null, dims)
        {
            Scale = at.Scale is { } index ? node.Input(index) : ScaleBehind(graph, node),
        };
    }

    /// <summary>What onnxruntime.quantization writes behind a product of integers: Cast, then Mul by (scale of x · scale of the weight); the weight's is the one that the file holds.</summary>
    private static string? ScaleBehind(Graph graph, Node node)
    {
        Node? cast = graph.Nodes.Find(n => n.OpType == "Cast" && n.Inputs[0] == node.Outputs[0]);
        Node? times = cast is null ? null : graph.Nodes.Find(n => n.OpType == "Mul" && n.Inputs.Contains(cast.Outputs[0]));
        if (times?.Inputs.Find(i => i != cast!.Outputs[0]) is not { } factor) return null;
        if (graph.Initializers.ContainsKey(factor)) return factor;
        Node? scales = graph.Nodes.Find(n => n.OpType == "Mul" && n.Outputs[0] == factor);
        return scales?.Inputs.Find(graph.Initializers.ContainsKey);
    }
}
