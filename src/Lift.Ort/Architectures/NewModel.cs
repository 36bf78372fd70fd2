using Google.Protobuf;
using Lift.Ort.Onnx;

namespace Lift.Ort.Architectures;

/// <summary>Makes models with random weights, in several vocabularies of operators: for benchmarks and for training from scratch.</summary>
public static class NewModel
{
    /// <summary>Builds a Llama-type decoder in memory, weights from N(0, 0.02²), norms 1.</summary>
    /// <param name="type">Type of weights and activations: float32 (default), bfloat16 or float16.</param>
    /// <param name="attentionMask">True adds the input <c>attention_mask</c>; default: the only input is <c>input_ids</c> (the form with a cache always has both).</param>
    /// <param name="form">The operators it is written in.</param>
    /// <param name="bits">4 stores the matrices of the layers as MatMulNBits of random numbers; 0 (default) as float matrices.</param>
    /// <exception cref="LiftException">The numbers of the shape do not fit together.</exception>
    public static Graph Llama(LlamaShape shape, ElementType type = ElementType.Float, int seed = 1, bool attentionMask = false, LlamaForm form = LlamaForm.Standard, int bits = 0)
    {
        Graph graph = Build(shape, type, attentionMask, form, bits);
        RandomWeights.Materialise(graph, seed);
        return graph;
    }

    /// <summary>Writes the same model to a file, its weights made on the way: memory does not grow with the model.</summary>
    /// <exception cref="LiftException">The numbers of the shape do not fit together, or the file cannot be written.</exception>
    public static void WriteLlama(string path, LlamaShape shape, ElementType type = ElementType.Float, int seed = 1, bool attentionMask = false, LlamaForm form = LlamaForm.Standard, int bits = 0)
    {
        Graph graph = Build(shape, type, attentionMask, form, bits);
        SpellConstants(graph);
        OnnxFile.Write(graph, path, contents: (weight, to) => RandomWeights.Write(weight, seed, to));
    }

    private static Graph Build(LlamaShape shape, ElementType type, bool attentionMask, LlamaForm form, int bits)
    {
        shape.Check();
        LlamaBuilder builder = form switch
        {
            LlamaForm.GenAI => new GenAiLlama(shape, type, bits),
            LlamaForm.Opset23 => new Opset23Llama(shape, type, bits),
            _ => new Llama(shape, type, bits),
        };
        return builder.Build(attentionMask);
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
