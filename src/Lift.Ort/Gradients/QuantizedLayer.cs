using Lift.Ort.Onnx;

namespace Lift.Ort.Gradients;

/// <summary>A matrix of a model that is stored in few bits, and the node that reads it.</summary>
/// <param name="Weight">Name of the initializer that holds the packed numbers.</param>
/// <param name="Layer">The layer it belongs to, as <see cref="WeightCatalog"/> names layers.</param>
/// <param name="Bits">Bits of one number.</param>
/// <param name="BlockSize">How many numbers share a scale; null where that is a whole axis or the whole matrix.</param>
/// <param name="Dims">Dimensions of the float matrix, [in, out] for MatMulNBits, as stored elsewhere.</param>
public sealed record QuantizedLayer(Node Node, string Weight, string Layer, int Bits, long? BlockSize, long[] Dims)
{
    /// <summary>True where <c>lift prepare --dequantize</c> can turn it into a float matrix.</summary>
    public bool CanBecomeFloat => Node.Operator is "com.microsoft.MatMulNBits" or "DequantizeLinear" or "com.microsoft.DequantizeLinear";

    /// <summary>Lists the quantized matrices of a graph in the order of its nodes.</summary>
    public static IReadOnlyList<QuantizedLayer> Find(Graph graph) => [.. graph.Nodes.Select(n => Of(graph, n)).OfType<QuantizedLayer>()];

    private static QuantizedLayer? Of(Graph graph, Node node)
    {
        int index = node.Operator switch
        {
            "com.microsoft.MatMulNBits" or "com.microsoft.MatMulBnb4" or "com.microsoft.MatMulIntegerToFloat" or "com.microsoft.DynamicQuantizeMatMul" => 1,
            "MatMulInteger" or "ConvInteger" => 1,
            "QLinearMatMul" or "QLinearConv" or "com.microsoft.QGemm" => 3,
            "DequantizeLinear" or "com.microsoft.DequantizeLinear" or "com.microsoft.GatherBlockQuantized" => 0,
            _ => -1,
        };
        if (index < 0 || node.Input(index) is not { } name || !graph.Initializers.TryGetValue(name, out Tensor? packed)) return null;
        bool blocks = node.OpType == "MatMulNBits";
        long[] dims = blocks || node.OpType == "MatMulBnb4" ? [node.Int("K"), node.Int("N")] : packed.Dims;
        if (dims.Length < 2) return null; // a bias
        int bits = blocks ? (int)node.Int("bits", 4) : node.OpType == "MatMulBnb4" ? 4 : node.OpType == "GatherBlockQuantized" && packed.Type == ElementType.UInt8 ? (int)node.Int("bits", 4) : packed.Type.Bits();
        return new(node, name, WeightCatalog.LayerOf(Dequantization.FloatName(name), node), bits, node.Int("block_size") is > 0 and var size ? size : null, dims);
    }
}
