using Lift.Ort.Artifacts;
using Lift.Ort.Devices;
using Lift.Ort.Generation;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;
using Lift.Ort.Sessions;
using Lift.Ort.Tests.Cli;
using Lift.Ort.Tests.Lowering.Decoders;
using Lift.Ort.Tests.Sessions;

namespace Lift.Ort.Tests.Generation;

/// <summary>Decoders whose cache has a fixed length train and write as the one with the same weights whose cache grows.</summary>
[TestClass]
public sealed class FixedCachesTests
{
    private static readonly RecordedDecoder golden = new("gpt2-merged");

    private static string Model(string way) => Path.Combine(TestFiles.Root, "tools", "reference", "decoders", $"gpt2-{way}", "model.onnx");

    [TestMethod]
    [DataRow("places")]
    [DataRow("rows")]
    [DataRow("length")]
    [DataRow("window")]
    public void Prompts_of_different_lengths_go_on_as_torch_goes_on_with_each_alone(string way)
    {
        using var device = Device.Open();
        using var model = ExportedModel.Open(Model(way), device);
        Assert.IsNotNull(model.Cache, "the cache is recognised");
        int[][] prompts = [.. golden.Greedy.Select(g => g.Prompt)];
        foreach (bool cache in new[] { true, false })
        {
            int[][] together = new TextGenerator(model, new() { MaxNewTokens = 12, Cache = cache }).Generate(prompts);
            for (int i = 0; i < prompts.Length; i++) CollectionAssert.AreEqual(golden.Greedy[i].Tokens, together[i], $"prompt {i}, cache {cache}");
        }
        Assert.AreEqual(way == "length" ? (true, (bool?)null) : (null, true), (model.Trust.Works, model.Trust.WorksPadded), "the first steps proved the cache");
        using var cached = new CachedTexts(model, model.Cache!, 0);
        cached.Read([[5, 6, 7], [8, 9, 4]], (_, _) => { });
        long before = model.TokensRead;
        cached.Read([[5, 6, 7, 3], [8, 9, 4, 3]], (_, _) => { });
        Assert.AreEqual(2, model.TokensRead - before);
    }

    [TestMethod]
    [DataRow("places")]
    [DataRow("rows")]
    [DataRow("length")]
    [DataRow("window")]
    public void Beams_draws_and_full_caches_are_the_same_with_and_without_cache(string way)
    {
        using var device = Device.Open();
        using var model = ExportedModel.Open(Model(way), device);
        int[][] prompts = [.. golden.Greedy.Select(g => g.Prompt)];
        GenerationOptions[] ways = [new() { MaxNewTokens = 10, Temperature = 1, Seed = 3 }, new() { MaxNewTokens = 8, Beams = 3 }, new() { MaxNewTokens = 100, MaxLength = 24 }];
        foreach (GenerationOptions how in ways)
        {
            int[][] with = new TextGenerator(model, how).Generate(prompts), without = new TextGenerator(model, how with { Cache = false }).Generate(prompts);
            for (int i = 0; i < prompts.Length; i++) CollectionAssert.AreEqual(without[i], with[i], $"{how}, prompt {i}");
            if (how.MaxNewTokens == 100) Assert.IsTrue(prompts.Zip(with).All(p => p.First.Length + p.Second.Length == 24), "texts fill the cache");
        }
    }

