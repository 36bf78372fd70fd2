using Lift.Ort.Artifacts;
using Lift.Ort.Devices;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;
using Lift.Ort.Sessions;
using Lift.Ort.Tests.Lowering.ControlFlow;
using Lift.Ort.Tests.Onnx;

namespace Lift.Ort.Tests.Gradients;

[TestClass]
public sealed class TrainingGraphTests
{
    private static readonly TrainingGraphOptions classes = new() { Loss = "cross-entropy" };

    private static Graph Mlp => OnnxFile.Read(TestFiles.Shared("models/mlp/model.onnx"));

    [TestMethod]
    public void Lift_trains_all_layers_but_the_head() =>
        Assert.AreEqual("fc1.weight fc2.weight", Names(TrainingGraph.Build(Mlp, classes)));

    [TestMethod]
    public void Patterns_choose_by_initializer_and_by_layer()
    {
        Assert.AreEqual("fc1.weight", Names(TrainingGraph.Build(Mlp, classes with { Train = ["fc1.weight"] })));
        Assert.AreEqual("fc3.weight fc3.bias", Names(TrainingGraph.Build(Mlp, classes with { Train = ["fc3"] })));
        Assert.AreEqual("fc1.weight fc2.weight fc3.weight", Names(TrainingGraph.Build(Mlp, classes with { Train = ["*"], Freeze = ["*.bias"] })));
    }

    [TestMethod]
    public void Made_up_names_are_found_by_their_layer()
    {
        Graph folded = OnnxFile.Read(TestFiles.Shared("models/llama-tiny-folded/model.onnx"));
        var weights = TrainingGraph.Build(folded, new() { Train = ["model.layers.1.self_attn.q_proj"] }).Trainable;
        Assert.AreEqual(1, weights.Count);
        Assert.IsTrue(weights[0].Name.Contains("::") && weights[0].Transposed && weights[0].Kind == WeightKind.Attention, weights[0].ToString());
    }

    [TestMethod]
    public void Tied_weights_get_the_sum_of_both_uses_under_one_name()
    {
        var graph = TrainingGraph.Build(OnnxFile.Read(TestFiles.Shared("models/gpt2-tiny/model.onnx")), new() { Train = ["*"] });
        Assert.AreEqual(1, graph.Trainable.Count(w => w.Name.Contains("wte")));
        Assert.AreEqual(WeightKind.Embedding, graph.Trainable.Single(w => w.Name.Contains("wte")).Kind);
    }

    [TestMethod]
    public void The_only_new_input_is_labels_and_the_loss_comes_first()
    {
        var graph = TrainingGraph.Build(Mlp, classes);
        CollectionAssert.AreEqual(new[] { "x", "labels" }, graph.Training.Inputs.Select(i => i.Name).ToArray());
        Assert.AreEqual(graph.Loss, graph.Training.Outputs[0].Name);
        Assert.AreEqual("logits", graph.Forward.Outputs[1].Name);
    }

    [TestMethod]
    [DataRow("nosuch", null, null, "no output 'nosuch'")]
    [DataRow(null, "nosuch*", null, "--train 'nosuch*' matches no weight")]
    [DataRow(null, "fc1*", "fc*", "nothing left to train")]
    public void Wrong_choices_are_refused_in_one_sentence(string? output, string? train, string? freeze, string expected)
    {
        var e = Assert.ThrowsExactly<LiftException>(() => TrainingGraph.Build(Mlp, classes with { Output = output, Train = train is null ? [] : [train], Freeze = freeze is null ? [] : [freeze] }));
        StringAssert.Contains(e.Message, expected);
    }

