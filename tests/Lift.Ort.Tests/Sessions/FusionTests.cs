using Google.Protobuf;
using Lift.Ort.Architectures;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;
using Lift.Ort.Operators;
using Lift.Ort.Sessions.Fusions;
using Microsoft.ML.OnnxRuntime;

namespace Lift.Ort.Tests.Sessions;

[TestClass]
public class FusionTests
{
    private static readonly LlamaShape shape = LlamaShape.Presets["stories260k"];

    [TestMethod]
    public void Fused_gradients_are_those_of_the_chains()
    {
        using var folder = TestFiles.Temp();
        ModelProto plain = Training(folder, new TrainingGraphOptions()), fused = plain.Clone();
        var counts = Fusion.Apply(fused);
        Assert.AreEqual(1, counts["linear cross-entropy"], "linear cross-entropy");
        Assert.AreEqual(shape.Layers, counts["gated unit"], "gated unit");
        Assert.AreEqual(2 * shape.Layers + 1, counts["RMS normalization"], "RMS normalization");
        Assert.AreEqual(4 * shape.Layers, counts["rotary embedding"], "rotary embedding"); // queries and keys, there and back
        Assert.IsLessThan(plain.Graph.Node.Count * 3 / 4, fused.Graph.Node.Count);
        Compare(Run(plain), Run(fused));
    }

    [TestMethod]
    [DataRow(LlamaForm.GenAI)]
    [DataRow(LlamaForm.Opset23)]
    public void Written_out_operators_are_chains_too(LlamaForm form)
    {
        using var folder = TestFiles.Temp();
        ModelProto plain = Training(folder, new TrainingGraphOptions(), form), fused = plain.Clone();
        var counts = Fusion.Apply(fused);
        Assert.AreEqual(1, counts["linear cross-entropy"], "linear cross-entropy");
        Assert.AreEqual(shape.Layers, counts["gated unit"], "gated unit");
        Assert.AreEqual(form == LlamaForm.GenAI ? 4 * shape.Layers : 0, counts["rotary embedding"], "rotary embedding"); // a table per row of the batch is no table
        Compare(Run(plain), Run(fused));
    }

    [TestMethod]
    public void Chains_whose_values_are_read_elsewhere_stay()
    {
        using var folder = TestFiles.Temp();
        ModelProto plain = Training(folder, new TrainingGraphOptions { Train = ["*norm.weight", "*_proj.weight"] }), fused = plain.Clone();
        plain.Graph.Output.Add(new ValueInfoProto { Name = "logits" });
        fused.Graph.Output.Add(new ValueInfoProto { Name = "logits" });
        var counts = Fusion.Apply(fused);
        Assert.AreEqual(0, counts["cross-entropy"] + counts["linear cross-entropy"], "the logits are an output, and their memory must keep them");
        Assert.AreEqual(0, counts["RMS normalization"], "the weight's own gradient reads x / rms");
        Assert.AreEqual(shape.Layers, counts["gated unit"], "gated unit");
        Compare(Run(plain), Run(fused));
    }

    /// <summary>ONNX Runtime takes such nodes out, and then the loss reads the output's own memory.</summary>
    [TestMethod]
    [DataRow("Cast")]
    [DataRow("Mul")]
    [DataRow("Dropout")]
    public void Logits_that_a_node_without_effect_hands_on_keep_their_memory(string op)
    {
        using var folder = TestFiles.Temp();
        ModelProto plain = Training(folder, new TrainingGraphOptions());
        var node = new NodeProto { OpType = op, Name = "handing on", Input = { "logits" }, Output = { "handed" } };
        if (op == "Cast") node.Attribute.Add(new AttributeProto { Name = "to", Type = AttributeProto.Types.AttributeType.Int, I = (long)ElementType.Float });
        if (op == "Mul")
        {
            node.Input.Add("exactly one");
            plain.Graph.Initializer.Add(new TensorProto { Name = "exactly one", DataType = (int)ElementType.Float, FloatData = { 1 } });
        }
        foreach (NodeProto reader in plain.Graph.Node)
            for (int i = 0; i < reader.Input.Count; i++)
                if (reader.Input[i] == "logits") reader.Input[i] = "handed";
        plain.Graph.Node.Insert(plain.Graph.Node.ToList().FindIndex(n => n.Output.Contains("logits")) + 1, node);
        plain.Graph.Output.Add(new ValueInfoProto { Name = "logits" });
        ModelProto fused = plain.Clone();
        var counts = Fusion.Apply(fused);
        Assert.AreEqual(0, counts["cross-entropy"] + counts["linear cross-entropy"]);
        Compare(Run(plain), Run(fused));
    }

    /// <summary>Chains as other people's artifacts have them: not raised to one operator before differentiating.</summary>
    private static ModelProto Training(TempFolder folder, TrainingGraphOptions options, LlamaForm form = LlamaForm.Standard)
    {
        string source = folder["model.onnx"], target = folder["training.onnx"];
        NewModel.WriteLlama(source, form == LlamaForm.Standard ? shape : shape with { Heads = 4, KvHeads = 2 }, ElementType.Float, 1, false, form);
        TrainingGraph graph = TrainingGraph.Build(OnnxFile.Read(source), options with { Raise = false });
        graph.Training.Outputs.RemoveAll(o => o.Name == "logits");
        OnnxFile.Write(graph.Training, target);
        return ModelProto.Parser.ParseFrom(File.ReadAllBytes(target));
    }

    private static Dictionary<string, float[]> Run(ModelProto model)
    {
        using var options = new SessionOptions { IntraOpNumThreads = 2, LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR };
        TrainingOperators.AddTo(options);
        using var session = new InferenceSession(model.ToByteArray(), options);
        long[] ids = [.. Enumerable.Range(0, 2 * 9).Select(i => (long)(i * 37 % shape.Vocab))], labels = [.. ids.Select((id, i) => i % 5 == 2 ? -100 : id)];
        using OrtValue input = OrtValue.CreateTensorValueFromMemory(ids, [2, 9]), label = OrtValue.CreateTensorValueFromMemory(labels, [2, 9]);
        using var run = new RunOptions();
        string[] names = [.. session.OutputMetadata.Keys];
        using var results = session.Run(run, ["input_ids", "labels"], [input, label], names);
        return names.Zip(results).ToDictionary(r => r.First, r => r.Second.GetTensorDataAsSpan<float>().ToArray());
    }

    private static void Compare(Dictionary<string, float[]> plain, Dictionary<string, float[]> fused)
    {
        CollectionAssert.AreEquivalent(plain.Keys, fused.Keys);
        static double Norm(IEnumerable<float> values) => Math.Sqrt(values.Sum(a => (double)a * a));
        double largest = plain.Values.Max(Norm);
        foreach (var (name, expected) in plain)
        {
            double difference = Norm(expected.Zip(fused[name], (a, b) => a - b)), norm = Math.Max(Norm(expected), 1e-3 * largest); // some gradients are zero in exact arithmetic
            Assert.IsTrue(difference <= 1e-5 * norm, $"{name}: relative difference {difference / norm:0.0e+0}");
        }
    }
}
