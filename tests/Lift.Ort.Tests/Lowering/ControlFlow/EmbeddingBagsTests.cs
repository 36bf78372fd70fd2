using Lift.Ort.Gradients;
using Lift.Ort.Lowering;
using Lift.Ort.Onnx;
using Lift.Ort.Tests.Onnx;
using static Lift.Ort.Tests.Lowering.ControlFlow.ControlFlowModel;

namespace Lift.Ort.Tests.Lowering.ControlFlow;

/// <summary>PyTorch's EmbeddingBag, a Loop over as many bags as a batch has.</summary>
[TestClass]
public sealed class EmbeddingBagsTests
{
    [TestMethod]
    [DataRow("ReduceSum", 13, false)]
    [DataRow("ReduceSum", 17, true)]
    [DataRow("ReduceMean", 17, false)]
    [DataRow("ReduceMax", 11, false)]
    [DataRow("ReduceMax", 18, true)]
    public void The_bags_of_a_batch_are_reduced_at_once(string reduce, int opset, bool weighted)
    {
        using TempFolder temp = TestFiles.Temp();
        string path = Bags(reduce, opset, weighted, offsets: null).Save(temp["m.onnx"]);
        Compare(path, 4, 3);
        TrainingGraph training = TrainingGraph.Build(OnnxFile.Read(path), new() { Loss = "mse", Train = ["w"] });
        Assert.IsFalse(training.Training.Nodes.Exists(n => n.OpType == "Loop"));
    }

    [TestMethod]
    [DataRow("ReduceSum", 0L, 2L, 2L, 5L)]
    [DataRow("ReduceSum", 1L, 4L, 4L, 12L)] // indices before the first bag, an empty bag, a last bag of none
    [DataRow("ReduceMean", 0L, 1L, 7L, 11L)]
    [DataRow("ReduceMax", 2L, 3L, 5L, 9L)]
    public void Bags_may_be_of_any_size(string reduce, long a, long b, long c, long d)
    {
        using TempFolder temp = TestFiles.Temp();
        Compare(Bags(reduce, 17, false, [a, b, c, d]).Save(temp["m.onnx"]), 4, 3);
    }

    [TestMethod]
    public void A_loop_that_is_none_is_left_alone()
    {
        using TempFolder temp = TestFiles.Temp();
        SampleModel model = Bags("ReduceSum", 17, false, null);
        model.Graph.Node.Single(n => n.OpType == "Slice").Input[1] = "two"; // bags that overlap
        Graph lowered = LoweredGraph.Of(OnnxFile.Read(model.Constant("two", 0L, 1).Save(temp["m.onnx"])));
        Assert.IsTrue(lowered.Nodes.Exists(n => n.OpType == "Loop"));
    }

    private static void Compare(string path, params long[] dims)
    {
        Graph lowered = LoweredGraph.Of(OnnxFile.Read(path));
        Assert.IsFalse(lowered.Nodes.Exists(n => n.OpType == "Loop"));
        float[] expected = Run(path, dims), actual = Run(lowered, dims);
        Assert.HasCount(expected.Length, actual);
        for (int i = 0; i < expected.Length; i++) Assert.AreEqual(expected[i], actual[i], 1e-5f, $"element {i}");
    }

    /// <summary>The nodes that torch.nn.EmbeddingBag becomes; x [n, 3] holds −1, −0.9, …, of which the indices 0, 1, … are made.</summary>
    private static SampleModel Bags(string reduce, int opset, bool weighted, long[]? offsets)
    {
        var model = new SampleModel(opset).Input("x", Float, "n", 3).Output("y", Float);
        model.Float("w", [12, 2], i => (i * 7 % 11 - 5) * 0.1f);
        model.Constant("ten", 10f).Constant("flat", -1L, 1).Constant("go", true).Constant("zero", 0L, 1).Constant("one", 1L, 1).Constant("end", long.MaxValue, 1).Constant("none", 0L).Constant("first", 0L).Constant("width", 3L);
        model.Node("Mul", ["x", "ten"], ["m"]).Node("Add", ["m", "ten"], ["p"]).Node("Round", ["p"], ["r"]).Node("Cast", ["r"], ["i"], SampleModel.Int("to", Long)).Node("Reshape", ["i", "flat"], ["indices"]).Node("Reshape", ["x", "flat"], ["scales"]);
        model.Node("Shape", ["indices"], ["length"]).Node("Gather", ["length", "none"], ["total"], SampleModel.Int("axis", 0));
        if (offsets is null) model.Node("Range", ["first", "total", "width"], ["starts0"]);
        else
        {
            model.Constant("starts0", 0L, offsets.Length);
            TensorProto tensor = model.Graph.Initializer[^1];
            tensor.Int64Data.Clear();
            tensor.Int64Data.AddRange(offsets);
        }
        model.Node("Concat", ["starts0", "length"], ["starts"], SampleModel.Int("axis", 0)).Node("Slice", ["starts", "one", "end", "zero", "one"], ["ends"]);
        model.Node("Shape", ["ends"], ["bags"]).Node("Gather", ["bags", "none"], ["count"], SampleModel.Int("axis", 0));
        model.Node("Loop", ["count", "go"], ["y"], Branch("body", body =>
        {
            body.Input("k", Long).Input("going", Bool).Constant("axis", 0L, 1).Constant("last", 1L, 1);
            body.Node("Gather", ["starts", "k"], ["from0"], SampleModel.Int("axis", 0)).Node("Gather", ["ends", "k"], ["to0"], SampleModel.Int("axis", 0));
            Unsqueeze("from0", "from", 0);
            Unsqueeze("to0", "to", 0);
            body.Node("Slice", ["indices", "from", "to", "axis"], ["own"]).Node("Gather", ["w", "own"], ["rows"], SampleModel.Int("axis", 0));
            if (weighted)
            {
                body.Node("Slice", ["scales", "from", "to", "axis"], ["ownScales"]);
                Unsqueeze("ownScales", "column", 1);
                body.Node("Mul", ["rows", "column"], ["scaled"]);
            }
            string rows = weighted ? "scaled" : "rows";
            if (opset >= (reduce == "ReduceSum" ? 13 : 18)) body.Node(reduce, [rows, "axis"], ["bag"], SampleModel.Int("keepdims", 0));
            else body.Node(reduce, [rows], ["bag"], SampleModel.Int("keepdims", 0), SampleModel.Ints("axes", 0));
            body.Node("Cast", ["go"], ["goes"], SampleModel.Int("to", Bool)).Output("goes", Bool).Output("bag", Float);

            void Unsqueeze(string from, string to, int axis)
            {
                if (opset >= 13) body.Node("Unsqueeze", [from, axis == 0 ? "axis" : "last"], [to]);
                else body.Node("Unsqueeze", [from], [to], SampleModel.Ints("axes", axis));
            }
        }));
        return model;
    }
}
