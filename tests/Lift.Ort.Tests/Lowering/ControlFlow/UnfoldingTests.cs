using Lift.Ort.Gradients;
using Lift.Ort.Lowering;
using Lift.Ort.Onnx;
using Lift.Ort.Tests.Onnx;
using static Lift.Ort.Tests.Lowering.ControlFlow.ControlFlowModel;

namespace Lift.Ort.Tests.Lowering.ControlFlow;

/// <summary>What control flow becomes when its conditions and counts are known, and what is said when they are not.</summary>
[TestClass]
public sealed class UnfoldingTests
{
    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void An_If_with_a_constant_condition_is_its_branch(bool condition)
    {
        SampleModel model = Choice(17).Constant("c", condition);
        Graph lowered = Same(model, 3, 4);
        Assert.IsFalse(lowered.Nodes.Exists(n => n.OpType == "If"));
        Assert.AreEqual(condition ? "w" : "If_0/else_branch/w", WeightCatalog.Find(lowered, "y").Single().Name, "equal names with different values are two weights");
    }

    [TestMethod]
    [DataRow("Greater", 5f, 4f, true)]
    [DataRow("Less", 5f, 4f, false)]
    [DataRow("Equal", 5f, 5f, true)]
    public void Conditions_may_be_computed_from_constants(string op, float a, float b, bool then)
    {
        SampleModel model = Choice(17).Constant("a", a, 1).Constant("b", b, 1).Node(op, ["a", "b"], ["ab"]).Node("Not", ["ab"], ["n"]).Node("Not", ["n"], ["nn"]).Node("Squeeze", ["nn"], ["c"]);
        Assert.AreEqual(then ? "w" : "If_0/else_branch/w", WeightCatalog.Find(Same(model, 3, 4), "y").Single().Name);
    }

    [TestMethod]
    public void Conditions_may_be_computed_from_shapes()
    {
        SampleModel model = Choice(17).Node("Shape", ["x"], ["s"]).Constant("one", 1L).Node("Gather", ["s", "one"], ["d"]).Constant("four", 4L).Node("Equal", ["d", "four"], ["c"]);
        Assert.AreEqual("w", WeightCatalog.Find(Same(model, 3, 4), "y").Single().Name);
    }

    [TestMethod]
    public void Branches_in_branches_with_names_used_again_and_old_forms_are_unfolded()
    {
        SampleModel model = ControlFlowModel.Nested();
        Assert.IsFalse(Same(model, 3, 4).Nodes.Exists(n => n.OpType == "If"));
    }

    [TestMethod]
    public void A_branch_may_give_out_constants()
    {
        var model = new SampleModel().Input("x", Float, "n", 4).Output("y", Float).Constant("c", true).Node("Exp", ["x"], ["e"]);
        AttributeProto Give(string name, params string[] values) => Branch(name, g =>
        {
            g.Constant("k", 2f);
            g.Node("Neg", ["e"], ["m"]).Node("Identity", ["e"], ["i"]);
            foreach (string value in values) g.Output(value, Float);
        });
        model.Node("If", ["c"], ["a", "b", "d"], Give("then_branch", "k", "i", "m"), Give("else_branch", "m", "i", "k"));
        model.Node("Mul", ["a", "b"], ["p"]).Node("Add", ["p", "d"], ["y"]);
        Same(model, 3, 4);
    }

    [TestMethod]
    [DataRow(3, 1e9f)]
    [DataRow(50, 30f)] // the condition ends it
    public void A_Loop_of_known_count_is_its_steps(int count, float limit)
    {
        SampleModel model = ControlFlowModel.Loop(count, limit);
        Graph lowered = Same(model, 3, 4);
        Assert.HasCount(limit > 100 ? 3 : 5, lowered.Nodes.Where(n => n.OpType == "MatMul").ToArray());
    }

    [TestMethod]
    public void A_Scan_over_a_known_axis_is_its_steps()
    {
        SampleModel model = ControlFlowModel.Scan();
        Assert.IsFalse(Same(model, 5, 3, 4).Nodes.Exists(n => n.OpType == "Scan"));
    }

