using System.Text.Json;
using Lift.Ort.Data;
using Lift.Ort.Devices;
using Lift.Ort.Generation;
using Lift.Ort.Onnx;

namespace Lift.Ort.Tests.Generation;

[TestClass]
public sealed class LossMetricTests
{
    [TestMethod]
    [DataRow("stories260k", "causal-lm")]
    [DataRow("llama-tiny", "causal-lm")]
    [DataRow("gpt2-tiny", "causal-lm")]
    [DataRow("mlp", "cross-entropy")]
    [DataRow("bert-tiny", "cross-entropy")]
    public void Losses_of_exported_models_are_the_golden_ones(string name, string loss)
    {
        using var device = Device.Open();
        using var model = ExportedModel.Open(TestFiles.Shared($"models/{name}/model.onnx"), device);
        var measure = new LossMetric(model);
        Assert.AreEqual(loss, measure.Loss);
        using var golden = JsonDocument.Parse(File.ReadAllBytes(TestFiles.Shared($"models/{name}/golden.json")));
        foreach (var entry in golden.RootElement.GetProperty("cases").EnumerateArray())
        {
            var values = entry.GetProperty("inputs").EnumerateObject().ToDictionary(i => i.Name, i => Read(i.Name, i.Value, $"models/{name}"));
            values["labels"] = Read("labels", entry.GetProperty("labels"), $"models/{name}");
            var score = measure.Score([new Batch(values, (int)values["labels"].Dims[0], 1, 1)]);
            double wanted = entry.GetProperty("loss").GetDouble();
            Assert.AreEqual(wanted, score.Loss, 1e-5 * wanted, entry.GetProperty("case").ToString());
            Assert.AreEqual(entry.GetProperty("kept_labels").GetInt64(), score.LabelTokens);
        }
    }

    [TestMethod]
    public void Value_losses_and_final_activations_follow_their_formulas()
    {
        using var temp = TestFiles.Temp();
        float[] x = [0.5f, -2, 3, 0.1f], y = [1, 0, 1, 1];
        Batch batch = new(new Dictionary<string, Tensor> { ["x"] = Tensor.From<float>("x", x, 2, 2), ["labels"] = Tensor.From<float>("labels", y, 2, 2) }, 2, 2, 2);
        Batch classes = new(new Dictionary<string, Tensor> { ["x"] = batch.Values["x"], ["labels"] = Tensor.From<long>("labels", [1, -100], 2) }, 2, 2, 2);
        double Sigmoid(double z) => 1 / (1 + Math.Exp(-z));
        double bce = x.Zip(y, (z, t) => -(t * Math.Log(Sigmoid(z)) + (1 - t) * Math.Log(1 - Sigmoid(z)))).Average();
        double mse = x.Zip(y, (z, t) => (z - t) * (double)(z - t)).Average();
        double ce = -Math.Log(Math.Exp(-2) / (Math.Exp(-2) + Math.Exp(0.5)));

        Assert.AreEqual(mse, Score("Identity", "mse", batch).Loss, 1e-6);
        Assert.AreEqual(bce, Score("Identity", "bce", batch).Loss, 1e-6);
        Assert.AreEqual(bce, Score("Sigmoid", "bce", batch).Loss, 1e-6, "a final Sigmoid is taken back");
        Assert.AreEqual(ce, Score("Identity", null, classes).Loss, 1e-6);
        Assert.AreEqual(ce, Score("Softmax", null, classes).Loss, 1e-6, "a final Softmax is taken back");
        Assert.AreEqual((0.0, 1L, 1), (Score("Identity", null, classes).Accuracy!.Value, Score("Identity", null, classes).LabelTokens, Score("Identity", null, classes).Examples));
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => Score("Identity", "squares", batch)).Message, "no loss 'squares'");

        LossScore Score(string op, string? loss, Batch data)
        {
            OneNodeModel(op, temp["m.onnx"]);
            using var device = Device.Open();
            using var model = ExportedModel.Open(temp["m.onnx"], device);
            return new LossMetric(model, loss).Score([data]);
        }
    }

    [TestMethod]
    public void Rows_of_a_batch_that_is_filled_up_are_judged_and_those_that_fill_it_are_not()
    {
        using var temp = TestFiles.Temp();
        OneNodeModel("Identity", temp["m.onnx"]);
        using var device = Device.Open();
        using var model = ExportedModel.Open(temp["m.onnx"], device);
        var score = new LossMetric(model).Score([new Batch(new Dictionary<string, Tensor> { ["x"] = Tensor.From<float>("x", [2, 1, 1, 2, 3, 0], 3, 2), ["labels"] = Tensor.From<long>("labels", [0, 0, -100], 3) }, 2, 2, 2)]);
        Assert.AreEqual((2, 2L, 0.5), (score.Examples, score.LabelTokens, score.Metrics["accuracy"]));
        Assert.AreEqual(1 / 3.0, score.Metrics["f1"], 1e-9, "class 0: two labels, one answer, one right; class 1: no label, one answer");
        score = new LossMetric(model, "bce").Score([new Batch(new Dictionary<string, Tensor> { ["x"] = Tensor.From<float>("x", [2, 1, 1, -2, 3, 0], 3, 2), ["labels"] = Tensor.From<float>("labels", [1, 1, 0, 0, -100, -100], 3, 2) }, 2, 2, 2)]);
        Assert.AreEqual(0.75, score.Metrics["accuracy"], 1e-9);
    }

    [TestMethod]
    public void The_sum_of_exponentials_is_exact_enough_for_any_length()
    {
        foreach (int n in new[] { 1, 7, 8, 9, 515 })
        {
            float[] x = [.. Enumerable.Range(0, n).Select(i => MathF.Sin(i) * 30 - 40)];
            Assert.AreEqual(Math.Log(x.Sum(v => Math.Exp(v))), LossMetric.LogSumExp(x), 1e-6);
            Assert.AreEqual(Array.IndexOf(x, x.Max()), LossMetric.ArgMax(x));
        }
    }

    /// <summary>x [batch, 2] → y [batch, 2] through one operator.</summary>
    internal static void OneNodeModel(string op, string path)
    {
        var type = new TypeProto { TensorType = new() { ElemType = 1, Shape = new() { Dim = { new TensorShapeProto.Types.Dimension { DimParam = "batch" }, new TensorShapeProto.Types.Dimension { DimValue = 2 } } } } };
        var model = new ModelProto
        {
            IrVersion = 8,
            OpsetImport = { new OperatorSetIdProto { Version = 17 } },
            Graph = new GraphProto
            {
                Name = "g",
                Node = { new NodeProto { OpType = op, Input = { "x" }, Output = { "y" } } },
                Input = { new ValueInfoProto { Name = "x", Type = type } },
                Output = { new ValueInfoProto { Name = "y", Type = type.Clone() } },
            },
        };
        File.WriteAllBytes(path, Google.Protobuf.MessageExtensions.ToByteArray(model));
    }

    private static unsafe Tensor Read(string name, JsonElement entry, string folder)
    {
        long[] shape = [.. entry.GetProperty("shape").EnumerateArray().Select(d => d.GetInt64())];
        if (entry.TryGetProperty("data", out var data)) return Tensor.From<long>(name, [.. data.EnumerateArray().Select(v => v.GetInt64())], shape);
        byte[] bytes = File.ReadAllBytes(TestFiles.Shared($"{folder}/{entry.GetProperty("file").GetString()}"));
        return Tensor.From(name, System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(bytes.AsSpan()), shape);
    }
}
