using Lift.Ort.Gradients;
using Lift.Ort.Lowering;
using Lift.Ort.Onnx;
using Lift.Ort.Tests.Onnx;

namespace Lift.Ort.Tests.Lowering;

[TestClass]
public sealed class LoweredGraphTests
{
    [TestMethod]
    [DataRow(23)]
    [DataRow(24)]
    public void A_file_of_a_late_opset_is_computed_by_its_lowered_graph(int opset)
    {
        using var temp = TestFiles.Temp();
        SampleModel model = new SampleModel(opset).Input("x", 1, 2, 3, 16).Output("y", 1);
        model.Proto.IrVersion = 10;
        model.Float("cos", [2, 3, 4], i => MathF.Cos(i * 0.1f));
        model.Float("sin", [2, 3, 4], i => MathF.Sin(i * 0.1f));
        model.Float("scale", [16], i => 0.5f + i * 0.1f);
        model.Node("RMSNormalization", ["x", "scale"], ["n"])
            .Node("RotaryEmbedding", ["n", "cos", "sin"], ["q"], SampleModel.Int("num_heads", 2))
            .Node("Attention", ["q", "n", "x"], ["a"], SampleModel.Int("q_num_heads", 2), SampleModel.Int("kv_num_heads", 2), SampleModel.Int("is_causal", 1))
            .Node(opset > 23 ? "Swish" : "Sigmoid", ["a"], ["y"]);
        string file = model.Save(temp["file.onnx"]);
        Graph lowered = LoweredGraph.Of(OnnxFile.Read(file));
        Assert.AreEqual(21, lowered.Opset);
        OnnxFile.Write(lowered, temp["lowered.onnx"]);
        float[] expected = SampleModel.Run(file)[0], actual = SampleModel.Run(temp["lowered.onnx"])[0];
        Assert.HasCount(expected.Length, actual);
        for (int i = 0; i < expected.Length; i++) Assert.AreEqual(expected[i], actual[i], 1e-5f);
    }

    [TestMethod]
    public void A_form_without_a_lowering_stays_and_says_why()
    {
        var graph = new Graph { Domains = { ["com.microsoft"] = 1 } };
        graph.Inputs.Add(new("q", new(ElementType.Float, new("B", "S", 64))));
        ShapeInference.InferInputs(graph);
        Var y = graph.Add("GroupQueryAttention", [graph.Var("q"), null, null], n => n.With("num_heads", 4L).With("kv_num_heads", 2L).With("k_quant_type", "PER_TENSOR"), "com.microsoft", "y");
        graph.Outputs.Add(new(y.Name, y.Type));
        Graph lowered = LoweredGraph.Of(graph);
        Assert.AreEqual("GroupQueryAttention", lowered.Nodes.Single().OpType);
        StringAssert.Contains(LoweredGraph.WhyNot(lowered, lowered.Nodes[0]), "GroupQueryAttention 'y' cannot be written out in standard operators: its cache is quantized (k_quant_type = PER_TENSOR)");
    }

    [TestMethod]
    public void What_only_runs_is_refused_with_its_way_out()
    {
        var graph = new Graph { Domains = { ["com.microsoft"] = 1 } };
        graph.Initializers.Add("w", Tensor.From<float>("w", [1, 2], 1, 2));
        Var y = graph.Add("PackedMultiHeadAttention", [graph.Var("w")], domain: "com.microsoft", output: "y");
        graph.Types["y"] = new(ElementType.Float, Shape.Scalar);
        var e = Assert.ThrowsExactly<LiftException>(() => BackwardPass.Run(LoweredGraph.Of(graph), y.Name, ["w"]));
        StringAssert.StartsWith(e.Message, "com.microsoft.PackedMultiHeadAttention 'y' cannot be trained through: it works on tokens packed without padding");
        StringAssert.Contains(e.Message, "Weight 'w' needs its gradient");
        Assert.AreEqual("", string.Join(", ", Refusals.Reasons.Keys.Where(op => Lowerings.Has(op) || GradientRules.Has(op))), "no reason to refuse what has a form");
    }

    [TestMethod]
    public void Masks_and_positions_are_made_once_for_all_layers()
    {
        var graph = new Graph { Domains = { ["com.microsoft"] = 1 } };
        foreach (string name in new[] { "a", "b" }) graph.Inputs.Add(new(name, new(ElementType.Float, new("B", "S", 64))));
        graph.Inputs.Add(new("lengths", new(ElementType.Int32, new("B"))));
        graph.Inputs.Add(new("total", new(ElementType.Int32, Shape.Scalar)));
        ShapeInference.InferInputs(graph);
        foreach (string name in new[] { "a", "b" })
        {
            Var[] y = graph.AddMany("GroupQueryAttention", 3, [graph.Var(name), null, null, null, null, graph.Var("lengths"), graph.Var("total")], n => n.With("num_heads", 2L).With("kv_num_heads", 1L), "com.microsoft", $"y{name}");
            graph.Outputs.Add(new(y[0].Name, y[0].Type));
        }
        Graph lowered = LoweredGraph.Of(graph);
        Assert.AreEqual(2, lowered.Nodes.Count(n => n.OpType == "Softmax"));
        Assert.AreEqual(1, lowered.Nodes.Count(n => n.OpType == "Where"));
        Assert.AreEqual(1, lowered.Nodes.Count(n => n.OpType == "Range"));
    }
}
