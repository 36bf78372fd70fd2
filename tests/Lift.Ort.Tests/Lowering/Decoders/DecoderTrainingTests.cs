using System.Text.Json;
using Lift.Ort.Artifacts;
using Lift.Ort.Devices;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;
using Lift.Ort.Sessions;
using Lift.Ort.Tests.Artifacts;
using Lift.Ort.Tests.Sessions;

namespace Lift.Ort.Tests.Lowering.Decoders;

/// <summary>Decoders with a cache train as if they had none, and go out as they came in.</summary>
[TestClass]
public sealed class DecoderTrainingTests
{
    [TestMethod]
    [DynamicData(nameof(RecordedDecoder.Rows), typeof(RecordedDecoder))]
    public void Loss_and_all_gradients_equal_autograds(string name)
    {
        var decoder = new RecordedDecoder(name);
        using TempFolder temp = TestFiles.Temp();
        Graph source = OnnxFile.Read(decoder.Path);
        TrainingGraph training = TrainingGraph.Build(source, new() { Loss = decoder.Loss, Train = ["*"] });
        string[] user = [.. training.Forward.Inputs.Select(i => i.Name)];
        CollectionAssert.AreEquivalent(decoder.Batch(0).Keys.ToArray(), user, string.Join(", ", user));
        Assert.IsFalse(training.Training.Nodes.Exists(n => n.OpType is "If" or "Loop" or "GroupQueryAttention"));

        using var session = TrainingSession.Open(ArtifactFolder.Create(training, decoder.Path, temp["artifacts"]), Device.Open());
        var wrong = new List<string>();
        for (int i = 0; i < decoder.Cases; i++)
        {
            float loss = session.Step(decoder.Batch(i));
            if (!(Math.Abs(loss - decoder.LossOf(i)) <= 1e-5 * decoder.LossOf(i))) wrong.Add($"case {i}: loss {loss} instead of {decoder.LossOf(i)}");
            wrong.AddRange(decoder.Errors(i, GoldenModelsTests.Gradients(session), source).Where(e => !(e.Value <= 1e-4)).Select(e => $"case {i}: {e.Key} is wrong by {e.Value:G3}"));
        }
        Assert.IsEmpty(wrong, string.Join("; ", wrong));
    }

    [TestMethod]
    [DataRow("gpt2-merged-apart")]
    [DataRow("llama-genai-packed")]
    [DataRow("bloom-fused")]
    [DataRow("mpt-turned")]
    public void The_real_training_runtime_has_the_same_losses(string name)
    {
        var decoder = new RecordedDecoder(name);
        using TempFolder temp = TestFiles.Temp();
        ArtifactFolder folder = ArtifactFolder.Create(TrainingGraph.Build(OnnxFile.Read(decoder.Path), new() { Loss = decoder.Loss, Train = ["*"] }), decoder.Path, temp["artifacts"]);
        JsonElement theirs = TrainingRuntime.Train(folder, [decoder.Batch(0), decoder.Batch(1)]);
        Assert.AreEqual(decoder.LossOf(0), theirs.GetProperty("before").GetDouble(), 1e-4 * decoder.LossOf(0));
        using var session = TrainingSession.Open(folder, Device.Open());
        Assert.AreEqual(session.Step(decoder.Batch(0)), theirs.GetProperty("losses").EnumerateArray().First().GetDouble(), 1e-4 * decoder.LossOf(0));
        Assert.IsLessThan(decoder.LossOf(0), theirs.GetProperty("after").GetDouble());
    }