    /// <summary>As PyTorch's second exporter writes it: functions that ask for a rank, each called twice.</summary>
    [TestMethod]
    public void Ifs_inside_functions_are_unfolded_at_every_call()
    {
        var model = new SampleModel(18).Input("x", Float, "n", 4).Output("y", Float);
        model.Proto.OpsetImport.Add(new OperatorSetIdProto { Domain = "pkg", Version = 1 });
        var body = new SampleModel().Node("Shape", ["a"], ["shape"]).Node("Size", ["shape"], ["rank"]).Node("Constant", [], ["two"], SampleModel.Int("value_int", 2)).Node("Equal", ["rank", "two"], ["is"]);
        body.Node("If", ["is"], ["r"], Branch("then_branch", g => g.Node("Neg", ["a"], ["t"]).Node("Exp", ["t"], ["r"]).Output("r", Float)), Branch("else_branch", g => g.Node("Abs", ["a"], ["r"]).Output("r", Float)));
        var function = new FunctionProto { Domain = "pkg", Name = "f", Input = { "a" }, Output = { "r" }, Node = { body.Graph.Node }, OpsetImport = { new OperatorSetIdProto { Domain = "", Version = 18 } } };
        model.Proto.Functions.Add(function);
        foreach (var (from, to) in new[] { ("x", "h"), ("h", "y") }) model.Graph.Node.Add(new NodeProto { OpType = "f", Domain = "pkg", Name = $"call_{to}", Input = { from }, Output = { to } });
        Assert.IsFalse(Same(model, 3, 4).Nodes.Exists(n => n.OpType == "If"));
    }

    [TestMethod]
    public void What_depends_on_the_run_is_refused_in_one_sentence_that_names_node_weight_and_way_out()
    {
        var model = new SampleModel().Input("x", Float, "n", 4).Output("y", Float).Node("ReduceSum", ["x"], ["sum"], SampleModel.Int("keepdims", 0)).Constant("zero", 0f).Node("Greater", ["sum", "zero"], ["c"]);
        model.Float("w", [4, 4], i => i * 0.1f);
        model.Node("If", ["c"], ["y"], Branch("then_branch", g =>
        {
            g.Node("MatMul", ["x", "w"], ["a"]).Output("b", Float);
            g.Graph.Node.Add(new NodeProto { OpType = "SparseAttention", Domain = "com.microsoft", Name = "sparse", Input = { Enumerable.Repeat("a", 9) }, Output = { "b", "b1", "b2" }, Attribute = { SampleModel.Int("num_heads", 1), SampleModel.Int("kv_num_heads", 1), SampleModel.Int("sparse_block_size", 1) } });
        }), Branch("else_branch", g => g.Node("Identity", ["x"], ["b"]).Output("b", Float)));
        Refused(model, "No gradient for If 'If_2', whose then_branch cannot be passed: com.microsoft.SparseAttention 'sparse' cannot be trained through");

        var loop = new SampleModel().Input("x", Float, "n", 4).Output("y", Float).Node("Shape", ["x"], ["s"]).Constant("zero", 0L).Node("Gather", ["s", "zero"], ["n"]).Constant("go", true);
        loop.Float("w", [4, 4], i => i * 0.1f);
        loop.Node("Loop", ["n", "go", "x"], ["y"], Branch("body", b => b.Input("i", Long).Input("g", Bool).Input("h", Float, "n", 4).Node("MatMul", ["h", "w"], ["hw"]).Output("g", Bool).Output("hw", Float)));
        Refused(loop, "Loop 'Loop_2' repeats as often as 'n' says, which depends on the size of 'n' (give it with --dim n=SIZE). Weight 'w'");
        using (TempFolder temp = TestFiles.Temp())
            Assert.HasCount(3, TrainingGraph.Build(OnnxFile.Read(loop.Save(temp["m.onnx"])), new() { Loss = "mse", Train = ["w"], Dims = new Dictionary<string, long> { ["n"] = 3 } }).Forward.Nodes.Where(n => n.OpType == "MatMul").ToArray());
        loop.Graph.Initializer.Add(new TensorProto { Name = "many", DataType = Long, Int64Data = { 5000 } });
        loop.Graph.Node[2].Input[0] = "many";
        Refused(loop, "repeats 5000 times");
    }

    [TestMethod]
    public void An_If_that_no_weight_needs_stays_and_runs()
    {
        var model = new SampleModel().Input("x", Float, "n", 4).Output("y", Float).Node("ReduceSum", ["x"], ["sum"], SampleModel.Int("keepdims", 0)).Constant("zero", 0f).Node("Greater", ["sum", "zero"], ["c"]);
        model.Float("w", [4, 4], i => i * 0.1f);
        model.Node("If", ["c"], ["f"], Branch("then_branch", g => g.Node("Neg", ["x"], ["a"]).Output("a", Float)), Branch("else_branch", g => g.Node("Abs", ["x"], ["b"]).Output("b", Float)));
        model.Node("MatMul", ["f", "w"], ["y"]);
        using TempFolder temp = TestFiles.Temp();
        TrainingGraph training = TrainingGraph.Build(OnnxFile.Read(model.Save(temp["m.onnx"])), new() { Loss = "mse", Train = ["w"] });
        Assert.IsTrue(training.Training.Nodes.Exists(n => n.OpType == "If"));
    }

