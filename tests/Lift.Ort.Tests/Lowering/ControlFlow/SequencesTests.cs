using Lift.Ort.Gradients;
using Lift.Ort.Lowering;
using Lift.Ort.Lowering.ControlFlow;
using Lift.Ort.Onnx;
using Lift.Ort.Tests.Onnx;
using static Lift.Ort.Tests.Lowering.ControlFlow.ControlFlowModel;

namespace Lift.Ort.Tests.Lowering.ControlFlow;

/// <summary>Sequences and optional values, as exporters write them: folded away they compute the same, and what is not known is refused by name.</summary>
[TestClass]
public sealed class SequencesTests
{
    /// <summary>x [n, 6] to y; n is a symbol.</summary>
    private static readonly Dictionary<string, Action<SampleModel>> forms = new()
    {
        ["split evenly, parts by number"] = m => m.Constant("size", 2L).Node("SplitToSequence", ["x", "size"], ["s"], Axis(1)).Constant("i", 1L).Constant("j", -1L).Node("SequenceAt", ["s", "i"], ["a"]).Node("SequenceAt", ["s", "j"], ["b"]).Node("Sub", ["a", "b"], ["y"]),
        ["split by sizes"] = m => { Longs(m, "sizes", 1, 4, 1); m.Node("SplitToSequence", ["x", "sizes"], ["s"], Axis(-1)).Constant("i", 1L).Node("SequenceAt", ["s", "i"], ["y"]); },
        ["split by sizes computed from the shape"] = m => // torch.tensor_split
        {
            m.Constant("one", 1L).Constant("four", 4L).Node("Shape", ["x"], ["shape"]).Node("Gather", ["shape", "one"], ["size"]).Node("Div", ["size", "four"], ["each"]).Node("Add", ["each", "one"], ["more"]).Node("Mod", ["size", "four"], ["rest"]);
            Longs(m, "axis", 0);
            m.Node("Sub", ["four", "rest"], ["others"]).Node("Unsqueeze", ["rest", "axis"], ["rest1"]).Node("Unsqueeze", ["others", "axis"], ["others1"]).Node("Unsqueeze", ["each", "axis"], ["each1"]).Node("Unsqueeze", ["more", "axis"], ["more1"]);
            m.Node("Tile", ["more1", "rest1"], ["long"]).Node("Tile", ["each1", "others1"], ["short"]).Node("Concat", ["long", "short"], ["sizes"], Axis(0));
            m.Node("SplitToSequence", ["x", "sizes"], ["s"], Axis(1)).Constant("i", 2L).Node("SequenceAt", ["s", "i"], ["y"]);
        },
        ["the last part is shorter"] = m => m.Constant("size", 4L).Node("SplitToSequence", ["x", "size"], ["s"], Axis(1)).Constant("i", 1L).Node("SequenceAt", ["s", "i"], ["y"]),
        ["unbind"] = m => m.Node("SplitToSequence", ["x"], ["s"], Axis(1), SampleModel.Int("keepdims", 0)).Constant("i", 5L).Node("SequenceAt", ["s", "i"], ["y"]),
        ["unbind an axis of unknown length"] = m => m.Node("SplitToSequence", ["x"], ["s"], Axis(0), SampleModel.Int("keepdims", 0)).Constant("i", 2L).Constant("j", 0L).Node("SequenceAt", ["s", "i"], ["a"]).Node("SequenceAt", ["s", "j"], ["b"]).Node("Sub", ["a", "b"], ["y"]),
        ["chunks of an axis of unknown length"] = m => m.Constant("size", 2L).Node("SplitToSequence", ["x", "size"], ["s"], Axis(0)).Constant("i", 1L).Node("SequenceAt", ["s", "i"], ["y"]),
        ["a list that is stacked"] = m => m.Node("Neg", ["x"], ["n"]).Node("SequenceConstruct", ["x", "n", "x"], ["s"]).Node("ConcatFromSequence", ["s"], ["y"], Axis(-1), SampleModel.Int("new_axis", 1)),
        ["a list that is joined"] = m => m.Node("Neg", ["x"], ["n"]).Node("SequenceEmpty", [], ["e"]).Node("SequenceInsert", ["e", "x"], ["s"]).Constant("zero", 0L).Node("SequenceInsert", ["s", "n", "zero"], ["t"]).Node("Identity", ["t"], ["u"]).Node("ConcatFromSequence", ["u"], ["y"], Axis(0)),
        ["erased"] = m => m.Node("Neg", ["x"], ["n"]).Node("Exp", ["x"], ["e"]).Node("SequenceConstruct", ["x", "n", "e"], ["s"]).Constant("one", 1L).Node("SequenceErase", ["s", "one"], ["t"]).Node("SequenceErase", ["t"], ["u"]).Node("ConcatFromSequence", ["u"], ["y"], Axis(1)),
        ["its length"] = m => m.Constant("size", 2L).Node("SplitToSequence", ["x", "size"], ["s"], Axis(1)).Node("SequenceLength", ["s"], ["l"]).Node("Cast", ["l"], ["f"], SampleModel.Int("to", Float)).Node("Mul", ["x", "f"], ["y"]),
        ["the length chooses a branch"] = m => m.Node("SequenceConstruct", ["x", "x"], ["s"]).Node("SequenceLength", ["s"], ["l"]).Constant("two", 2L).Node("Equal", ["l", "two"], ["c"]).Node("If", ["c"], ["y"], Branch("then_branch", g => g.Constant("i", 0L).Node("SequenceAt", ["s", "i"], ["a"]).Output("a", Float)), Branch("else_branch", g => g.Node("Neg", ["x"], ["b"]).Output("b", Float))),
        ["mapped"] = m => m.Constant("size", 3L).Node("SplitToSequence", ["x", "size"], ["s"], Axis(1)).Node("SequenceMap", ["s", "x"], ["t"], Branch("body", b => Unshaped(b, "part", "whole").Node("ReduceMax", ["whole"], ["most"], SampleModel.Int("keepdims", 0)).Node("Mul", ["part", "most"], ["o"]).Output("o", Float))).Node("ConcatFromSequence", ["t"], ["y"], Axis(1)),
        ["filled by a loop"] = m => m.Constant("three", 3L).Constant("go", true).Node("SequenceEmpty", [], ["empty"]).Node("Loop", ["three", "go", "x", "empty"], ["last", "list"], Branch("body", b =>
        {
            Unshaped(b.Input("i", Long).Input("g", Bool), "h").Graph.Input.Add(SequenceOf("before"));
            b.Node("Tanh", ["h"], ["t"]).Node("SequenceInsert", ["before", "t"], ["after"]).Output("g", Bool).Output("t", Float);
            b.Graph.Output.Add(SequenceOf("after"));
        })).Node("ConcatFromSequence", ["list"], ["y"], Axis(1)),
        ["optional"] = m => m.Node("Optional", ["x"], ["o"]).Node("OptionalHasElement", ["o"], ["c"]).Node("If", ["c"], ["y"], Branch("then_branch", g => g.Node("OptionalGetElement", ["o"], ["a"]).Output("a", Float)), Branch("else_branch", g => g.Node("Neg", ["x"], ["b"]).Output("b", Float))),
        ["optional list"] = m => m.Node("SequenceConstruct", ["x", "x"], ["s"]).Node("Optional", ["s"], ["o"]).Node("OptionalGetElement", ["o"], ["t"]).Node("ConcatFromSequence", ["t"], ["y"], Axis(1)),
    };