    [TestMethod]
    [DataRow("places")]
    [DataRow("rows")]
    [DataRow("length")]
    [DataRow("window")]
    public void Loss_and_gradients_are_those_of_the_cache_that_grows(string way)
    {
        using TempFolder temp = TestFiles.Temp();
        TrainingGraph Build(string path) => TrainingGraph.Build(OnnxFile.Read(path), new() { Train = ["*"] });
        TrainingGraph training = Build(Model(way)), other = Build(golden.Path);
        using var session = TrainingSession.Open(ArtifactFolder.Create(training, Model(way), temp["a"]), Device.Open());
        using var grown = TrainingSession.Open(ArtifactFolder.Create(other, golden.Path, temp["b"]), Device.Open());
        CollectionAssert.IsSubsetOf(session.Inputs.Select(i => i.Name).ToArray(), new[] { "input_ids", "attention_mask", "position_ids", "labels" });
        for (int i = 0; i < golden.Cases; i++)
        {
            Dictionary<string, Tensor> batch = golden.Batch(i);
            int[] lengths = [.. batch["attention_mask"].ToLongs().Chunk((int)batch["attention_mask"].Dims[1]).Select(m => (int)m.Sum())];
            Ort.Data.Example[] rows = [.. lengths.Select((n, r) => new Ort.Data.Example(r + 1, Row("input_ids", r, n), Row("labels", r, n), Ort.Data.Example.NoValues))];
            int[] Row(string name, int r, int n) => [.. batch[name].ToLongs().Skip(r * (int)batch[name].Dims[1]).Take(n).Select(v => (int)v)];
            var made = new Ort.Data.BatchBuilder(session.Inputs, new() { Batch = rows.Length }, 0).Build(rows);
            Assert.AreEqual(golden.LossOf(i), session.Step(made.Values), 1e-5 * golden.LossOf(i));
            grown.Step(batch);
            Dictionary<string, float[]> mine = GoldenModelsTests.Gradients(session), wanted = GoldenModelsTests.Gradients(grown);
            foreach (CatalogWeight weight in training.Trainable)
            {
                CatalogWeight same = other.Trainable.First(w => w.Value.Dims.SequenceEqual(weight.Value.Dims) && w.Value.ToFloats().SequenceEqual(weight.Value.ToFloats()));
                double norm = Math.Sqrt(wanted[same.Name].Sum(v => (double)v * v)), off = Math.Sqrt(wanted[same.Name].Zip(mine[weight.Name], (a, b) => ((double)a - b) * (a - b)).Sum());
                Assert.IsLessThan(1e-4 * Math.Max(norm, 1e-3), off, $"{weight.Name}");
            }
        }
    }

    [TestMethod]
    [DataRow("places")]
    [DataRow("rows")]
    [DataRow("length")]
    public void A_row_that_does_not_go_into_the_cache_is_named_with_the_way_out(string way)
    {
        using TempFolder temp = TestFiles.Temp();
        File.WriteAllText(temp["rows.jsonl"], $$"""{"input_ids":[{{string.Join(",", Enumerable.Range(0, 30).Select(i => 5 + i))}}]}""");
        LiftRun.Here("prepare", Model(way), "-o", temp["p"], "--train", "*").Good();
        StringAssert.Contains(LiftRun.Here("train", temp["p"], "--data", temp["rows.jsonl"], "-o", temp["r"], "--selection", "full").Refused(), "--max-length 24");
        StringAssert.Contains(LiftRun.Here("evaluate", Model(way), "--data", temp["rows.jsonl"]).Refused(), "--max-length 24");
        LiftRun.Here("train", temp["p"], "--data", temp["rows.jsonl"], "-o", temp["s"], "--filter-rank", "4", "--max-length", "24", "--steps", "1").Good();
    }

    [TestMethod]
    public void The_command_evaluates_trains_and_exports_them()
    {
        using TempFolder temp = TestFiles.Temp();
        File.WriteAllLines(temp["rows.jsonl"], golden.Greedy.Select(g => System.Text.Json.JsonSerializer.Serialize(new { input_ids = g.Prompt.Concat(g.Tokens), labels = g.Prompt.Select(_ => -100).Concat(g.Tokens) })));
        double? loss = null;
        foreach (string way in new[] { "places", "rows", "length", "window" })
        {
            StringAssert.Contains(LiftRun.Here("inspect", Model(way), "--json").Good().Output, "\"lacking_rules\":[]");
            LiftRun.Here("prepare", Model(way), "-o", temp[way], "--train", "*").Good();
            LiftRun.Here("train", temp[way], "--data", temp["rows.jsonl"], "-o", temp[$"{way}-run"], "--steps", "3", "--batch", "3", "--selection", "full", "--lr", "1e-3").Good();
            LiftRun.Here("export", temp[$"{way}-run"], "-o", temp["tuned.onnx"]).Good();
            double after = (double)LiftRun.Here("evaluate", temp["tuned.onnx"], "--data", temp["rows.jsonl"]).Good().Json["loss"]!;
            Assert.AreEqual(loss ??= after, after, 1e-3 * after);
            Assert.AreEqual(1.0, (double)LiftRun.Here("evaluate", Model(way), "--data", temp["rows.jsonl"], "--metric", "exact-match").Good().Json["exact_match"]!);
        }
    }
}
