namespace Lift.Ort.Tests.Cli;

[TestClass]
public sealed class GenerateCommandTests
{
    private static string Model => TestFiles.Shared("models/stories260k/model.onnx");

    private static string Tokens => TestFiles.Shared("models/stories260k/tok512.model");

    [TestMethod]
    public void A_story_goes_to_standard_output()
    {
        string[] line = ["generate", Model, "--tokenizer", Tokens, "--prompt", "Once upon a time, there was a little", "--max-new-tokens", "12"];
        var plain = LiftRun.Here(line).Good();
        StringAssert.StartsWith(plain.Output, " girl named");
        Assert.AreEqual(plain.Output.TrimEnd('\n'), (string)LiftRun.Here([.. line, "--json"]).Good().Json["text"]!);

        string[] drawn = [.. line, "--temperature", "1", "--top-k", "20", "--top-p", "0.9", "--seed"];
        Assert.AreEqual(LiftRun.Here([.. drawn, "3"]).Good().Output, LiftRun.Here([.. drawn, "3"]).Good().Output);
        Assert.AreNotEqual(LiftRun.Here([.. drawn, "3"]).Good().Output, LiftRun.Here([.. drawn, "4"]).Good().Output);
    }

    [TestMethod]
    public void Mistakes_are_one_sentence()
    {
        StringAssert.Contains(LiftRun.Here("generate", Model, "--tokenizer", "none", "--prompt", "a").Refused(), "without a tokenizer");
        StringAssert.Contains(LiftRun.Here("generate", Model, "--tokenizer", Tokens, "--prompt", "a", "--chat").Refused(), "no chat template");
        StringAssert.Contains(LiftRun.Here("generate", Model, "--tokenizer", Tokens, "--prompt", "a", "--top-p", "2").Refused(), "--top-p");
        StringAssert.Contains(LiftRun.Here("generate", Model, "--tokenizer", Tokens, "--prompt", "a", "--top-k", "-1").Refused(), "--top-k");
        StringAssert.Contains(LiftRun.Here("generate", Model, "--tokenizer", Tokens, "--prompt", "a", "--temperature", "-1").Refused(), "--temperature");
        StringAssert.Contains(LiftRun.Here("generate", Model, "--tokenizer", Tokens, "--prompt", "a b c d", "--max-length", "3").Refused(), "--max-length is 3");
        StringAssert.Contains(LiftRun.Here("generate", TestFiles.Shared("models/bert-tiny/model.onnx"), "--tokenizer", Tokens, "--prompt", "a", "--max-new-tokens", "1").Refused(), "[batch, sequence, vocabulary]");
    }
}