    [TestMethod]
    public void A_loss_that_does_not_fit_is_refused()
    {
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => TrainingGraph.Build(Mlp, new())).Message, "causal-lm loss needs an output of [batch, sequence, vocabulary]");
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => TrainingGraph.Build(Mlp, classes with { Loss = "squares" })).Message, "There is no loss 'squares'");
    }

    [TestMethod]
    public void An_operator_without_a_rule_is_named_with_its_node_and_weight()
    {
        Graph graph = Mlp;
        Node relu = graph.Nodes.First(n => n.OpType == "Relu");
        (relu.Domain, relu.OpType, relu.Name) = ("org.pytorch.aten", "ATen", "layer/ATen_7");
        var e = Assert.ThrowsExactly<LiftException>(() => TrainingGraph.Build(graph, classes));
        StringAssert.Contains(e.Message, "No gradient rule for org.pytorch.aten.ATen 'layer/ATen_7', which weight 'fc1.weight' needs");
    }

    [TestMethod]
    public void Building_leaves_the_source_as_it_was()
    {
        Graph graph = Mlp;
        string before = string.Join(' ', graph.Nodes) + string.Join(' ', graph.Inputs);
        TrainingGraph.Build(graph, classes with { Train = ["*"] });
        Assert.AreEqual(before, string.Join(' ', graph.Nodes) + string.Join(' ', graph.Inputs));
    }

    [TestMethod]
    [DataRow("fc*", "fc1.weight", true)]
    [DataRow("fc?.bias", "fc1.bias", true)]
    [DataRow("fc", "fc1", false)]
    [DataRow("a.c", "abc", false)]
    public void Globs_know_two_wildcards(string pattern, string name, bool matches) => Assert.AreEqual(matches, new Glob(pattern).Matches(name));

    [TestMethod]
    public void Numbers_of_a_formula_are_no_weights_though_they_are_initializers()
    {
        Graph graph = Mlp;
        string scores = graph.Outputs[0].Name;
        foreach (var (name, value) in new[] { ("exponent", 2f), ("/norm/Constant_output_0", 1e-5f), ("logit_scale", 3f) }) graph.Initializers[name] = Tensor.Scalar(name, value);
        Var squared = graph.Add("Pow", [graph.Var(scores), graph.Var("exponent")]) + graph.Var("/norm/Constant_output_0");
        Var scaled = squared * graph.Var("logit_scale");
        graph.Outputs[0] = new(scaled.Name, graph.TypeOf(scaled.Name));
        string trained = Names(TrainingGraph.Build(graph, classes with { Train = ["*"] }));
        StringAssert.Contains(trained, "logit_scale");
        Assert.IsFalse(trained.Contains("exponent") || trained.Contains("Constant_output"), trained);
    }

    private static string Names(TrainingGraph graph) => string.Join(' ', graph.Trainable.Select(w => w.Name));

    /// <summary>Values inside a file may be called what the loss calls its own, also where a branch reads them; inputs and weights may not.</summary>
    [TestMethod]
    public void A_value_inside_the_model_may_be_called_labels()
    {
        SampleModel model = new SampleModel().Input("x", ControlFlowModel.Float, "n", 4).Output("y", ControlFlowModel.Float).Output("labels", ControlFlowModel.Float);
        model.Float("w", [4, 4], i => i * 0.1f);
        model.Node("MatMul", ["x", "w"], ["labels"]).Node("ReduceSum", ["labels"], ["sum"]).Constant("zero", 0f).Node("Greater", ["sum", "zero"], ["positive"]);
        model.Node("If", ["positive"], ["y"], ControlFlowModel.Branch("then_branch", g => g.Node("Tanh", ["labels"], ["a"]).Output("a", ControlFlowModel.Float)), ControlFlowModel.Branch("else_branch", g => g.Node("Neg", ["labels"], ["b"]).Output("b", ControlFlowModel.Float)));
        using TempFolder temp = TestFiles.Temp();
        string path = model.Save(temp["m.onnx"]);
        Graph source = OnnxFile.Read(path);
        TrainingGraph graph = TrainingGraph.Build(source, new() { Loss = "mse", Output = "y" });
        Assert.IsTrue(graph.Training.Inputs.Any(i => i.Name == "labels"));
        using var session = TrainingSession.Open(ArtifactFolder.Create(graph, path, temp["artifacts"]), Device.Open());
        float loss = session.Step(new Dictionary<string, Tensor> { ["x"] = Tensor.From<float>("x", [1, 2, 3, 4], 1, 4), ["labels"] = Tensor.From<float>("labels", [0, 0, 0, 0], 1, 4) });
        Assert.AreEqual(1f, loss, 0.05f, "the mean of tanh(8)², tanh(9)², …");
        Assert.AreEqual("labels", source.Nodes[0].Outputs[0], "the file's own graph keeps its names");

        SampleModel taken = new SampleModel().Input("labels", ControlFlowModel.Float, "n", 4).Output("y", ControlFlowModel.Float);
        taken.Float("w", [4, 4], i => i * 0.1f);
        string labelled = taken.Node("MatMul", ["labels", "w"], ["y"]).Save(temp["labelled.onnx"]);
        Assert.Contains("has a value 'labels' already", Assert.ThrowsExactly<LiftException>(() => TrainingGraph.Build(OnnxFile.Read(labelled), new() { Loss = "mse", Train = ["w"] })).Message);
    }

    /// <summary>A trained table of positions, turned, resized and turned back: without help ONNX Runtime resizes it channels-last, which its cubic kernel cannot.</summary>
    [TestMethod]
    public void A_trained_table_may_be_resized_between_two_permutes()
    {
        SampleModel model = new SampleModel().Input("x", ControlFlowModel.Float, "n", 6, 9, 2).Output("y", ControlFlowModel.Float);
        model.Float("table", [1, 3, 3, 2], i => i * 0.1f);
        model.Constant("zero", 0L, 1).Constant("one", 1L, 1).Constant("two", 2L, 1).Constant("three", 3L, 1).Node("Shape", ["x"], ["shape"]).Node("Slice", ["shape", "one", "three", "zero"], ["area"]).Node("Concat", ["one", "two", "area"], ["sizes"], SampleModel.Int("axis", 0));
        model.Node("Transpose", ["table"], ["t"], SampleModel.Ints("perm", 0, 3, 1, 2)).Node("Resize", ["t", "", "", "sizes"], ["r"], new AttributeProto { Name = "mode", Type = AttributeProto.Types.AttributeType.String, S = Google.Protobuf.ByteString.CopyFromUtf8("cubic") });
        model.Node("Transpose", ["r"], ["back"], SampleModel.Ints("perm", 0, 2, 3, 1)).Node("Add", ["x", "back"], ["y"]);
        using TempFolder temp = TestFiles.Temp();
        string path = model.Save(temp["m.onnx"]);
        TrainingGraph graph = TrainingGraph.Build(OnnxFile.Read(path), new() { Loss = "mse", Train = ["table"] });
        string resized = graph.Training.Nodes.First(n => n.OpType == "Resize" && n.Outputs[0] == "r").Inputs[0];
        Assert.AreEqual("Einsum", graph.Training.Nodes.Single(n => n.Outputs.Contains(resized)).OpType, "which the optimizer does not move");
        using var session = TrainingSession.Open(ArtifactFolder.Create(graph, path, temp["artifacts"]), Device.Open());
        Assert.IsTrue(float.IsFinite(session.Step(new Dictionary<string, Tensor> { ["x"] = Tensor.From<float>("x", new float[108], 1, 6, 9, 2), ["labels"] = Tensor.From<float>("labels", new float[108], 1, 6, 9, 2) })));
    }
}
