using Lift.Ort.Architectures;
using Lift.Ort.Artifacts;
using Lift.Ort.Devices;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;
using Lift.Ort.Sessions;
using Lift.Ort.Tests.Sessions;
using Lift.Ort.Training;

namespace Lift.Ort.Tests.Training;

/// <summary>A small Llama whose matrices are stored in four bits: its float weights train as they do beside float matrices, and layers that are made float train and come out as such.</summary>
[TestClass]
public sealed class QuantizedRunTests
{
    private static readonly LlamaShape shape = new(Width: 64, Layers: 2, Heads: 4, KvHeads: 2, Ffn: 96, Vocab: 128, Tied: true);

    [TestMethod]
    [DataRow(ElementType.Float, LlamaForm.Standard)]
    [DataRow(ElementType.Float16, LlamaForm.Standard)]
    [DataRow(ElementType.Float, LlamaForm.GenAI)]
    public void Gradients_beside_quantized_matrices_are_those_beside_their_floats(ElementType type, LlamaForm form)
    {
        using var temp = TestFiles.Temp();
        string model = Model(temp, type, form);
        var quantized = Step(model, temp["quantized"], new() { Train = ["*norm*", "*embed*"] });
        var floats = Step(model, temp["floats"], new() { Train = ["*norm*", "*embed*"], Dequantize = ["*"] });
        double tolerance = type == ElementType.Float ? 1e-5 : 2e-3; // the float matrices of a float16 model are rounded to float16
        Assert.AreEqual(floats.Loss, quantized.Loss, tolerance * floats.Loss);
        Assert.IsGreaterThan(4, quantized.Gradients.Count);
        foreach (var (name, expected) in floats.Gradients) Near(expected, quantized.Gradients[name], 10 * tolerance, name);
    }

    [TestMethod]
    public void A_layer_that_was_made_float_is_trained_and_exported_as_float_and_the_others_stay()
    {
        using var temp = TestFiles.Temp();
        string model = Model(temp, ElementType.Float), chosen = QuantizedLayer.Find(OnnxFile.Read(model))[1].Layer;
        Graph source = OnnxFile.Read(model);
        Assert.AreEqual("model.layers.0.self_attn.k_proj", chosen, "named as a float layer is, not as its packed numbers");
        ArtifactFolder folder = ArtifactFolder.Create(TrainingGraph.Build(source, new() { Dequantize = [chosen] }), model, temp["prepared"]);
        WeightRecord trained = folder.Record.Weights.Single();
        CollectionAssert.AreEqual(QuantizedLayer.Find(source)[1].Dims, trained.Dims);

        File.WriteAllLines(temp["rows.jsonl"], Enumerable.Range(0, 4).Select(r => $"{{\"input_ids\": [{string.Join(", ", Enumerable.Range(0, 12).Select(i => ((r * 5) + (i * 37)) % 128))}]}}"));
        var settings = new RunSettings(temp["prepared"], temp["rows.jsonl"], "none", null, new() { Batch = 4 }, new() { Steps = 2, LearningRate = 1e-2, Selection = "random", Warmup = 0 });
        using IDevice device = Device.Open();
        using (TrainingRun run = TrainingRun.Start(temp["run"], settings, device)) run.Train();
        var patch = RunExport.Write(temp["run"], temp["out.onnx"], temp["patch.safetensors"]);
        Assert.AreEqual(trained.Name, patch.Entries.Single().Weight);

        Graph exported = OnnxFile.Read(temp["out.onnx"]);
        Assert.AreEqual(source.Nodes.Count(n => n.OpType == "MatMulNBits") - 1, exported.Nodes.Count(n => n.OpType == "MatMulNBits"));
        Assert.AreEqual("MatMul", exported.Nodes.Single(n => n.Inputs.Contains(trained.Name)).OpType);
        Assert.IsFalse(exported.Initializers.ContainsKey(QuantizedLayer.Find(source)[1].Weight), "the packed numbers are gone");
        foreach (var (name, tensor) in exported.Initializers.Where(i => i.Key != trained.Name))
            Assert.IsTrue(tensor.AsSpan<byte>().SequenceEqual(source.Initializers[name].AsSpan<byte>()), $"'{name}' is as it was");

        // The exported file computes what the session trained: its loss is that of the run's weights.
        using var session = TrainingSession.Open(folder, device);
        Tensor weight = exported.Initializers[trained.Name];
        session.Weights.Single().CopyFrom(weight);
        float expected = session.Step(Batch());
        using var evaluation = EvaluationSession.Open(exported, new TrainingGraphOptions(), device);
        Assert.AreEqual(expected, evaluation.Run(Batch()).Loss, 1e-5f * expected);
    }

