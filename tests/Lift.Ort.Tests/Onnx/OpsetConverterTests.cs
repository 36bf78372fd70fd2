using Google.Protobuf;
using Lift.Ort.Onnx;

namespace Lift.Ort.Tests.Onnx;

/// <summary>Old and new forms are read into opset 17 to 21 and compute the same as the file itself in ONNX Runtime.</summary>
[TestClass]
public sealed class OpsetConverterTests
{
    private static readonly Dictionary<string, Action<SampleModel>> forms = new()
    {
        ["Squeeze axes"] = m => m.Node("Squeeze", ["x"], ["y"], SampleModel.Ints("axes", 1)),
        ["Squeeze without axes"] = m => m.Node("Squeeze", ["x"], ["y"]),
        ["Unsqueeze axes"] = m => m.Node("Unsqueeze", ["x"], ["y"], SampleModel.Ints("axes", 0, 3)),
        ["ReduceSum axes"] = m => m.Node("ReduceSum", ["x"], ["y"], SampleModel.Ints("axes", -1, 0), SampleModel.Int("keepdims", 0)),
        ["ReduceSum of all"] = m => m.Node("ReduceSum", ["x"], ["y"]),
        ["ReduceMean axes"] = m => m.Node("ReduceMean", ["x"], ["y"], SampleModel.Ints("axes", -1)),
        ["Split sizes"] = m => m.Node("Split", ["x"], ["y", "rest"], SampleModel.Ints("split", 1, 3), SampleModel.Int("axis", 2)),
        ["Split evenly"] = m => m.Node("Split", ["x"], ["y", "rest"], SampleModel.Int("axis", -1)),
        ["Softmax over the last axes"] = m => m.Node("Softmax", ["x"], ["y"]),
        ["Softmax over the first axis on"] = m => m.Node("Softmax", ["x"], ["y"], SampleModel.Int("axis", 0)),
        ["Softmax over the last axis"] = m => m.Node("Softmax", ["x"], ["y"], SampleModel.Int("axis", -1)),
        ["LogSoftmax"] = m => m.Node("LogSoftmax", ["x"], ["y"], SampleModel.Int("axis", 1)),
        ["Hardmax"] = m => m.Node("Hardmax", ["x"], ["y"], SampleModel.Int("axis", 2)),
        ["Dropout ratio"] = m => m.Node("Dropout", ["x"], ["y"], SampleModel.Number("ratio", 0.4f)),
        ["BatchNormalization"] = m =>
        {
            foreach (string name in new[] { "s", "b", "mean", "var" }) m.Float(name, [1], _ => 0.5f);
            m.Node("BatchNormalization", ["x", "s", "b", "mean", "var"], ["y"], SampleModel.Number("epsilon", 1e-3f));
        },
        ["Clip"] = m =>
        {
            m.Float("low", [], _ => -0.5f);
            m.Node("Clip", ["x", "low"], ["y"]);
        },
    };

    public static IEnumerable<object[]> Forms => from form in forms.Keys from opset in new[] { 11, 12, 13, 16 } where opset < 13 || form is "Clip" or "ReduceMean axes" or "BatchNormalization" or "Split evenly" select new object[] { form, opset };

    [TestMethod, DynamicData(nameof(Forms))]
    public void An_old_form_is_said_in_the_new_one(string form, int opset)
    {
        if (form == "Dropout ratio" && opset > 11) return; // the ratio is an input since 12
        SampleModel model = new SampleModel(opset).Input("x", 1, 2, 1, 4).Output("y", 1);
        forms[form](model);
        Compare(model, 17);
    }

    [TestMethod]
    [DataRow(17, 17), DataRow(18, 18), DataRow(21, 21), DataRow(22, 21), DataRow(23, 21), DataRow(24, 21)]
    public void Opsets_17_to_21_are_kept_and_later_ones_lowered(int opset, int expected) => Compare(SampleModelOf(opset), expected);

    [TestMethod]
    public void An_operator_that_takes_bfloat16_only_from_opset_22_on_computes_in_float32_between_casts()
    {
        using var temp = TestFiles.Temp();
        SampleModel model = new SampleModel(22).Input("x", 1, 1, 2, 5, 5).Output("y", 1);
        model.Proto.IrVersion = 10;
        model.Float("w", [3, 2, 3, 3], i => (i % 5) - 2);
        AttributeProto To(int type) => SampleModel.Int("to", type);
        model.Node("Cast", ["x"], ["x16"], To(16)).Node("Cast", ["w"], ["w16"], To(16)).Node("Conv", ["x16", "w16"], ["c"]).Node("MaxPool", ["c"], ["p", "at"], SampleModel.Ints("kernel_shape", 2, 2)).Node("Cast", ["p"], ["y"], To(1));
        Graph graph = OnnxFile.Read(model.Save(temp["m.onnx"]));
        Assert.AreEqual(21, graph.Opset);
        Assert.AreEqual(ElementType.BFloat16, graph.TypeOf("c").Element);
        Assert.AreEqual(ElementType.Int64, graph.TypeOf("at").Element);
        OnnxFile.Write(graph, temp["new.onnx"]);
        SampleModel wide = new SampleModel(21).Input("x", 1, 1, 2, 5, 5).Output("y", 1);
        wide.Proto.IrVersion = 10;
        wide.Graph.Initializer.Add(model.Graph.Initializer);
        wide.Node("Conv", ["x", "w"], ["c"]).Node("MaxPool", ["c"], ["y"], SampleModel.Ints("kernel_shape", 2, 2));
        float[] expected = SampleModel.Run(wide.Save(temp["wide.onnx"]))[0], actual = SampleModel.Run(temp["new.onnx"])[0];
        Assert.HasCount(expected.Length, actual);
        for (int i = 0; i < expected.Length; i++) Assert.AreEqual(expected[i], actual[i], 0.05f * (1 + Math.Abs(expected[i])));
    }

