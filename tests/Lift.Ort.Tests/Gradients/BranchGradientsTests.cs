using Lift.Ort.Artifacts;
using Lift.Ort.Devices;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;
using Lift.Ort.Sessions;
using Lift.Ort.Tests.Artifacts;
using Lift.Ort.Tests.Cli;
using Lift.Ort.Tests.Onnx;
using Lift.Ort.Tests.Sessions;
using static Lift.Ort.Tests.Lowering.ControlFlow.ControlFlowModel;

namespace Lift.Ort.Tests.Gradients;

/// <summary>An If whose condition the run decides has the loss and the gradients of the branch that it takes.</summary>
[TestClass]
public sealed class BranchGradientsTests
{
    /// <summary>h = x·w, then one of two ways to y and z: normalised and through v, or scaled by s behind another If; h and w are read outside too.</summary>
    /// <param name="condition">"run": by the sum of x; otherwise the constant itself.</param>
    private static SampleModel Model(string condition, int opset, bool known)
    {
        var model = new SampleModel(opset).Input("x", Float, "n", 4).Output("y", Float);
        if (known) model.Constant("c", condition == "True");
        else model.Node("ReduceSum", ["x"], ["sum"], SampleModel.Int("keepdims", 0)).Constant("zero", 0f).Node("Greater", ["sum", "zero"], ["c"]);
        model.Float("w", [4, 6], i => ((i * 7 % 11) - 5) * 0.11f);
        model.Float("v", [6, 6], i => ((i * 5 % 13) - 6) * 0.09f);
        model.Float("s", [6], i => 0.5f + (i * 0.1f));
        model.Float("g", [6], i => 1 + (i * 0.05f));
        model.Node("MatMul", ["x", "w"], ["h"]);
        model.Node("If", ["c"], ["a", "b"], Branch("then_branch", then =>
        {
            then.Node("ReduceMean", ["h"], ["m"], SampleModel.Ints("axes", -1)).Node("Sub", ["h", "m"], ["d"]).Node("MatMul", ["d", "v"], ["dv"]).Node("Softmax", ["dv"], ["p"], SampleModel.Int("axis", 1)).Node("Mul", ["p", "g"], ["a1"]);
            then.Node("Unsqueeze", ["a1"], ["u"], SampleModel.Ints("axes", 0)).Node("Squeeze", ["u"], ["a2"], SampleModel.Ints("axes", 0));
            then.Output("a2", Float).Output("d", Float);
        }), Branch("else_branch", otherwise =>
        {
            otherwise.Constant("limit", -100f).Node("ReduceMax", ["h"], ["top"], SampleModel.Int("keepdims", 0)).Node("Greater", ["top", "limit"], ["inner"]);
            otherwise.Node("If", ["inner"], ["r"], Branch("then_branch", g => g.Node("Tanh", ["h"], ["t"]).Node("Mul", ["t", "s"], ["r1"]).Output("r1", Float)), Branch("else_branch", g => g.Node("Neg", ["h"], ["r2"]).Output("r2", Float)));
            otherwise.Node("Identity", ["h"], ["same"]).Output("r", Float).Output("same", Float);
        }));
        return model.Node("Add", ["a", "h"], ["ah"]).Node("Mul", ["ah", "b"], ["y"]);
    }

    [TestMethod]
    [DataRow(17)]
    [DataRow(11)] // Softmax, Squeeze and ReduceMean inside in their old forms
    public void Gradients_are_those_of_the_branch_taken(int opset)
    {
        using TempFolder temp = TestFiles.Temp();
        using IDevice device = Device.Open();
        SampleModel model = Forms(Model("run", opset, known: false), opset);
        string path = model.Save(temp["run.onnx"]);
        Assert.IsEmpty(ModelSurvey.Of(OnnxFile.Read(path), null).Lacking);
        TrainingGraph training = TrainingGraph.Build(OnnxFile.Read(path), new() { Loss = "mse", Train = ["*"] });
        Assert.IsTrue(training.Training.Nodes.Count(n => n.OpType == "If") == 2);
        using var session = TrainingSession.Open(ArtifactFolder.Create(training, path, temp["run"]), device);
        foreach (bool then in new[] { true, false, true })
        {
            string fixedPath = Forms(Model(then.ToString(), opset, known: true), opset).Save(temp["known.onnx"]);
            TrainingGraph straight = TrainingGraph.Build(OnnxFile.Read(fixedPath), new() { Loss = "mse", Train = ["*"] });
            using var other = TrainingSession.Open(ArtifactFolder.Create(straight, fixedPath, temp[$"known{then}{Directory.GetDirectories(temp.Path).Length}"]), device);
            var batch = new Dictionary<string, Tensor>
            {
                ["x"] = Tensor.From<float>("x", [.. Enumerable.Range(0, 12).Select(i => ((i * 5 % 7) - 3 + (then ? 0.4f : -0.4f)) * 0.3f)], 3, 4),
                ["labels"] = Tensor.From<float>("labels", [.. Enumerable.Range(0, 18).Select(i => (i % 5) * 0.2f)], 3, 6),
            };
            Assert.AreEqual(other.Step(batch), session.Step(batch), 1e-6f);
            Dictionary<string, float[]> wanted = GoldenModelsTests.Gradients(other), mine = GoldenModelsTests.Gradients(session);
            foreach (string weight in new[] { "w", "v", "s", "g" })
            {
                float[] expected = wanted.GetValueOrDefault(weight) ?? new float[mine[weight].Length];
                Assert.IsTrue(wanted.ContainsKey(weight) == (weight == "w" || then == weight is "v" or "g"), weight);
                for (int i = 0; i < expected.Length; i++) Assert.AreEqual(expected[i], mine[weight][i], 1e-5f, $"branch {then}, {weight}[{i}]");
            }
        }
    }

