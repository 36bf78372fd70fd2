using Lift.Ort.Architectures;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace Lift.Ort.Tests.Architectures;

[TestClass]
public sealed class NewModelTests
{
    private static readonly LlamaShape tiny = new(Width: 32, Layers: 2, Heads: 4, KvHeads: 2, Ffn: 48, Vocab: 40, Tied: true);

    [TestMethod]
    [DataRow(true, 1)]
    [DataRow(false, 2)]
    [DataRow(false, 4)]
    public void Logits_equal_a_plain_loop(bool tied, int kvHeads)
    {
        LlamaShape shape = tiny with { Tied = tied, KvHeads = kvHeads };
        Graph graph = NewModel.Llama(shape, seed: 7);
        long[] ids = [3, 14, 15, 9, 26];
        float[] actual = Run(graph, ("input_ids", ids));
        float[] expected = PlainLlama.Logits(shape, graph, ids);
        for (int i = 0; i < expected.Length; i++) Assert.AreEqual(expected[i], actual[i], 2e-6);
        Assert.IsTrue(expected.Max(Math.Abs) > 1e-3, "logits that are all zero would prove nothing");
    }

    [TestMethod]
    public void Padding_on_either_side_changes_nothing()
    {
        Graph graph = NewModel.Llama(tiny, seed: 7, attentionMask: true);
        float[] plain = Run(graph, ("input_ids", [3, 14, 15]), ("attention_mask", [1, 1, 1]));
        float[] right = Run(graph, ("input_ids", [3, 14, 15, 0, 0]), ("attention_mask", [1, 1, 1, 0, 0]));
        for (int i = 0; i < plain.Length; i++) Assert.AreEqual(plain[i], right[i], 1e-6);
        Assert.IsTrue(Run(graph, ("input_ids", [0, 3, 14]), ("attention_mask", [0, 1, 1])).All(float.IsFinite));
    }

    [TestMethod]
    public void Shapes_are_inferred_without_value_info()
    {
        Graph graph = NewModel.Llama(tiny);
        ShapeInference.Infer(graph);
        var unknown = graph.Nodes.SelectMany(n => n.Outputs).Where(o => graph.TypeOf(o).Shape is not { } s || s.Dims.Any(d => !d.IsKnown && d.Symbol is null));
        Assert.AreEqual("", string.Join(", ", unknown.Select(o => $"{o} {graph.TypeOf(o)}")));
    }

    [TestMethod]
    public void Weights_are_normal_and_depend_on_seed_and_name_only()
    {
        LlamaShape wide = tiny with { Vocab = 5000 };
        Graph a = NewModel.Llama(wide, seed: 3), b = NewModel.Llama(wide with { Layers = 1, Tied = false }, seed: 3), c = NewModel.Llama(wide, seed: 4);
        const string name = "model.embed_tokens.weight";
        float[] values = a.Initializers[name].ToFloats();
        CollectionAssert.AreEqual(values, b.Initializers[name].ToFloats());
        CollectionAssert.AreNotEqual(values, c.Initializers[name].ToFloats());
        Assert.AreNotEqual(a.Initializers["model.layers.0.mlp.up_proj.weight"].ToFloats()[0], a.Initializers["model.layers.0.mlp.gate_proj.weight"].ToFloats()[0]);

        double mean = values.Average(v => (double)v), variance = values.Average(v => (v - mean) * (v - mean)), fourth = values.Average(v => Math.Pow(v - mean, 4));
        Assert.AreEqual(0, mean, 0.02 * 5 / Math.Sqrt(values.Length));
        Assert.AreEqual(0.02, Math.Sqrt(variance), 0.0002);
        Assert.AreEqual(3, fourth / (variance * variance), 0.1, "kurtosis of a normal distribution");
        Assert.AreEqual(values.Length, values.Distinct().Count(), values.Length / 50, "no piece repeats another");
    }

    [TestMethod]
    public void Sixteen_bit_weights_are_the_rounded_float32_ones()
    {
        const string name = "model.layers.0.mlp.up_proj.weight";
        float[] wide = NewModel.Llama(tiny).Initializers[name].ToFloats();
        foreach (var (type, digits) in new[] { (ElementType.Float16, 11), (ElementType.BFloat16, 8) })
        {
            float[] narrow = NewModel.Llama(tiny, type).Initializers[name].ToFloats();
            for (int i = 0; i < wide.Length; i++) Assert.AreEqual(wide[i], narrow[i], Math.Abs(wide[i]) * Math.Pow(2, -digits) + 1e-7);
        }
    }

    [TestMethod]
    public void Half_precision_model_runs_near_the_float32_one()
    {
        float[] wide = Run(NewModel.Llama(tiny), ("input_ids", [3, 14, 15]));
        float[] narrow = Run(NewModel.Llama(tiny, ElementType.Float16), ("input_ids", [3, 14, 15]));
        float largest = wide.Max(Math.Abs);
        for (int i = 0; i < wide.Length; i++) Assert.AreEqual(wide[i], narrow[i], 0.02 * largest);
    }

    [TestMethod]
    public void Streamed_file_equals_the_model_in_memory()
    {
        using TempFolder folder = TestFiles.Temp();
        NewModel.WriteLlama(folder["m.onnx"], tiny, ElementType.BFloat16, seed: 5);
        Graph read = OnnxFile.Read(folder["m.onnx"]);
        foreach (var (name, tensor) in NewModel.Llama(tiny, ElementType.BFloat16, seed: 5).Initializers)
            CollectionAssert.AreEqual(tensor.AsSpan<byte>().ToArray(), read.Initializers[name].AsSpan<byte>().ToArray(), name);
    }

    [TestMethod]
    public void All_weights_are_weights_and_nothing_else_is()
    {
        using TempFolder folder = TestFiles.Temp();
        NewModel.WriteLlama(folder["m.onnx"], tiny with { Tied = false });
        foreach (Graph graph in new[] { OnnxFile.Read(folder["m.onnx"]), NewModel.Llama(tiny with { Tied = false }) })
        {
            var weights = TrainingGraph.Choose(graph, "logits", new() { Train = ["*"] });
            CollectionAssert.AreEquivalent(graph.Initializers.Keys.Where(n => n.EndsWith(".weight")).ToArray(), weights.Select(w => w.Name).ToArray());
            Assert.AreEqual(2 + 2 * 9 + 1, weights.Count);
            Assert.AreEqual(14, TrainingGraph.Choose(graph, "logits", new()).Count);
        }
    }

    /// <summary>Sizes of the public checkpoints, in billions.</summary>
    [TestMethod]
    [DataRow("llama-3.2-1b", 0.973, 1.236)]
    [DataRow("llama-3.2-3b", 2.819, 3.213)]
    [DataRow("llama-3-8b", 6.979, 8.030)]
    public void Presets_have_the_published_sizes(string preset, double linear, double all)
    {
        LlamaShape shape = LlamaShape.Presets[preset];
        Assert.AreEqual(linear, Math.Round(shape.LinearWeights / 1e9, 3));
        Assert.AreEqual(all, Math.Round(shape.AllWeights / 1e9, 3));
    }

    private static float[] Run(Graph graph, params (string Name, long[] Values)[] inputs)
    {
        using TempFolder folder = TestFiles.Temp();
        OnnxFile.Write(graph, folder["m.onnx"]);
        using var session = new InferenceSession(folder["m.onnx"]);
        using var results = session.Run([.. inputs.Select(i => NamedOnnxValue.CreateFromTensor(i.Name, new DenseTensor<long>(i.Values, [1, i.Values.Length])))]);
        return results.Single().AsTensor<float>().ToArray();
    }
}
