using Lift.Ort.Onnx;
using Lift.Ort.Sparse;

namespace Lift.Ort.Tests.Cli;

[TestClass]
public sealed class ExportCommandTests
{
    /// <summary>The whole way of a newcomer, through the real program: prepare, train, export.</summary>
    [TestMethod]
    public void Trained_model_differs_in_selected_entries_only()
    {
        using TempFolder folder = TestFiles.Temp();
        string original = TestFiles.Shared("models/llama-tiny-folded/model.onnx");
        File.WriteAllLines(folder["rows.jsonl"], Enumerable.Range(0, 8).Select(i => $"{{\"input_ids\": [{string.Join(", ", Enumerable.Range(i, 12))}]}}"));
        LiftRun.Program("prepare", original, "-o", folder["p"]).Good();
        LiftRun.Program("train", folder["p"], "--data", folder["rows.jsonl"], "--tokenizer", "none", "-o", folder["run"], "--steps", "4", "--batch", "2", "--lr", "0.001", "--filter-rank", "8").Good();
        var result = LiftRun.Program("export", folder["run"], "-o", folder["m.onnx"], "--patch", folder["m.patch"], "--json").Good().Json;

        var (before, after) = (OnnxFile.Read(original), OnnxFile.Read(folder["m.onnx"]));
        CollectionAssert.AreEqual(before.Nodes.Select(n => n.ToString()).ToArray(), after.Nodes.Select(n => n.ToString()).ToArray());
        long changed = before.Initializers.Values.Sum(t => t.Type == ElementType.Float ? t.AsSpan<int>().ToArray().Zip(after.Initializers[t.Name].AsSpan<int>().ToArray()).LongCount(p => p.First != p.Second) : 0);
        Assert.AreEqual(changed, (long)result["changed"]!);
        Assert.IsTrue(changed is > 0 and < 8000, $"{changed} entries");

        SparsePatch.Load(folder["m.patch"]).ApplyTo(before);
        foreach (var (name, tensor) in after.Initializers) CollectionAssert.AreEqual(tensor.AsSpan<byte>().ToArray(), before.Initializers[name].AsSpan<byte>().ToArray(), name);
    }

    [TestMethod]
    public void What_is_no_run_is_named()
    {
        using TempFolder folder = TestFiles.Temp();
        StringAssert.Contains(LiftRun.Here("export", folder.Path, "-o", folder["m.onnx"]).Refused(), folder.Path);
    }
}