    /// <summary>The exported file keeps its cache and its If; only the bytes of weights differ, in both branches where both hold a weight.</summary>
    [TestMethod]
    [DynamicData(nameof(RecordedDecoder.Rows), typeof(RecordedDecoder))]
    public void Only_weights_differ_in_what_goes_out(string name)
    {
        var decoder = new RecordedDecoder(name);
        using TempFolder temp = TestFiles.Temp();
        Graph source = OnnxFile.Read(decoder.Path);
        string[] weights = [.. TrainingGraph.Build(source, new() { Loss = decoder.Loss, Train = ["*"] }).Trainable.Select(w => w.Name)];
        var changed = weights.ToDictionary(w => w, w => source.Initializers[w].Copy());
        foreach (Tensor tensor in changed.Values)
            foreach (ref float v in tensor.AsSpan<float>()) v += 0.5f;
        OnnxFile.Replace(decoder.Path, changed, temp["out.onnx"]);

        ModelProto before = ModelProto.Parser.ParseFrom(File.ReadAllBytes(decoder.Path)), after = ModelProto.Parser.ParseFrom(File.ReadAllBytes(temp["out.onnx"]));
        var old = Tensors(before.Graph).ToArray();
        var now = Tensors(after.Graph).ToArray();
        int differ = 0;
        foreach (var (a, b) in old.Zip(now))
        {
            if (!a.RawData.Equals(b.RawData)) differ++;
            b.RawData = a.RawData;
        }
        Assert.AreEqual(before, after, "graph, inputs, outputs and storage are the same");
        Assert.AreEqual(name == "gpt2-merged-apart" ? 2 * weights.Length : weights.Length, differ);
        Graph again = OnnxFile.Read(temp["out.onnx"]);
        foreach (string w in weights) CollectionAssert.AreEqual(changed[w].AsSpan<byte>().ToArray(), again.Initializers[w].AsSpan<byte>().ToArray(), w);
    }

    /// <summary>The same where the weights lie in a file of their own, as in merged decoders above 2 GB.</summary>
    [TestMethod]
    [DataRow("gpt2-merged")]
    [DataRow("gpt2-merged-apart")]
    public void Weights_in_a_file_beside_the_model_are_written_back_too(string name)
    {
        using TempFolder temp = TestFiles.Temp();
        ModelProto proto = ModelProto.Parser.ParseFrom(File.ReadAllBytes(new RecordedDecoder(name).Path));
        using (FileStream data = File.Create(temp["m.onnx_data"]))
        {
            foreach (TensorProto tensor in Tensors(proto.Graph).Where(t => t.RawData.Length > 16))
            {
                tensor.DataLocation = TensorProto.Types.DataLocation.External;
                foreach (var (key, value) in new[] { ("location", "m.onnx_data"), ("offset", $"{data.Position}"), ("length", $"{tensor.RawData.Length}") }) tensor.ExternalData.Add(new StringStringEntryProto { Key = key, Value = value });
                tensor.RawData.WriteTo(data);
                tensor.ClearRawData();
            }
        }
        File.WriteAllBytes(temp["m.onnx"], Google.Protobuf.MessageExtensions.ToByteArray(proto));
        Graph plain = OnnxFile.Read(new RecordedDecoder(name).Path), source = OnnxFile.Read(temp["m.onnx"]);
        CollectionAssert.AreEqual(plain.Initializers.Keys.ToArray(), source.Initializers.Keys.ToArray());
        foreach (string weight in plain.Initializers.Keys) CollectionAssert.AreEqual(plain.Initializers[weight].AsSpan<byte>().ToArray(), source.Initializers[weight].AsSpan<byte>().ToArray());

        Tensor changed = source.Initializers.Values.First(t => t.Name.Contains("c_fc.bias")).Copy();
        changed.AsSpan<float>().Fill(3);
        OnnxFile.Replace(temp["m.onnx"], new Dictionary<string, Tensor> { [changed.Name] = changed }, temp["out.onnx"]);
        Graph after = OnnxFile.Read(temp["out.onnx"]);
        foreach (var (weight, tensor) in source.Initializers)
            CollectionAssert.AreEqual((weight == changed.Name ? changed : tensor).AsSpan<byte>().ToArray(), after.Initializers[weight].AsSpan<byte>().ToArray(), weight);
    }

    private static IEnumerable<TensorProto> Tensors(GraphProto graph) => graph.Initializer.Concat(graph.Node.SelectMany(n => n.Attribute).Where(a => a.G is not null).SelectMany(a => Tensors(a.G)));

    [TestMethod]
    public void A_decoder_that_knows_its_encoder_by_a_cache_only_is_refused()
    {
        Graph graph = OnnxFile.Read(Path.Combine(Path.GetDirectoryName(new RecordedDecoder("t5-merged").Path)!, "with-past.onnx"));
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => TrainingGraph.Build(graph, new() { Loss = "cross-entropy" })).Message, "'past_key_values.0.encoder.key' holds what the decoder once computed from its encoder");
    }
}
