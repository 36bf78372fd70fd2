using System.Text.Json;

namespace Lift.Ort.Tests.Cli;

[TestClass]
public sealed class EvaluateCommandTests
{
    private static string Model => TestFiles.Shared("models/stories260k/model.onnx");

    private static string Tokens => TestFiles.Shared("models/stories260k/tok512.model");

    [TestMethod]
    public void The_loss_of_ready_tokens_is_the_golden_one()
    {
        using var temp = TestFiles.Temp();
        using var golden = JsonDocument.Parse(File.ReadAllBytes(TestFiles.Shared("models/stories260k/golden.json")));
        var first = golden.RootElement.GetProperty("cases")[0];
        int width = first.GetProperty("inputs").GetProperty("input_ids").GetProperty("shape")[1].GetInt32();
        var ids = first.GetProperty("inputs").GetProperty("input_ids").GetProperty("data").EnumerateArray().Select(v => v.GetInt32()).Chunk(width);
        var labels = first.GetProperty("labels").GetProperty("data").EnumerateArray().Select(v => v.GetInt32()).Chunk(width);
        File.WriteAllLines(temp["d.jsonl"], ids.Zip(labels, (i, l) => JsonSerializer.Serialize(new { input_ids = i, labels = l })));

        var run = LiftRun.Here("evaluate", Model, "--data", temp["d.jsonl"], "--tokenizer", "none").Good();
        double wanted = first.GetProperty("loss").GetDouble();
        Assert.AreEqual(wanted, (double)run.Json["loss"]!, 1e-5 * wanted);
        Assert.AreEqual(first.GetProperty("kept_labels").GetInt32(), (int)run.Json["label_tokens"]!);
        Assert.AreEqual("causal-lm", (string)run.Json["kind"]!);
        Assert.HasCount(1, run.Output.Trim().Split('\n'));
    }

    [TestMethod]
    public void Published_questions_are_scored_by_loss_and_by_answer()
    {
        using var temp = TestFiles.Temp();
        string data = TestFiles.Shared("data/math/AddSub.test.json");
        var loss = LiftRun.Here("evaluate", Model, "--data", data, "--tokenizer", Tokens, "--limit", "6", "--batch", "3", "--template", "paper").Good().Json;
        Assert.AreEqual(6, (int)loss["examples"]!);
        Assert.IsTrue((double)loss["loss"]! is > 1 and < 20);

        var match = LiftRun.Here("evaluate", Model, "--data", data, "--tokenizer", Tokens, "--metric", "exact-match", "--limit", "4", "--max-new-tokens", "3", "--predictions", temp["p.jsonl"]).Good().Json;
        Assert.AreEqual("numbers", (string)match["answer_rule"]!);
        Assert.AreEqual((4, "greedy"), ((int)match["examples"]!, (string)match["decoding"]!));
        Assert.HasCount(4, File.ReadAllLines(temp["p.jsonl"]));
        var paper = LiftRun.Here("evaluate", Model, "--data", data, "--tokenizer", Tokens, "--metric", "exact-match", "--limit", "2", "--max-new-tokens", "2", "--template", "paper").Good().Json;
        Assert.AreEqual("4 beams", (string)paper["decoding"]!);
    }

    [TestMethod]
    public void Mistakes_are_one_sentence()
    {
        using var temp = TestFiles.Temp();
        File.WriteAllText(temp["d.jsonl"], """{"input_ids":[1,600]}""");
        File.WriteAllText(temp["broken.onnx"], "no model");
        StringAssert.Contains(LiftRun.Here("evaluate", Model, "--data", temp["d.jsonl"]).Refused(), "vocabulary of 512");
        StringAssert.Contains(LiftRun.Here("evaluate", temp["none.onnx"], "--data", temp["d.jsonl"]).Refused(), "There is no model");
        StringAssert.Contains(LiftRun.Here("evaluate", temp["broken.onnx"], "--data", temp["d.jsonl"]).Refused(), "broken.onnx");
        StringAssert.Contains(LiftRun.Here("evaluate", Model, "--data", temp["d.jsonl"], "--tokenizer", temp["t"]).Refused(), "There is no tokenizer");
        StringAssert.Contains(LiftRun.Here("evaluate", Model, "--data", temp["d.jsonl"], "--output", "probs").Refused(), "no float output 'probs'");
        StringAssert.Contains(LiftRun.Here("evaluate", Model, "--data", temp["d.jsonl"], "--metric", "bleu").Refused(), "bleu");
        StringAssert.Contains(LiftRun.Here("evaluate", Model, "--data", temp["absent.jsonl"], "--metric", "exact-match", "--predictions", temp["absent/p.jsonl"]).Refused(), "absent/p.jsonl", "before any work, whose result would be lost");
        StringAssert.Contains(LiftRun.Here("evaluate", TestFiles.Shared("models/mlp/model.onnx"), "--data", temp["d.jsonl"], "--metric", "exact-match").Refused(), "reads no tokens");
    }
}