    public static IEnumerable<object[]> Forms => forms.Keys.Select(f => new object[] { f });

    [TestMethod, DynamicData(nameof(Forms))]
    public void What_is_known_is_folded_away_and_computes_the_same(string form)
    {
        SampleModel model = new SampleModel(18).Input("x", Float, "n", 6).Output("y", Float);
        model.Proto.IrVersion = 8;
        forms[form](model);
        using TempFolder temp = TestFiles.Temp();
        string path = model.Save(temp["m.onnx"]);
        Graph lowered = LoweredGraph.Of(OnnxFile.Read(path));
        Assert.AreEqual("", string.Join(", ", lowered.Nodes.Where(n => Sequences.Operators.Contains(n.OpType) || n.OpType is "If" or "Loop")));
        float[] expected = Run(path, 4, 6), actual = Run(lowered, 4, 6);
        Assert.HasCount(expected.Length, actual);
        for (int i = 0; i < expected.Length; i++) Assert.AreEqual(expected[i], actual[i], 1e-6f, $"element {i}");
    }

    [TestMethod]
    public void Gradients_pass_through_parts_to_the_weight()
    {
        SampleModel model = new SampleModel(18).Input("x", Float, "n", 3).Output("y", Float);
        model.Float("w", [3, 6], i => i * 0.1f);
        model.Node("MatMul", ["x", "w"], ["h"]).Constant("size", 2L).Node("SplitToSequence", ["h", "size"], ["s"], Axis(1)).Constant("i", 0L).Constant("j", 2L).Node("SequenceAt", ["s", "i"], ["a"]).Node("SequenceAt", ["s", "j"], ["b"]).Node("Mul", ["a", "b"], ["y"]);
        using TempFolder temp = TestFiles.Temp();
        TrainingGraph graph = TrainingGraph.Build(OnnxFile.Read(model.Save(temp["m.onnx"])), new() { Loss = "mse" });
        CollectionAssert.AreEqual(new[] { "w" }, graph.Trainable.Select(w => w.Name).ToArray());
    }

