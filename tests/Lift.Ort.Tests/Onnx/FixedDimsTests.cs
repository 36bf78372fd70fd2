using Lift.Ort.Onnx;
using Lift.Ort.Tests.Cli;

namespace Lift.Ort.Tests.Onnx;

/// <summary>Open dimensions get sizes, for training only.</summary>
[TestClass]
public sealed class FixedDimsTests
{
    [TestMethod]
    public void A_dimension_is_fixed_by_its_name_or_by_its_place()
    {
        using TempFolder temp = TestFiles.Temp();
        Graph graph = OnnxFile.Read(new SampleModel().Input("x", 1, "n", 4).Input("z", 1, "n", "m").Output("y", 1).Node("MatMul", ["x", "z"], ["h"]).Node("Transpose", ["h"], ["y"]).Save(temp["m.onnx"]));
        Shape Fixed(params (string, long)[] dims) => FixedDims.Apply(graph, dims.ToDictionary()).TypeOf("y").Shape!;
        Assert.AreEqual("[m, 3]", Fixed(("n", 3)).ToString());
        Assert.AreEqual("[5, 3]", Fixed(("z.1", 5), ("n", 3)).ToString());
        Assert.AreSame(graph, FixedDims.Apply(graph, new Dictionary<string, long>()));
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => Fixed(("batch", 3))).Message, "--dim 'batch' is no open dimension of the model's inputs; there are: n, m.");
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => Fixed(("n", 0))).Message, "give 1 or more");
    }

    [TestMethod]
    public void Training_pads_to_the_size_and_the_exported_model_keeps_it_open()
    {
        using TempFolder temp = TestFiles.Temp();
        string model = TestFiles.Shared("models/llama-tiny/model.onnx");
        string open = OnnxFile.Read(model).Inputs[0].Type.Shape![1].Symbol!;
        File.WriteAllText(temp["rows.jsonl"], """{"input_ids":[5,6,7,8,9]}""" + "\n" + """{"input_ids":[4,3,2]}""");
        StringAssert.Contains(LiftRun.Here("prepare", model, "-o", temp["p"], "--dim", "sequence").Refused(), "NAME=SIZE");
        StringAssert.Contains(LiftRun.Here("inspect", model, "--dim", "nothing=3").Refused(), "no open dimension");
        LiftRun.Here("prepare", model, "-o", temp["p"], "--dim", $"{open}=6").Good();
        LiftRun.Here("prepare", model, "-o", temp["q"]).Good();
        double Loss(string prepared)
        {
            double loss = (double)LiftRun.Here("train", prepared, "--data", temp["rows.jsonl"], "-o", prepared + "-run", "--steps", "1", "--batch", "2", "--json").Good().Json["first_loss"]!;
            LiftRun.Here("export", prepared + "-run", "-o", prepared + ".onnx").Good();
            return loss;
        }
        Assert.AreEqual(Loss(temp["q"]), Loss(temp["p"]), 1e-6);
        Assert.AreEqual(open, OnnxFile.Read(temp["p.onnx"]).Inputs[0].Type.Shape![1].Symbol);
        File.WriteAllText(temp["long.jsonl"], """{"input_ids":[5,6,7,8,9,1,2]}""");
        StringAssert.Contains(LiftRun.Here("train", temp["p"], "--data", temp["long.jsonl"], "-o", temp["r"], "--filter-rank", "8").Refused(), "--max-length 6");
    }
}
