using Google.Protobuf;
using Lift.Ort.Artifacts;
using Lift.Ort.Devices;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;
using Lift.Ort.Tests.Lowering.ControlFlow;
using Lift.Ort.Tests.Onnx;
using Lift.Ort.Training;
using static Lift.Ort.Tests.Gradients.CaseData;
using static Lift.Ort.Tests.Lowering.ControlFlow.ControlFlowModel;

namespace Lift.Ort.Tests.Training;

/// <summary>Quantized layers where exporters hide them: in both branches of an If, as merged decoders have them, and in functions.</summary>
[TestClass]
public sealed class QuantizedBranchesTests
{
    private const int Width = 32;

    [TestMethod]
    [DataRow("MatMulNBits")]
    [DataRow("DequantizeLinear")]
    public void Both_branches_read_the_one_float_weight_that_was_trained(string form)
    {
        using var temp = TestFiles.Temp();
        Write(Merged(form), temp["model.onnx"]);
        Graph source = OnnxFile.Read(temp["model.onnx"]);
        QuantizedLayer layer = QuantizedLayer.Find(source).Single();
        ArtifactFolder.Create(TrainingGraph.Build(source, new() { Loss = "mse", Dequantize = ["middle*"], Train = ["middle*"] }), temp["model.onnx"], temp["prepared"]);
        File.WriteAllLines(temp["rows.jsonl"], Enumerable.Range(0, 4).Select(r => $"{{\"x\": [{string.Join(", ", Enumerable.Range(0, Width).Select(i => (i + r) % 5))}], \"labels\": [{string.Join(", ", Enumerable.Range(0, Width).Select(i => i % 3))}]}}"));
        var settings = new RunSettings(temp["prepared"], temp["rows.jsonl"], "none", null, new() { Batch = 4 }, new() { Steps = 2, LearningRate = 1e-2, Warmup = 0, Selection = "random", Budget = Ort.Sparse.Budget.Density(0.1) });
        using IDevice device = Device.Open();
        using (TrainingRun run = TrainingRun.Start(temp["run"], settings, device)) run.Train();
        RunExport.Write(temp["run"], temp["out.onnx"]);

        ModelProto exported = ModelProto.Parser.ParseFrom(File.ReadAllBytes(temp["out.onnx"]));
        Assert.IsFalse(exported.Graph.Initializer.Any(t => t.Name == layer.Weight), "its numbers are gone");
        TensorProto weight = exported.Graph.Initializer.Single(t => t.Name == "middle.weight");
        Assert.AreEqual(1, weight.DataType);
        foreach (AttributeProto branch in exported.Graph.Node.Single(n => n.OpType == "If").Attribute)
        {
            Assert.IsFalse(branch.G.Node.Any(n => n.OpType == form));
            Assert.IsTrue(branch.G.Node.Any(n => n.Input.Contains("middle.weight")), branch.Name);
        }
        float[] before = Run(temp["model.onnx"], 4, Width), then = Run(temp["out.onnx"], 4, Width);
        Assert.IsTrue(before.Zip(then).Any(p => p.First != p.Second) && before.Zip(then).All(p => Math.Abs(p.First - p.Second) < 5), $"trained a little: {before.Zip(then).Max(p => Math.Abs(p.First - p.Second))}");
        exported.Graph.Initializer.Single(t => t.Name == "c").Int32Data[0] = 0;
        File.WriteAllBytes(temp["else.onnx"], exported.ToByteArray());
        float[] otherwise = Run(temp["else.onnx"], 4, Width); // the other branch negates
        for (int i = 0; i < then.Length; i++) Assert.AreEqual(-then[i], otherwise[i], 1e-4f * (1 + Math.Abs(then[i])));
    }

    [TestMethod]
    public void A_layer_in_a_function_is_refused_before_anything_is_trained()
    {
        using var temp = TestFiles.Temp();
        var model = new SampleModel(21).Input("x", Float, "n", Width).Output("y", Float);
        model.Proto.OpsetImport.Add(new OperatorSetIdProto { Domain = "pkg", Version = 1 });
        Quantized(model, "DequantizeLinear");
        var body = new SampleModel().Node("DequantizeLinear", ["q", "s"], ["w"]).Node("MatMul", ["a", "w"], ["r"]);
        model.Proto.Functions.Add(new FunctionProto { Domain = "pkg", Name = "f", Input = { "a", "q", "s" }, Output = { "r" }, Node = { body.Graph.Node }, OpsetImport = { new OperatorSetIdProto { Domain = "", Version = 21 } } });
        model.Graph.Node.Add(new NodeProto { OpType = "f", Domain = "pkg", Name = "call", Input = { "x", "middle.weight_quantized", "middle.weight_scale" }, Output = { "y" } });
        Write(model, temp["model.onnx"]);
        TrainingGraph graph = TrainingGraph.Build(OnnxFile.Read(temp["model.onnx"]), new() { Loss = "mse", Dequantize = ["*"], Train = ["*"] });
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => ArtifactFolder.Create(graph, temp["model.onnx"], temp["prepared"])).Message, "lies inside a function");
        Assert.IsFalse(Directory.Exists(temp["prepared"]));
    }

    /// <summary>then: y = x W; else: y = −(x W); W is stored once, in few bits.</summary>
    private static SampleModel Merged(string form)
    {
        var model = new SampleModel(21).Input("x", Float, "n", Width).Output("y", Float).Constant("c", true);
        Quantized(model, form);
        AttributeProto Half(string name, bool negated) => Branch(name, g =>
        {
            if (form == "MatMulNBits")
            {
                g.Node("MatMulNBits", ["x", "middle.weight_quantized", "middle.weight_scale"], ["m"], SampleModel.Int("K", Width), SampleModel.Int("N", Width), SampleModel.Int("bits", 4), SampleModel.Int("block_size", 16));
                g.Graph.Node[^1].Domain = "com.microsoft";
            }
            else g.Node("DequantizeLinear", ["middle.weight_quantized", "middle.weight_scale"], ["w"]).Node("MatMul", ["x", "w"], ["m"]);
            g.Node(negated ? "Neg" : "Identity", ["m"], ["r"]).Output("r", Float);
        });
        return model.Node("If", ["c"], ["y"], Half("then_branch", false), Half("else_branch", true));
    }

    private static void Quantized(SampleModel model, string form)
    {
        model.Proto.IrVersion = 10;
        model.Proto.OpsetImport.Add(new OperatorSetIdProto { Domain = "com.microsoft", Version = 1 });
        bool blocks = form == "MatMulNBits";
        Tensor q = blocks ? U8([Width, 2, 8], 3) : I8([Width, Width], 3);
        model.Graph.Initializer.Add(new TensorProto { Name = "middle.weight_quantized", DataType = (int)q.Type, Dims = { q.Dims }, RawData = ByteString.CopyFrom(q.AsSpan<byte>()) });
        model.Float("middle.weight_scale", blocks ? [Width, 2] : [], i => 0.004f + (i * 1e-5f));
    }

    private static void Write(SampleModel model, string path) => File.WriteAllBytes(path, model.Proto.ToByteArray());
}
