using Lift.Ort.Onnx;

namespace Lift.Ort.Tests.Training;

/// <summary>Small models for tasks beyond language: heads on the stored encoder, and a few that are put together here.</summary>
internal static class TaskModels
{
    /// <summary>The stored encoder with its hidden states as output <c>last_hidden_state</c>, in front of the pooler.</summary>
    public static void Encoder(string path, int classes = 0)
    {
        Graph graph = OnnxFile.Read(TestFiles.Shared("models/bert-tiny/model.onnx"));
        Node pooler = graph.Nodes.Last(n => n.OpType == "Gather" && graph.TypeOf(n.Inputs[0]).Rank == 3); // [batch, sequence, width] → position 0
        Var hidden = graph.Var(pooler.Inputs[0]);
        graph.Outputs.Clear();
        if (classes == 0) Output(graph, hidden.Identity("last_hidden_state"));
        else Output(graph, hidden.MatMul(Weight(graph, "words.classifier.weight", 64, classes)).Identity("logits"));
        Write(graph, path);
    }

    /// <summary>A decoder that looks at the encoder's states: input_ids and decoder_input_ids → logits [batch, target, vocabulary].</summary>
    public static void EncoderDecoder(string path, int vocabulary = 260, int width = 24)
    {
        var graph = new Graph();
        foreach (var (name, length) in new[] { ("input_ids", "source"), ("attention_mask", "source"), ("decoder_input_ids", "target") })
            graph.Inputs.Add(new(name, new(ElementType.Int64, new("batch", length))));
        ShapeInference.Infer(graph);
        Var table = Weight(graph, "shared.weight", vocabulary, width);
        Var states = table.Gather(graph.Var("input_ids")), words = table.Gather(graph.Var("decoder_input_ids"));
        Var query = words.MatMul(Weight(graph, "decoder.attention.q.weight", width, width)), key = states.MatMul(Weight(graph, "decoder.attention.k.weight", width, width));
        Var hidden = (1 - graph.Var("attention_mask").Cast(ElementType.Float)) * -1e4;
        Var share = graph.Add("Softmax", [query.MatMul(key.Transpose(0, 2, 1)) / Math.Sqrt(width) + hidden.Unsqueeze(1)], n => n.With("axis", -1L));
        Var context = share.MatMul(states.MatMul(Weight(graph, "decoder.attention.v.weight", width, width)));
        Var inner = graph.Add("Relu", [(words + context).MatMul(Weight(graph, "decoder.mlp.up.weight", width, 2 * width))]);
        Output(graph, (inner.MatMul(Weight(graph, "decoder.mlp.down.weight", 2 * width, width)) + context).MatMul(Weight(graph, "lm_head.weight", width, vocabulary)).Identity("logits"));
        Write(graph, path);
    }

    /// <summary>Samples in frames of <paramref name="frame"/> → logits [batch, frames, classes].</summary>
    public static void Speech(string path, int classes, int frame = 40)
    {
        var graph = new Graph { Inputs = { new("input_values", new(ElementType.Float, new("batch", "samples"))) } };
        ShapeInference.Infer(graph);
        Var x = graph.Var("input_values");
        Var frames = x.Reshape(graph.Concat(0, x.ShapeOf().Slice(0, 1, 0), graph.Longs(-1, frame)));
        Var inner = graph.Add("Tanh", [frames.MatMul(Weight(graph, "encoder.mlp.up.weight", frame, 48))]);
        Output(graph, inner.MatMul(Weight(graph, "head.weight", 48, classes)).Identity("logits"));
        Write(graph, path);
    }

    /// <summary>Texts that are read apart by one encoder: NAME_input_ids and NAME_attention_mask → NAME [batch, 12], the mean of the texts' words.</summary>
    public static void Towers(string path, params string[] names)
    {
        var graph = new Graph();
        foreach (string name in names)
            foreach (string input in new[] { "input_ids", "attention_mask" }) graph.Inputs.Add(new($"{name}_{input}", new(ElementType.Int64, new("batch", $"{name}_length"))));
        ShapeInference.Infer(graph);
        Var table = Weight(graph, "shared.weight", 260, 12), mlp = Weight(graph, "encoder.mlp.up.weight", 12, 12);
        foreach (string name in names)
        {
            Var mask = graph.Var($"{name}_attention_mask").Cast(ElementType.Float).Unsqueeze(2);
            Output(graph, ((table.Gather(graph.Var($"{name}_input_ids")) * mask).ReduceSum([1], keepDims: false) / mask.ReduceSum([1], keepDims: false)).MatMul(mlp).Identity(name));
        }
        Write(graph, path);
    }

    /// <summary>A class for every pixel: pixel_values [batch, 3, 12, 10] → logits [batch, classes, 12, 10].</summary>
    public static void Pixels(string path, int classes)
    {
        var graph = new Graph { Inputs = { new("pixel_values", new(ElementType.Float, new("batch", 3, 12, 10))) } };
        ShapeInference.Infer(graph);
        Var inner = graph.Add("Relu", [graph.Add("Conv", [graph.Var("pixel_values"), Weight(graph, "conv.weight", 8, 3, 3, 3)], n => n.With("pads", [1L, 1, 1, 1]).With("kernel_shape", [3L, 3]))]);
        Output(graph, graph.Add("Conv", [inner, Weight(graph, "head.weight", classes, 8, 1, 1)], n => n.With("kernel_shape", [1L, 1]), output: "logits"));
        Write(graph, path);
    }

    /// <summary>Two columns by name, age [n, 1] float and colour [n, 1] int64 → price [n, 1].</summary>
    public static void Columns(string path)
    {
        var graph = new Graph { Inputs = { new("age", new(ElementType.Float, new("n", 1))), new("colour", new(ElementType.Int64, new("n", 1))) } };
        ShapeInference.Infer(graph);
        Var colour = Weight(graph, "colour.embedding", 4, 8).Gather(graph.Var("colour")).Squeeze(1);
        Var inner = graph.Add("Relu", [graph.Concat(1, graph.Var("age"), colour).MatMul(Weight(graph, "mlp.up.weight", 9, 16))]);
        Output(graph, inner.MatMul(Weight(graph, "head.weight", 16, 1)).Identity("price"));
        Write(graph, path);
    }

    private static Var Weight(Graph graph, string name, params long[] dims)
    {
        var random = new Random(name.Length * 31 + (int)dims[^1]);
        double scale = 1 / Math.Sqrt(dims.Length == 4 ? dims[1] * dims[2] * dims[3] : dims[0]);
        Tensor tensor = Tensor.Empty(name, ElementType.Float, dims);
        foreach (ref float value in tensor.AsSpan<float>()) value = (float)((random.NextDouble() - 0.5) * 3.4 * scale);
        graph.Initializers.Add(name, tensor);
        graph.Types[name] = tensor.TensorType;
        return graph.Var(name);
    }

    private static void Output(Graph graph, Var value) => graph.Outputs.Add(new(value.Name, value.Type));

    private static void Write(Graph graph, string path)
    {
        Lift.Ort.Gradients.Prune.Run(graph);
        OnnxFile.Write(graph, path);
    }
}
