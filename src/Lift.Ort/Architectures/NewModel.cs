using Google.Protobuf;
using Lift.Ort.Onnx;

namespace Lift.Ort.Architectures;

/// <summary>Makes models with random weights out of standard ONNX operators: for benchmarks and for training from scratch.</summary>
public static class NewModel
{
    /// <summary>Builds a Llama-type decoder in memory, weights from N(0, 0.02²), norms 1.</summary>
    /// <param name="type">Type of weights and activations: float32 (default), bfloat16 or float16.</param>
    /// <param name="attentionMask">True adds the input <c>attention_mask</c>; default: the only input is <c>input_ids</c>.</param>
    /// <exception cref="LiftException">The numbers of the shape do not fit together.</exception>
    public static Graph Llama(LlamaShape shape, ElementType type = ElementType.Float, int seed = 1, bool attentionMask = false)
    {
        Graph graph = Architectures.Llama.Build(shape, type, attentionMask);
        RandomWeights.Materialise(graph, seed);
        return graph;
    }

    /// <summary>Writes the same model to a file, its weights made on the way: memory does not grow with the model.</summary>
    /// <exception cref="LiftException">The numbers of the shape do not fit together, or the file cannot be written.</exception>
    public static void WriteLlama(string path, LlamaShape shape, ElementType type = ElementType.Float, int seed = 1, bool attentionMask = false)
    {
        Graph graph = Architectures.Llama.Build(shape, type, attentionMask);
        SpellConstants(graph);
        OnnxFile.Write(graph, path, contents: (weight, to) => RandomWeights.Write(weight, seed, to));
    }

    /// <summary>Numbers of the computation become Constant nodes, as exporters spell them, so that nobody takes them for weights.</summary>
    private static void SpellConstants(Graph graph)
    {
        foreach (string name in graph.Constants)
        {
            Tensor tensor = graph.Initializers[name];
            var value = new TensorProto { DataType = (int)tensor.Type, RawData = ByteString.CopyFrom(tensor.AsSpan<byte>()) };
            value.Dims.AddRange(tensor.Dims);
            graph.Initializers.Remove(name);
            graph.Nodes.Insert(0, new Node("Constant", "", [], [name], name).Set(new() { Name = "value", Type = AttributeProto.Types.AttributeType.Tensor, T = value }));
        }
        graph.Constants.Clear();
    }
}