    /// <summary>ONNX Runtime's own training build: If and the training operators inside its branches are its own there.</summary>
    [TestMethod]
    public void The_real_training_runtime_has_the_same_losses()
    {
        using TempFolder temp = TestFiles.Temp();
        string path = Forms(Model("run", 17, known: false), 17).Save(temp["m.onnx"]);
        ArtifactFolder folder = ArtifactFolder.Create(TrainingGraph.Build(OnnxFile.Read(path), new() { Loss = "mse", Train = ["*"] }), path, temp["a"]);
        Dictionary<string, Tensor>[] batches = [.. new[] { 0.5f, -0.5f }.Select(sign => new Dictionary<string, Tensor>
        {
            ["x"] = Tensor.From<float>("x", [.. Enumerable.Range(0, 12).Select(i => ((i % 3) - 1 + sign) * 0.3f)], 3, 4),
            ["labels"] = Tensor.From<float>("labels", [.. Enumerable.Range(0, 18).Select(i => (i % 5) * 0.2f)], 3, 6),
        })];
        var theirs = TrainingRuntime.Train(folder, batches);
        using var session = TrainingSession.Open(folder, Device.Open());
        float loss = session.Step(batches[0]);
        Assert.AreEqual(loss, theirs.GetProperty("losses").EnumerateArray().First().GetDouble(), 1e-4 * loss);
        Assert.IsLessThan(theirs.GetProperty("before").GetDouble(), theirs.GetProperty("after").GetDouble());
    }

    /// <summary>torch.jit's squeeze of a dimension whose size it does not know.</summary>
    [TestMethod]
    public void Branches_of_different_rank_ask_for_the_size_that_decides()
    {
        var model = new SampleModel().Input("x", Float, "n", 3, 4).Output("y", Float).Constant("one", 1L).Constant("front", 0L, 1).Constant("first", 0L);
        model.Float("w", [4, 4], i => i * 0.1f);
        model.Node("MatMul", ["x", "w"], ["h"]).Node("Shape", ["h"], ["s"]).Node("Gather", ["s", "first"], ["d"]).Node("Equal", ["d", "one"], ["c"]);
        model.Node("If", ["c"], ["q"], Branch("then_branch", g => g.Node("Squeeze", ["h", "front"], ["a"]).Output("a", Float)), Branch("else_branch", g => g.Node("Identity", ["h"], ["b"]).Output("b", Float)));
        model.Node("MatMul", ["q", "w"], ["y"]);
        foreach (var value in model.Graph.Node.Where(n => n.OpType == "If").SelectMany(n => n.Attribute).SelectMany(a => a.G.Output)) value.Type.TensorType.Shape = null;
        using TempFolder temp = TestFiles.Temp();
        model.Save(temp["m.onnx"]);
        StringAssert.Contains(LiftRun.Here("prepare", temp["m.onnx"], "-o", temp["p"], "--loss", "mse", "--train", "w").Refused(), "chooses between forms of it by 'c', which depends on the size of 'n' (give it with --dim n=SIZE)");
        LiftRun.Here("prepare", temp["m.onnx"], "-o", temp["p"], "--loss", "mse", "--train", "w", "--dim", "n=2").Good();
        LiftRun.Here("prepare", temp["m.onnx"], "-o", temp["q"], "--loss", "mse", "--train", "w", "--dim", "n=1").Good();
    }

    [TestMethod]
    public void The_command_trains_and_exports_it()
    {
        using TempFolder temp = TestFiles.Temp();
        string model = Forms(Model("run", 17, known: false), 17).Save(temp["m.onnx"]);
        File.WriteAllLines(temp["rows.jsonl"], Enumerable.Range(0, 6).Select(i => $$"""{"x":[{{i - 2.5}},0.5,-0.25,{{0.1 * i}}],"label":[0.1,0.2,0.3,0.4,0.5,0.6]}"""));
        StringAssert.Contains(LiftRun.Here("inspect", model, "--json").Good().Output, "\"lacking_rules\":[]");
        LiftRun.Here("prepare", model, "-o", temp["p"], "--loss", "mse").Good(); // v is a linear layer, inside a branch as well
        CollectionAssert.IsSubsetOf(new[] { "v", "w" }, ArtifactFolder.Open(temp["p"]).Record.Weights.Select(w => w.Name).ToArray());
        var run = LiftRun.Here("train", temp["p"], "--data", temp["rows.jsonl"], "--validation", temp["rows.jsonl"], "-o", temp["r"], "--steps", "20", "--batch", "6", "--selection", "full", "--lr", "1e-2", "--recompute", "layers", "--json").Good().Json;
        Assert.IsLessThan((float)run["first_loss"]!, (float)run["loss"]!);
        LiftRun.Here("export", temp["r"], "-o", temp["t.onnx"]).Good();
        Assert.AreEqual((double)run["validation_loss"]!, (double)LiftRun.Here("evaluate", temp["t.onnx"], "--data", temp["rows.jsonl"], "--loss", "mse").Good().Json["loss"]!, 1e-5);
    }

    /// <summary>The axes of opset 13 and later are inputs.</summary>
    private static SampleModel Forms(SampleModel model, int opset)
    {
        if (opset < 13) return model;
        foreach (GraphProto graph in model.Graph.Node.SelectMany(n => n.Attribute).Where(a => a.G is not null).Select(a => a.G).ToArray())
        {
            foreach (NodeProto node in graph.Node.Where(n => n.OpType is "Squeeze" or "Unsqueeze").ToArray())
            {
                node.Attribute.Clear();
                node.Input.Add("front");
            }
            graph.Initializer.Add(new TensorProto { Name = "front", DataType = Long, Dims = { 1 }, Int64Data = { 0 } });
        }
        return model;
    }
}
