using Lift.Ort.Artifacts;
using Lift.Ort.Devices;
using Lift.Ort.Gradients;
using Lift.Ort.Sessions.Fusions;

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
}