    [TestMethod]
    public void An_old_form_that_stays_inside_is_refused()
    {
        var model = new SampleModel(11).Input("x", Float, "n", 4).Output("y", Float).Node("ReduceSum", ["x"], ["sum"], SampleModel.Int("keepdims", 0)).Constant("zero", 0f).Node("Greater", ["sum", "zero"], ["c"]);
        model.Float("w", [4, 4], i => i * 0.1f);
        model.Node("If", ["c"], ["f"], Branch("then_branch", g => g.Node("Softmax", ["x"], ["a"]).Output("a", Float)), Branch("else_branch", g => g.Node("Abs", ["x"], ["b"]).Output("b", Float)));
        model.Node("MatMul", ["f", "w"], ["y"]);
        using TempFolder temp = TestFiles.Temp();
        Graph graph = OnnxFile.Read(model.Save(temp["m.onnx"]));
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => OnnxFile.Write(graph, temp["n.onnx"])).Message, "uses Softmax 'Softmax_0' in the form of opset 11");
    }

    [TestMethod]
    public void Weights_inside_a_branch_are_written_back_there()
    {
        using TempFolder temp = TestFiles.Temp();
        string source = Choice(17).Constant("c", false).Save(temp["m.onnx"]);
        Graph graph = OnnxFile.Read(source);
        Tensor changed = graph.Initializers["If_0/else_branch/w"].Copy();
        changed.AsSpan<float>().Fill(7);
        OnnxFile.Replace(source, new Dictionary<string, Tensor> { [changed.Name] = changed }, temp["out.onnx"]);
        ModelProto before = ModelProto.Parser.ParseFrom(File.ReadAllBytes(source)), after = ModelProto.Parser.ParseFrom(File.ReadAllBytes(temp["out.onnx"]));
        TensorProto Inner(ModelProto m) => m.Graph.Node.Single(n => n.OpType == "If").Attribute.Single(a => a.Name == "else_branch").G.Initializer.Single();
        CollectionAssert.AreEqual(changed.AsSpan<byte>().ToArray(), Inner(after).RawData.ToByteArray());
        Inner(after).RawData = Inner(before).RawData;
        Assert.AreEqual(before, after, "nothing else differs");
    }

    /// <summary>x·w or x·w', each in a branch of its own, weights of one name inside.</summary>
    private static SampleModel Choice(int opset)
    {
        var model = new SampleModel(opset).Input("x", Float, "n", 4).Output("y", Float);
        AttributeProto Product(string name, float by) => Branch(name, g =>
        {
            g.Float("w", [4, 400], i => (i % 7 - 3) * by);
            g.Node("MatMul", ["x", "w"], ["y"]).Output("y", Float);
        });
        model.Node("If", ["c"], ["y"], Product("then_branch", 0.1f), Product("else_branch", -0.3f));
        return model;
    }

    /// <summary>The lowered graph, after it has computed what the file computes.</summary>
    private static Graph Same(SampleModel model, params long[] dims)
    {
        using TempFolder temp = TestFiles.Temp();
        // nodes of these samples stand where they are easy to read; ONNX Runtime wants them in order
        foreach (NodeProto last in model.Graph.Node.Where(n => n.OpType == "If" && n.Input[0] == "c").ToArray())
        {
            if (model.Graph.Node.Any(n => n.Output.Contains("c"))) { model.Graph.Node.Remove(last); model.Graph.Node.Add(last); }
        }
        string path = model.Save(temp["m.onnx"]);
        Graph lowered = LoweredGraph.Of(OnnxFile.Read(path));
        float[] expected = Run(path, dims), actual = Run(lowered, dims);
        Assert.HasCount(expected.Length, actual);
        for (int i = 0; i < expected.Length; i++) Assert.AreEqual(expected[i], actual[i], 1e-5f * Math.Max(1, Math.Abs(expected[i])), $"element {i}");
        return lowered;
    }

    private static void Refused(SampleModel model, string sentence)
    {
        using TempFolder temp = TestFiles.Temp();
        Graph graph = OnnxFile.Read(model.Save(temp["m.onnx"]));
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => TrainingGraph.Build(graph, new() { Loss = "mse", Train = ["w"] })).Message, sentence);
        ModelSurvey survey = ModelSurvey.Of(graph, null);
        Assert.IsFalse(survey.Weights.Single(w => w.Weight.Name == "w").Trainable);
        CollectionAssert.Contains(survey.Lacking.Single().Weights, "w");
    }
}
