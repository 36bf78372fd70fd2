using System.Text.Json;
using Lift.Ort.Artifacts;
using Lift.Ort.Devices;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;
using Lift.Ort.Sparse;
using Lift.Ort.Tests.Sessions;
using Lift.Ort.Training;

namespace Lift.Ort.Tests.Training;

/// <summary>Files in every 16-bit form through prepare, three steps of training and export: types, nodes, inputs and outputs come out as they went in, and selected entries alone differ.</summary>
[TestClass]
public sealed class HalfRunsTests
{
    public static IEnumerable<object[]> Runs => HalfForms.All.Keys.Index().SelectMany(f => new[] { "mlp", f.Index % 2 == 0 ? "gpt2-tiny" : "mobilenetv2-tiny" }.Select(m => new object[] { m, f.Item }));

    [TestMethod, DynamicData(nameof(Runs))]
    public void The_export_keeps_its_form(string name, string form)
    {
        var golden = new GoldenModel(name);
        using TempFolder temp = TestFiles.Temp();
        HalfForms.Write(golden.ModelPath, temp["model.onnx"], form);
        ArtifactFolder.Create(TrainingGraph.Build(OnnxFile.Read(temp["model.onnx"]), new() { Loss = golden.Loss, Train = ["*"] }), temp["model.onnx"], temp["prepared"]);
        Rows(golden, temp["rows.jsonl"]);
        var settings = new RunSettings(temp["prepared"], temp["rows.jsonl"], "none", null, new() { Batch = 2 },
            new() { Steps = 3, LearningRate = 1e-2, Warmup = 0, Selection = "random", Interval = 0, Budget = Budget.Density(0.1) });
        using IDevice device = Device.Open();
        using (TrainingRun run = TrainingRun.Start(temp["run"], settings, device)) run.Train();
        SparsePatch patch = RunExport.Write(temp["run"], temp["out.onnx"]);

        ModelProto before = ModelProto.Parser.ParseFrom(File.ReadAllBytes(temp["model.onnx"])), after = ModelProto.Parser.ParseFrom(File.ReadAllBytes(temp["out.onnx"]));
        var touched = Checkpoint.Read(Path.Combine(temp["run"], RunFolder.CheckpointName)).Touched.ToDictionary(m => m.Weight);
        int bytes = 2, changed = 0;
        Assert.HasCount(before.Graph.Initializer.Count, after.Graph.Initializer);
        foreach (var (old, now) in before.Graph.Initializer.Zip(after.Graph.Initializer))
        {
            Assert.AreEqual((old.Name, old.DataType), (now.Name, now.DataType));
            CollectionAssert.AreEqual(old.Dims, now.Dims);
            if (old.RawData == now.RawData) continue;
            Assert.AreEqual((int)HalfForms.All[form].Type, now.DataType, $"{now.Name} was rounded");
            int[] differ = [.. Enumerable.Range(0, old.RawData.Length / bytes).Where(i => !old.RawData.Span.Slice(i * bytes, bytes).SequenceEqual(now.RawData.Span.Slice(i * bytes, bytes)))];
            if (touched[old.Name].Positions is { } chosen) Assert.AreEqual("", string.Join(",", differ.Except(chosen)), $"{old.Name}: entries that were not selected");
            changed += differ.Length;
        }
        Assert.AreEqual(patch.Length, changed);
        Assert.IsGreaterThan(20, changed);
        before.Graph.Initializer.Clear();
        after.Graph.Initializer.Clear();
        Assert.AreEqual(before, after, "everything but the weights");
    }

    /// <summary>The golden batch as lines of JSON, one row each.</summary>
    private static void Rows(GoldenModel golden, string path)
    {
        Dictionary<string, Tensor> batch = golden.Batch(0);
        int rows = (int)batch["labels"].Dims[0];
        File.WriteAllLines(path, Enumerable.Range(0, rows).Select(r => JsonSerializer.Serialize(batch.ToDictionary(b => b.Key, b => Row(b.Value, r)))));
    }

    private static object Row(Tensor t, int row)
    {
        int width = (int)(t.Count / t.Dims[0]);
        float[] numbers = [.. t.ToFloats().Skip(row * width).Take(width)];
        return t.Dims.Length == 1 ? numbers[0] : Nested(numbers, t.Dims[1..]);
    }

    private static object Nested(float[] numbers, long[] dims) =>
        dims.Length == 1 ? numbers : numbers.Chunk((int)(numbers.Length / dims[0])).Select(part => Nested(part, dims[1..])).ToArray();
}
