using Lift.Ort.Onnx;

namespace Lift.Ort.Tests.Artifacts;

/// <summary>Classifiers of a few weights around one kind of layer; input x, scores of three classes.</summary>
internal static class SmallModels
{
    private const int Images = 4, Steps = 5, Features = 3, Units = 6, Classes = 3;

    /// <summary>batch-norm (convolutions, BatchNormalization in training form, pooling), lstm, gru or gru-linear (linear_before_reset).</summary>
    public static Graph Make(string name)
    {
        var graph = new Graph { Opset = 17 };
        bool vision = name == "batch-norm";
        graph.Inputs.Add(new("x", new(ElementType.Float, vision ? new Shape("batch", 3, 8, 8) : new Shape(Steps, "batch", Features))));
        ShapeInference.InferInputs(graph);
        Var features = vision ? Convolutions(graph) : Recurrence(graph, name);
        Var logits = graph.Add("Gemm", [features, Weight(graph, "head.weight", 9, vision ? 8 : Units, Classes), Weight(graph, "head.bias", 10, Classes)], output: "logits");
        graph.Outputs.Add(new(logits.Name, logits.Type));
        return graph;
    }

    public static Dictionary<string, Tensor> Batch(string name, int seed)
    {
        long[] dims = name == "batch-norm" ? [Images, 3, 8, 8] : [Steps, Images, Features];
        return new() { ["x"] = Tensor.From<float>("x", Numbers(seed, dims, 1), dims), ["labels"] = Tensor.From<long>("labels", [0, 2, 1, seed % 3], Images) };
    }

    private static Var Convolutions(Graph g)
    {
        Var x = g.Add("Conv", [g.Var("x"), Weight(g, "conv.weight", 1, 4, 3, 3, 3), Weight(g, "conv.bias", 2, 4)], n => n.With("pads", [1L, 1, 1, 1]).With("strides", [2L, 2]));
        x = g.AddMany("BatchNormalization", 3, [x, Weight(g, "bn.weight", 3, 4), Weight(g, "bn.bias", 4, 4), g.Constant<float>([0.1f, 0, -0.1f, 0.2f], [4], "bn.running_mean"), g.Constant<float>([1, 2, 1, 0.5f], [4], "bn.running_var")], n =>
            n.With("training_mode", 1L).With("momentum", 0.9f))[0];
        x = g.Add("MaxPool", [g.Add("Relu", [x])], n => n.With("kernel_shape", [2L, 2]).With("strides", [2L, 2]));
        x = g.Add("Conv", [x, Weight(g, "group.weight", 5, 8, 2, 3, 3)], n => n.With("pads", [1L, 1, 1, 1]).With("group", 2L));
        return g.Add("Flatten", [g.Add("GlobalAveragePool", [x])]);
    }

    private static Var Recurrence(Graph g, string name)
    {
        int gates = name == "lstm" ? 4 : 3;
        Var[] y = g.AddMany(name == "lstm" ? "LSTM" : "GRU", 2, [g.Var("x"), Weight(g, "w", 1, 1, gates * Units, Features), Weight(g, "r", 2, 1, gates * Units, Units), Weight(g, "b", 3, 1, 2 * gates * Units)], n =>
        {
            n.With("hidden_size", (long)Units);
            if (name == "gru-linear") n.With("linear_before_reset", 1L);
        });
        return y[1].Squeeze(0) + y[0].Squeeze(1).ReduceMean([0], keepDims: false);
    }

    private static Var Weight(Graph g, string name, int seed, params long[] dims) => g.Constant<float>(Numbers(seed + 100, dims, 0.4f), dims, name);

    private static float[] Numbers(int seed, long[] dims, float size)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, (int)dims.Aggregate(1L, (a, b) => a * b)).Select(_ => size * (2 * random.NextSingle() - 1))];
    }
}