    [TestMethod]
    public void Export_with_external_data_and_all_layers_float()
    {
        using var temp = TestFiles.Temp();
        string model = temp["big.onnx"];
        OnnxFile.Write(OnnxFile.Read(Model(temp, ElementType.Float)), model, externalData: true);
        Graph source = OnnxFile.Read(model);
        var (floats, weights) = Dequantization.Apply(source, ["*"]);
        Assert.AreEqual(14, weights.Count);
        ArtifactFolder.Create(TrainingGraph.Build(source, new() { Dequantize = ["*"] }), model, temp["prepared"], new() { Storage = ParameterStorage.Source });
        ArtifactFolder folder = ArtifactFolder.Open(temp["prepared"]);
        Assert.HasCount(14, folder.Record.Dequantized!);
        File.WriteAllText(temp["rows.jsonl"], "{\"input_ids\": [1, 2, 3, 4, 5]}\n");
        var settings = new RunSettings(temp["prepared"], temp["rows.jsonl"], "none", null, new(), new() { Steps = 3, LearningRate = 1e-2, Selection = "random", Warmup = 0 });
        using IDevice device = Device.Open();
        using (TrainingRun run = TrainingRun.Start(temp["run"], settings, device)) run.Train();
        RunExport.Write(temp["run"], temp["out.onnx"]);
        Assert.IsTrue(File.Exists(temp["out.onnx.data"]));
        Graph exported = OnnxFile.Read(temp["out.onnx"]);
        Assert.IsEmpty(QuantizedLayer.Find(exported));
        float before = Loss(floats, device), after = Loss(exported, device);
        Assert.AreNotEqual(before, after);
        Assert.AreEqual(before, after, 0.5f);
    }

    [TestMethod]
    public void Wrong_choices_say_what_to_do()
    {
        using var temp = TestFiles.Temp();
        Graph source = OnnxFile.Read(Model(temp, ElementType.Float)), plain = NewModel.Llama(shape);
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => TrainingGraph.Build(source)).Message, "--dequantize '");
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => TrainingGraph.Build(source, new() { Dequantize = ["nothing*"] })).Message, "matches no quantized matrix");
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => TrainingGraph.Build(plain, new() { Dequantize = ["*"] })).Message, "has no quantized matrices");
    }

    private static float Loss(Graph graph, IDevice device)
    {
        using var evaluation = EvaluationSession.Open(graph, new TrainingGraphOptions(), device);
        return evaluation.Run(Batch()).Loss;
    }

    private static string Model(TempFolder temp, ElementType type, LlamaForm form = LlamaForm.Standard)
    {
        NewModel.WriteLlama(temp["model.onnx"], shape, type, form: form, bits: 4);
        return temp["model.onnx"];
    }

    private static (float Loss, Dictionary<string, float[]> Gradients) Step(string model, string prepared, TrainingGraphOptions options)
    {
        ArtifactFolder folder = ArtifactFolder.Create(TrainingGraph.Build(OnnxFile.Read(model), options), model, prepared);
        using IDevice device = Device.Open();
        using var session = TrainingSession.Open(folder, device);
        var batch = Batch();
        if (session.Inputs.Any(i => i.Name == "attention_mask")) batch["attention_mask"] = Tensor.From<long>("attention_mask", Enumerable.Repeat(1L, 24).ToArray(), 2, 12);
        float loss = session.Step(batch);
        float[] all = new float[session.Gradients.Length];
        session.Gradients.CopyTo(all);
        return (loss, session.Slices.ToDictionary(s => s.Weight.Name, s => all[(int)s.Offset..(int)(s.Offset + s.Count)]));
    }

    private static Dictionary<string, Tensor> Batch()
    {
        long[] ids = [.. Enumerable.Range(0, 2 * 12).Select(i => (long)(i * 37 % 128))];
        return new() { ["input_ids"] = Tensor.From<long>("input_ids", ids, 2, 12), ["labels"] = Tensor.From<long>("labels", ids, 2, 12) };
    }

    private static void Near(float[] expected, float[] actual, double tolerance, string name)
    {
        double error = Math.Sqrt(expected.Zip(actual, (a, b) => Math.Pow(a - b, 2)).Sum()), norm = Math.Sqrt(expected.Sum(e => (double)e * e));
        Assert.IsTrue(norm > 0 && error <= tolerance * norm, $"{name}: relative error {error / norm:0.0e+0}");
    }
}