    [TestMethod]
    public void What_depends_on_the_run_is_refused_in_one_sentence()
    {
        Refused(m => m.Node("SequenceConstruct", ["h", "h"], ["s"]).Node("Shape", ["h"], ["shape"]).Constant("zero", 0L).Node("Gather", ["shape", "zero"], ["n"]).Node("SequenceAt", ["s", "n"], ["y"]), "SequenceAt 'SequenceAt_4' takes an element of 's' whose place, or which itself, depends on the run. Weight 'w' needs its gradient: freeze that weight (--freeze 'w')");
        Refused(m => m.Node("SplitToSequence", ["h"], ["s"], Axis(0)).Node("ConcatFromSequence", ["s"], ["y"], Axis(1)), "ConcatFromSequence 'ConcatFromSequence_2' works on a sequence whose length depends on the run");
    }

    private static void Refused(Action<SampleModel> fill, string sentence)
    {
        SampleModel model = new SampleModel().Input("x", Float, "n", 4).Output("y", Float);
        model.Float("w", [4, 4], i => i * 0.1f);
        fill(model.Node("MatMul", ["x", "w"], ["h"]));
        using TempFolder temp = TestFiles.Temp();
        Graph graph = OnnxFile.Read(model.Save(temp["m.onnx"]));
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => TrainingGraph.Build(graph, new() { Loss = "mse", Train = ["w"] })).Message, sentence);
    }

    private static AttributeProto Axis(long axis) => SampleModel.Int("axis", axis);

    private static SampleModel Unshaped(SampleModel model, params string[] inputs)
    {
        foreach (string input in inputs) model.Graph.Input.Add(SampleModel.Value(input, Float, null));
        return model;
    }

    private static void Longs(SampleModel model, string name, params long[] values) =>
        model.Graph.Initializer.Add(new TensorProto { Name = name, DataType = Long, Dims = { values.Length }, Int64Data = { values } });

    private static ValueInfoProto SequenceOf(string name) =>
        new() { Name = name, Type = new TypeProto { SequenceType = new() { ElemType = new TypeProto { TensorType = new() { ElemType = Float } } } } };
}
