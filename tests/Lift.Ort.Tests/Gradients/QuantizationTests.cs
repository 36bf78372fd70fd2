using Lift.Ort.Gradients;
using Lift.Ort.Onnx;
using Lift.Ort.Operators;
using Microsoft.ML.OnnxRuntime;
using static Lift.Ort.Tests.Gradients.CaseData;
using Tensor = Lift.Ort.Onnx.Tensor;

namespace Lift.Ort.Tests.Gradients;

/// <summary>
/// Layers on quantized activations and weights: y = Q(a W) V with a trained float W. Under a loss that is linear in y the straight-through gradient of W is that of the same
/// layers in float, but for what was clipped.
/// </summary>
[TestClass]
public sealed class QuantizationTests
{
    private static readonly Tensor a = F([4, 5]), w = F([5, 6], -0.5f, 0.5f, 2), v = Tensor.From<sbyte>("v", [.. Enumerable.Range(0, 48).Select(i => (sbyte)((i * 37 % 200) - 100))], 6, 8);

    [TestMethod]
    public void Through_quantized_activations_and_a_weight_per_tensor() =>
        Near(Float(0.01f), Gradient(g => Dequantized(g, Quantized(g, Product(g), 0.05f)).MatMul(Weight(g, S(0.01f), axis: null))));

    [TestMethod]
    public void Through_a_weight_per_axis_and_per_block()
    {
        Tensor perColumn = F([8], 0.01f, 0.03f), blocks = F([3, 8], 0.01f, 0.03f);
        float[] scales = perColumn.ToFloats(), blockScales = blocks.ToFloats();
        Near(Float((_, column) => scales[column]), Gradient(g => Product(g).MatMul(Weight(g, perColumn, axis: 1))));
        Near(Float((row, column) => blockScales[(row / 2 * 8) + column]), Gradient(g => Product(g).MatMul(Weight(g, blocks, axis: 0, block: 2))));
    }

    [TestMethod]
    public void What_was_clipped_has_no_gradient()
    {
        float[] clipped = Gradient(g => Dequantized(g, Quantized(g, Product(g), 1e-5f)).MatMul(Weight(g, S(0.01f), axis: null)));
        Assert.IsTrue(clipped.All(x => x == 0), string.Join(" ", clipped));
    }

    [TestMethod]
    public void Through_integers_that_are_moved() =>
        Near(Float(0.01f), Gradient(g => Dequantized(g, Quantized(g, Product(g), 0.05f).Reshape(2, 2, 6).Transpose(1, 0, 2).Transpose(1, 0, 2).Reshape(4, 6)).MatMul(Weight(g, S(0.01f), axis: null))));

    /// <summary>What onnxruntime.quantization.quantize_dynamic makes of a linear layer.</summary>
    [TestMethod]
    public void Through_a_dynamically_quantized_layer() => Near(Float(0.01f), Gradient(g =>
    {
        Var[] x = g.AddMany("DynamicQuantizeLinear", 3, [Product(g)]);
        Var integers = g.Add("MatMulInteger", [x[0], Constant(g, v), x[2], Constant(g, Tensor.Scalar("vz", (sbyte)0))]);
        return integers.Cast(ElementType.Float) * (x[1] * Constant(g, S(0.01f)));
    }));

    [TestMethod]
    public void Scales_are_no_weights()
    {
        Graph graph = Build(g => Dequantized(g, Quantized(g, Product(g), 0.05f)).MatMul(Weight(g, F([8], 0.01f, 0.03f), axis: 1))).Graph;
        CollectionAssert.AreEqual(new[] { "w" }, WeightCatalog.Find(graph, null).Where(c => c.Name == "w" || c.Value.Dims is [] or [8]).Select(c => c.Name).ToArray(), "no scale is a weight");
        QuantizedLayer layer = QuantizedLayer.Find(graph).Single();
        Assert.AreEqual((8, "v", true), (layer.Bits, layer.Weight, layer.CanBecomeFloat));
    }

    private static Var Product(Graph g) => Constant(g, a).MatMul(g.Var("w"));

    private static Var Quantized(Graph g, Var x, float scale) => g.Add("QuantizeLinear", [x, Constant(g, S(scale)), Constant(g, Tensor.Scalar("xz", (byte)128))]);

    private static Var Dequantized(Graph g, Var q) => g.Add("DequantizeLinear", [q, Constant(g, S(0.05f)), Constant(g, Tensor.Scalar("xz", (byte)128))]);

    private static Var Weight(Graph g, Tensor scale, int? axis, int block = 0) => g.Add("DequantizeLinear", [Constant(g, v, "v"), Constant(g, scale)], n =>
    {
        if (axis is { } along) n.With("axis", (long)along);
        if (block > 0) n.With("block_size", (long)block);
    });

    private static Var Constant(Graph g, Tensor tensor, string? stem = null)
    {
        string name = g.NewName(stem ?? tensor.Name);
        g.Initializers.Add(name, tensor.Rename(name));
        g.Types[name] = tensor.TensorType;
        return g.Var(name);
    }

    private static float[] Float(float scale) => Float((_, _) => scale);

    /// <summary>The same layers with the weight's numbers as floats.</summary>
    private static float[] Float(Func<int, int, float> scale)
    {
        float[] values = [.. v.ToFloats().Select((q, i) => q * scale(i / 8, i % 8))];
        return Gradient(g => Product(g).MatMul(Constant(g, Tensor.From<float>("vf", values, 6, 8))));
    }

    private static (Graph Graph, string Loss) Build(Func<Graph, Var> layers)
    {
        var graph = new Graph { Opset = 21, IrVersion = 10, Domains = { ["com.microsoft"] = 1 } };
        graph.Initializers.Add("w", w.Rename("w"));
        graph.Types["w"] = w.TensorType;
        Var y = layers(graph), weights = Constant(graph, F([4, 8], seed: 5));
        return (graph, (y * weights).ReduceSum([0, 1], keepDims: false).Name);
    }

    private static float[] Gradient(Func<Graph, Var> layers)
    {
        var (graph, loss) = Build(layers);
        string gradient = BackwardPass.Run(graph, loss, ["w"])["w"].Name;
        graph.Outputs.Add(new(gradient, new(ElementType.Float, null)));
        using var folder = TestFiles.Temp();
        OnnxFile.Write(graph, folder["graph.onnx"]);
        using var options = new SessionOptions { IntraOpNumThreads = 1, GraphOptimizationLevel = GraphOptimizationLevel.ORT_DISABLE_ALL };
        TrainingOperators.AddTo(options);
        using var session = new InferenceSession(folder["graph.onnx"], options);
        using var run = new RunOptions();
        using var results = session.Run(run, [], [], [gradient]);
        return results[0].GetTensorDataAsSpan<float>().ToArray();
    }

    private static void Near(float[] expected, float[] actual)
    {
        Assert.HasCount(expected.Length, actual);
        Assert.IsTrue(expected.Any(e => Math.Abs(e) > 0.1), "the expected gradient is no zero");
        for (int i = 0; i < expected.Length; i++) Assert.AreEqual(expected[i], actual[i], 1e-4f * expected.Max(Math.Abs), $"entry {i}");
    }
}
