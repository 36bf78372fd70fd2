using Lift.Ort.Artifacts;

namespace Lift.Ort.Tests.Cli;

[TestClass]
public sealed class PrepareCommandTests
{
    [TestMethod]
    public void Makes_the_four_files_and_says_what_is_trainable()
    {
        using TempFolder folder = TestFiles.Temp();
        var result = LiftRun.Here("prepare", TestFiles.Shared("models/llama-tiny/model.onnx"), "-o", folder["p"], "--freeze", "*.1.*", "--json").Good().Json;
        Assert.AreEqual(7, (int)result["trainable"]!, "one of two layers");
        Assert.AreEqual("logits", (string)result["scored"]!);
        foreach (string file in new[] { "training_model.onnx", "eval_model.onnx", "optimizer_model.onnx", "checkpoint", "lift.json" })
            Assert.IsTrue(File.Exists(Path.Combine(folder["p"], file)), file);
        Assert.AreEqual("causal-lm", ArtifactFolder.Open(folder["p"]).Record.Loss);
    }

    [TestMethod]
    [DataRow("--train nothing.*", "nothing.*")]
    [DataRow("--output other", "other")]
    [DataRow("--loss squares", "squares")]
    [DataRow("--batch-norm 2", "--batch-norm is '2'; give one of: file, batch, frozen.")]
    [DataRow("--loss contrastive --pooling 17", "give one of: auto, none, mean, cls, last.")]
    [DataRow("--loss cross-entropy --class-axis middle", "give one of: auto, first, last.")]
    public void Names_what_does_not_fit(string options, string word)
    {
        using TempFolder folder = TestFiles.Temp();
        string sentence = LiftRun.Here(["prepare", TestFiles.Shared("models/llama-tiny/model.onnx"), "-o", folder["p"], .. options.Split(' ')]).Refused();
        StringAssert.Contains(sentence, word);
        Assert.IsFalse(Directory.Exists(folder["p"]));
    }
}
