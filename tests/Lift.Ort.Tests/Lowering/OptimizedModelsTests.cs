using Lift.Ort.Artifacts;
using Lift.Ort.Devices;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;
using Lift.Ort.Sessions;

namespace Lift.Ort.Tests.Lowering;

/// <summary>What onnxruntime.transformers.optimizer makes of an encoder (tools/reference/optimized) trains as the encoder itself does, and keeps its fused form when it is exported.</summary>
[TestClass]
public sealed class OptimizedModelsTests
{
    private static string Model(string name) => Path.Combine(TestFiles.Root, "tests", "Lift.Ort.Tests", "Lowering", "Optimized", $"{name}.onnx");

    [TestMethod]
    [DataRow("attention", "com.microsoft.Attention com.microsoft.BiasGelu com.microsoft.EmbedLayerNormalization com.microsoft.SkipLayerNormalization")]
    [DataRow("multihead", "com.microsoft.BiasGelu com.microsoft.EmbedLayerNormalization com.microsoft.MultiHeadAttention com.microsoft.SkipLayerNormalization")]
    public void Loss_and_gradients_are_those_of_the_model_before(string name, string operators)
    {
        Assert.AreEqual(operators, string.Join(' ', OnnxFile.Read(Model(name)).Nodes.Where(n => n.Domain.Length > 0).Select(n => n.Operator).Distinct().Order(StringComparer.Ordinal)));
        var (expectedLoss, expected) = Step("original");
        var (loss, gradients) = Step(name);
        Assert.AreEqual(expectedLoss, loss, 1e-5f * Math.Abs(expectedLoss));
        double Square(IEnumerable<float> values) => values.Sum(v => (double)v * v);
        double total = expected.Values.Sum(Square);
        Assert.AreEqual(total, gradients.Values.Sum(Square), 1e-5 * total, "the three projections of attention lie in one weight now, their gradients in one gradient");
        string[] common = [.. expected.Keys.Intersect(gradients.Keys)];
        Assert.IsGreaterThanOrEqualTo(20, common.Length);
        foreach (string weight in common)
        {
            double error = Math.Sqrt(Square(expected[weight].Zip(gradients[weight], (a, b) => a - b)));
            Assert.IsTrue(error <= 1e-4 * Math.Max(Math.Sqrt(Square(expected[weight])), 1e-3 * Math.Sqrt(total)), $"{weight}: {error}");
        }
    }

    [TestMethod]
    public void Matrices_of_attention_and_of_the_middle_are_trained_by_default()
    {
        var weights = TrainingGraph.Choose(OnnxFile.Read(Model("attention")), "logits", new());
        CollectionAssert.Contains(weights.Select(w => w.Name).ToArray(), "Attention_0_qkv_weight");
        Assert.IsTrue(weights.All(w => w.Value.Dims.Length == 2));
        Assert.AreEqual(WeightKind.Attention, weights.Single(w => w.Name == "Attention_0_qkv_weight").Kind);
    }

    [TestMethod]
    public void The_export_keeps_the_fused_form()
    {
        using var temp = TestFiles.Temp();
        Tensor weight = OnnxFile.Read(Model("attention")).Initializers["Attention_0_qkv_weight"];
        OnnxFile.Replace(Model("attention"), new Dictionary<string, Tensor> { [weight.Name] = Tensor.From<float>(weight.Name, [.. weight.ToFloats().Select(v => v + 1)], weight.Dims) }, temp["m.onnx"]);
        Graph before = OnnxFile.Read(Model("attention")), after = OnnxFile.Read(temp["m.onnx"]);
        CollectionAssert.AreEqual(before.Nodes.Select(n => n.ToString()).ToArray(), after.Nodes.Select(n => n.ToString()).ToArray());
    }

    private static (float Loss, Dictionary<string, float[]> Gradients) Step(string name)
    {
        using var temp = TestFiles.Temp();
        var folder = ArtifactFolder.Create(TrainingGraph.Build(OnnxFile.Read(Model(name)), new() { Loss = "cross-entropy", Train = ["*"] }), Model(name), temp["artifacts"]);
        using IDevice device = Device.Open();
        using var session = TrainingSession.Open(folder, device);
        var batch = session.Inputs.ToDictionary(i => i.Name, i =>
        {
            int[] values = i.Name == "labels" ? [1, 0] : [.. Enumerable.Range(0, 14).Select(at => i.Name == "input_ids" ? at * 7 % 20 : i.Name == "attention_mask" ? (at is 12 or 13 ? 0 : 1) : at / 4 % 2)];
            long[] dims = i.Name == "labels" && i.Type.Rank == 1 ? [2] : [2, values.Length / 2];
            if (i.Name == "labels" && i.Type.Rank == 2) (values, dims) = ([.. Enumerable.Range(0, 14).Select(at => at % 2)], [2, 7]);
            return i.Type.Element == ElementType.Int32 ? Tensor.From<int>(i.Name, values, dims) : Tensor.From<long>(i.Name, Array.ConvertAll(values, v => (long)v), dims);
        });
        float loss = session.Step(batch);
        var all = new float[session.Gradients.Length];
        session.Gradients.CopyTo(all);
        return (loss, session.Slices.ToDictionary(s => s.Weight.Name, s => all[(int)s.Offset..(int)(s.Offset + s.Count)]));
    }
}