    /// <summary>ONNX Runtime does not run layout 1, so the same data in layout 0 says what comes out.</summary>
    [TestMethod]
    [DataRow("LSTM", 4)]
    [DataRow("GRU", 3)]
    [DataRow("RNN", 1)]
    public void A_recurrent_layer_with_the_batch_first_becomes_one_with_the_steps_first(string op, int gates)
    {
        using var temp = TestFiles.Temp();
        SampleModel Make(bool batchFirst)
        {
            var model = new SampleModel();
            // x: batch 2, steps 3, inputs 4; h: batch 2, directions 2, hidden 5
            model.Float("x", batchFirst ? [2, 3, 4] : [3, 2, 4], i => batchFirst ? i * 0.07f - 1 : (i / 4 % 2 * 12 + i / 8 * 4 + i % 4) * 0.07f - 1);
            model.Float("h", [2, 2, 5], i => batchFirst ? i * 0.03f : (i / 5 % 2 * 10 + i / 10 * 5 + i % 5) * 0.03f);
            model.Float("w", [2, gates * 5, 4], i => i * 7 % 11 * 0.1f - 0.5f);
            model.Float("r", [2, gates * 5, 5], i => i * 5 % 13 * 0.08f - 0.5f);
            string[] outputs = op == "LSTM" ? ["y", "last", "cell"] : ["y", "last"];
            model.Node(op, op == "LSTM" ? ["x", "w", "r", "", "", "h", "h"] : ["x", "w", "r", "", "", "h"], outputs, [SampleModel.Int("hidden_size", 5), new() { Name = "direction", Type = AttributeProto.Types.AttributeType.String, S = ByteString.CopyFromUtf8("bidirectional") }, .. (AttributeProto[])(batchFirst ? [SampleModel.Int("layout", 1)] : [])]);
            foreach (string output in outputs) model.Output(output, 1);
            return model;
        }
        Graph graph = OnnxFile.Read(Make(true).Save(temp["first.onnx"]));
        Assert.IsFalse(graph.Nodes.Exists(n => n.Has("layout")));
        OnnxFile.Write(graph, temp["new.onnx"]);
        List<float[]> expected = SampleModel.Run(Make(false).Save(temp["steps.onnx"])), actual = SampleModel.Run(temp["new.onnx"]);
        for (int b = 0; b < 2; b++)
            for (int d = 0; d < 2; d++)
                for (int j = 0; j < 5; j++)
                {
                    for (int t = 0; t < 3; t++) Assert.AreEqual(expected[0][((t * 2 + d) * 2 + b) * 5 + j], actual[0][((b * 3 + t) * 2 + d) * 5 + j], 1e-6f, "y");
                    for (int k = 1; k < expected.Count; k++) Assert.AreEqual(expected[k][(d * 2 + b) * 5 + j], actual[k][(b * 2 + d) * 5 + j], 1e-6f, $"output {k}");
                }
    }

    [TestMethod]
    public void What_has_no_other_form_is_refused_by_name()
    {
        using var temp = TestFiles.Temp();
        SampleModel norm = new SampleModel(11).Input("x", 1, 2, 3).Output("y", 1);
        foreach (string name in new[] { "s", "b", "m", "v" }) norm.Float(name, [3], _ => 1);
        norm.Node("BatchNormalization", ["x", "s", "b", "m", "v"], ["y", "m1", "v1", "m2", "v2"]);
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => OnnxFile.Read(norm.Save(temp["n.onnx"]))).Message, "saved statistics");

        var inner = new GraphProto { Name = "then" };
        inner.Node.Add(new NodeProto { OpType = "Squeeze", Name = "deep" });
        SampleModel branch = new SampleModel(11).Input("c", 9).Output("y", 1)
            .Node("If", ["c"], ["y"], [.. new[] { "then_branch", "else_branch" }.Select(b => new AttributeProto { Name = b, Type = AttributeProto.Types.AttributeType.Graph, G = inner })]);
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => OnnxFile.Read(branch.Save(temp["b.onnx"]))).Message, "Squeeze 'deep'");
    }

    private static SampleModel SampleModelOf(int opset)
    {
        SampleModel model = SampleModel.Small();
        model.Proto.OpsetImport[0].Version = opset;
        model.Proto.IrVersion = opset >= 21 ? 10 : 8;
        return model;
    }

    private static void Compare(SampleModel model, int expected)
    {
        using var temp = TestFiles.Temp();
        string source = model.Save(temp["old.onnx"]);
        Graph graph = OnnxFile.Read(source);
        Assert.AreEqual(expected, graph.Opset);
        OnnxFile.Write(graph, temp["new.onnx"]);
        foreach (var (before, after) in SampleModel.Run(source).Zip(SampleModel.Run(temp["new.onnx"])))
        {
            Assert.HasCount(before.Length, after);
            for (int i = 0; i < before.Length; i++) Assert.AreEqual(before[i], after[i], 1e-6f);
        }
        ModelProto written = ModelProto.Parser.ParseFrom(File.ReadAllBytes(temp["new.onnx"]));
        Assert.AreEqual(expected >= 21 ? 10 : expected >= 19 ? 9 : 8, written.IrVersion);
    }
}
