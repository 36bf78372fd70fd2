using Lift.Ort.Artifacts;
using Lift.Ort.Devices;
using Lift.Ort.Operators;
using Lift.Ort.Sessions.Fusions;
using Lift.Ort.Tests.Devices;

namespace Lift.Ort.Tests.Sessions;

[TestClass]
public sealed class AttentionFusionTests
{
    [TestMethod]
    [DataRow("gpt2-tiny", 2)]
    [DataRow("gpt2-merged-tiny", 2)]
    [DataRow("llama-tiny", 2)]
    [DataRow("llama-tiny-folded", 2)]
    [DataRow("stories260k", 5)]
    [DataRow("bert-tiny", 2)]
    public void Every_attention_of_the_golden_models_is_fused(string name, int layers)
    {
        var golden = new GoldenModel(name);
        using TempFolder folder = TestFiles.Temp();
        ArtifactFolder artifacts = golden.Prepare(folder["prepared"]);
        Assert.AreEqual(layers, Fusion.Apply(artifacts.TrainingModel.Clone())["attention"], "training");
        Assert.AreEqual(layers, Fusion.Apply(artifacts.EvalModel!.Clone())["attention"], "evaluation");
    }

    /// <summary>Other spellings: Einsum, scores in three axes and probabilities in four, softcaps, position biases (which, trained themselves, keep two of T5's attentions apart), 16 bits.</summary>
    [TestMethod]
    [DataRow("einsum-attention", 1, 1)]
    [DataRow("gemma-unfolded", 1, 1)]
    [DataRow("gpt-neox-unfolded", 1, 1)]
    [DataRow("llama-half", 1, 1)]
    [DataRow("paddle-ernie", 1, 1)]
    [DataRow("phi", 1, 1)]
    [DataRow("qwen2", 1, 1)]
    [DataRow("t5", 1, 3)]
    public void Attentions_of_the_zoo_are_fused(string name, int training, int evaluation)
    {
        GoldenModel golden = GoldenModel.In(Path.Combine(TestFiles.Root, "tests", "Lift.Ort.Tests", "Zoo", name));
        using TempFolder folder = TestFiles.Temp();
        ArtifactFolder artifacts = golden.Prepare(folder["prepared"]);
        Assert.AreEqual(training, Fusion.Apply(artifacts.TrainingModel.Clone())["attention"], "training");
        Assert.AreEqual(evaluation, Fusion.Apply(artifacts.EvalModel!.Clone())["attention"], "evaluation");
    }

    /// <summary>A device whose operators lack the half for it keeps the chains.</summary>
    [TestMethod]
    public void Only_devices_that_have_the_operators_get_them()
    {
        var golden = new GoldenModel("llama-tiny");
        using TempFolder folder = TestFiles.Temp();
        ArtifactFolder artifacts = golden.Prepare(folder["prepared"]);
        using IDevice cpu = Device.Open("cpu"), simulated = TestDevice.Open("simulated");
        bool has = TrainingOperators.Table.Where(s => s.Name is "Attention" or "AttentionGrad").All(s => s.OnCuda);
        Assert.AreEqual(2, Fusion.Apply(artifacts.TrainingModel.Clone(), cpu)["attention"]);
        Assert.AreEqual(has ? 2 : 0, Fusion.Apply(artifacts.TrainingModel.Clone(), simulated)["attention"]);
    }

    /// <summary>Probabilities that somebody else reads are computed as before.</summary>
    [TestMethod]
    public void Attention_whose_probabilities_are_read_stays()
    {
        var golden = new GoldenModel("gpt2-tiny");
        using TempFolder folder = TestFiles.Temp();
        ModelProto eval = golden.Prepare(folder["prepared"]).EvalModel!.Clone();
        eval.Graph.Output.Add(new ValueInfoProto { Name = eval.Graph.Node.First(n => n.OpType == "Softmax").Output[0] });
        Assert.AreEqual(1, Fusion.Apply(eval)["attention"]);
    }
}
