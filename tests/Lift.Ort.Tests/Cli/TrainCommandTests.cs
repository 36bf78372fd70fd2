using System.Text.Json.Nodes;

namespace Lift.Ort.Tests.Cli;

[TestClass]
public sealed class TrainCommandTests
{
    [TestMethod]
    public void Loss_falls_and_the_log_tells_every_step()
    {
        using TempFolder folder = TestFiles.Temp();
        string[] arguments = Prepare(folder);
        LiftRun run = LiftRun.Here([.. arguments, "--steps", "12", "--lr", "0.05", "--density", "0.2", "--filter-rank", "4", "--interval", "5", "--cuda-graphs", "--json"]).Good();
        StringAssert.Contains(run.Error, "No runs were recorded (--cuda-graphs): cpu records none.");
        JsonObject result = run.Json;
        Assert.AreEqual(12, (int)result["step"]!);
        Assert.IsTrue((double)result["loss"]! < (double)result["first_loss"]! - 0.05, result.ToJsonString());

        JsonObject[] log = [.. File.ReadAllLines(Path.Combine(folder["run"], "log.jsonl")).Select(l => (JsonObject)JsonNode.Parse(l)!)];
        JsonObject[] steps = [.. log.Where(l => l["lr"] is not null)];
        CollectionAssert.AreEqual(Enumerable.Range(1, 12).ToArray(), steps.Select(s => (int)s["step"]!).ToArray());
        foreach (string field in new[] { "loss", "tokens", "tokens_per_s" }) Assert.IsTrue(steps.All(s => s[field] is not null), field);
        JsonObject[] refreshes = [.. log.Where(l => l["bound"] is not null)];
        Assert.IsTrue(refreshes.Length >= 3 && refreshes.All(r => r["k"] is not null && r["seconds"] is not null), "the first masks, and those of steps 4 and 9");
    }

    [TestMethod]
    [DataRow("--steps 2 --lr 0", "0")]
    [DataRow("--steps 2 --rank 2 --density 0.1", "one of them")]
    [DataRow("--steps 2 --resume", "--data")]
    [DataRow("--steps 0", "0")]
    [DataRow("--schedule zigzag", "--schedule is 'zigzag'; give one of: constant, linear, cosine.")]
    [DataRow("--schedule 7", "give one of: constant, linear, cosine.")]
    [DataRow("--average 1", "--average is '1'; give one of: example, token.")]
    [DataRow("--form 2", "--form is '2'; give one of: hf, torch, sgd.")]
    [DataRow("--recompute all", "give one of: none, layers, attention.")]
    public void Names_what_does_not_fit(string options, string word)
    {
        using TempFolder folder = TestFiles.Temp();
        StringAssert.Contains(LiftRun.Here([.. Prepare(folder), .. options.Split(' ')]).Refused(), word);
        Assert.IsFalse(File.Exists(Path.Combine(folder["run"], "checkpoint.safetensors")));
    }

    private static string[] Prepare(TempFolder folder)
    {
        LiftRun.Here("new", "--width", "16", "--heads", "2", "--kv-heads", "1", "--ffn", "24", "--layers", "1", "--vocab", "24", "-o", folder["m.onnx"]).Good();
        LiftRun.Here("prepare", folder["m.onnx"], "-o", folder["p"]).Good();
        File.WriteAllLines(folder["rows.jsonl"], Enumerable.Range(0, 8).Select(i => $"{{\"input_ids\": [{string.Join(", ", Enumerable.Range(i, 10))}]}}"));
        return ["train", folder["p"], "--data", folder["rows.jsonl"], "--tokenizer", "none", "-o", folder["run"], "--batch", "4"];
    }
}
