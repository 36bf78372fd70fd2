using System.Text.Json.Nodes;
using Lift.Ort.Onnx;
using Lift.Ort.Tests.Cli;
using Lift.Ort.Tests.Data;
using Lift.Ort.Training;

namespace Lift.Ort.Tests.Training;

/// <summary>Tasks beyond language models, from the file to the trained file: prepared, trained, exported and judged by the commands.</summary>
[TestClass]
public sealed class TaskRunTests
{
    [TestMethod]
    public void Texts_are_classified()
    {
        using var task = new TaskRun("models/bert-tiny/model.onnx");
        task.Rows("""{"text":"good good news","label":"positive"}""", """{"text":"bad bad","label":"negative"}""", """{"text":"so so","label":"neutral"}""", """{"text":"good","label":"positive"}""", """{"text":"bad news","label":"negative"}""");
        JsonObject result = task.Train("cross-entropy", ["--label-smoothing", "0.05"], "--tokenizer", "bytes", "--lr", "2e-3", "--selection", "full");
        Assert.AreEqual(1, (double)result["metrics"]!["accuracy"]!);
        CollectionAssert.AreEqual(new[] { "negative", "neutral", "positive" }, RunFolder.Open(task["run"]).Settings.Rows.ClassNames!.ToArray());
        Assert.AreEqual(1, (double)task.Evaluate()["f1"]!);
        File.WriteAllText(task["one.jsonl"], """{"text":"good","label":"positive"}""");
        string refused = LiftRun.Here("evaluate", task["tuned.onnx"], "--data", task["one.jsonl"], "--tokenizer", "bytes").Refused();
        StringAssert.Contains(refused, "name 1 of the model's 3 classes (positive)");
        Assert.AreEqual(1, (double)LiftRun.Here("evaluate", task["tuned.onnx"], "--data", task["one.jsonl"], "--tokenizer", "bytes", "--run", task["run"]).Good().Json["accuracy"]!);
    }

    [TestMethod]
    public void Words_are_labelled()
    {
        using var task = new TaskRun();
        TaskModels.Encoder(task.Model, classes: 3);
        task.Rows("""{"tokens":["Ann","lives","in","Rome"],"ner_tags":["PER","O","O","LOC"]}""", """{"tokens":["Rome","is","old"],"ner_tags":["LOC","O","O"]}""", """{"tokens":["Bob","and","Ann"],"ner_tags":["PER","O","PER"]}""");
        JsonObject result = task.Train("cross-entropy", ["--train", "*"], "--tokenizer", "bytes", "--lr", "5e-3", "--selection", "full");
        Assert.IsTrue((double)result["metrics"]!["f1"]! > 0.9, result.ToJsonString());
    }

    [TestMethod]
    [DataRow("contrastive", "--temperature 0.1 --pooling mean", "recall_at_1")]
    [DataRow("contrastive", "--pooling cls --symmetric", "mrr")]
    [DataRow("cosine", "", "pearson")]
    [DataRow("triplet", "--normalize true --margin 0.3", "accuracy")]
    public void Texts_become_embeddings(string loss, string options, string metric)
    {
        using var task = new TaskRun();
        TaskModels.Encoder(task.Model);
        task.Rows(loss switch
        {
            "cosine" => ["""{"sentence1":"a cat","sentence2":"one cat","score":1}""", """{"sentence1":"a cat","sentence2":"the sea","score":0}""", """{"sentence1":"sea","sentence2":"the sea","score":0.9}""", """{"sentence1":"sun","sentence2":"a cat","score":0.1}"""],
            "triplet" => ["""{"anchor":"a cat","positive":"one cat","negative":"the sea"}""", """{"anchor":"sea","positive":"the sea","negative":"a cat"}""", """{"anchor":"sun","positive":"the sun","negative":"one cat"}"""],
            _ => ["""{"anchor":"a cat","positive":"one cat"}""", """{"anchor":"sea","positive":"the sea"}""", """{"query":"sun","positive":"the sun"}""", """{"anchor":"rain","positive":"some rain"}"""],
        });
        JsonObject result = task.Train(loss, options.Split(' ', StringSplitOptions.RemoveEmptyEntries), "--tokenizer", "bytes", "--lr", "3e-3", "--selection", "full");
        Assert.IsTrue((double)result["metrics"]![metric]! > 0.9, result.ToJsonString());
    }

    [TestMethod]
    [DataRow("mobilenetv2-bn-tiny")]
    [DataRow("densenet-bn-tiny")]
    public void Images_in_folders_are_classified(string model)
    {
        using var task = new TaskRun($"models/{model}/model.onnx");
        for (int i = 0; i < 12; i++)
        {
            string folder = Path.Combine(task["rows"], $"class{i % 3}");
            Directory.CreateDirectory(folder);
            File.WriteAllBytes(Path.Combine(folder, $"{i}.png"), PngWriter.Png(Image(i % 3, i, 40, 36), 2, 8, false));
        }
        JsonObject result = task.Train("cross-entropy", ["--train", "*"], "--tokenizer", "none", "--lr", "5e-3", "--selection", "full", "--batch", "6");
        Assert.IsTrue((double)result["metrics"]!["accuracy"]! > 0.9, result.ToJsonString());
    }

    [TestMethod]
    public void Pixels_are_classified()
    {
        using var task = new TaskRun();
        TaskModels.Pixels(task.Model, 3);
        for (int i = 0; i < 4; i++)
        {
            int[,,] image = Image(0, i, 24, 20), mask = new int[24, 20, 1];
            for (int y = 0; y < 24; y++)
            {
                for (int x = 0; x < 20; x++)
                {
                    mask[y, x, 0] = y < 2 ? 255 : (x + i) / 4 % 3;
                    image[y, x, (x + i) / 4 % 3] = 250;
                }
            }
            File.WriteAllBytes(task[$"{i}.png"], PngWriter.Png(image, 2, 8, false));
            File.WriteAllBytes(task[$"{i}.mask.png"], PngWriter.Png(mask, 0, 8, false));
        }
        task.Rows([.. Enumerable.Range(0, 4).Select(i => $$"""{"image":"{{i}}.png","label":"{{i}}.mask.png"}""")]);
        JsonObject result = task.Train("cross-entropy", ["--train", "*"], "--tokenizer", "none", "--lr", "2e-2", "--selection", "full");
        Assert.IsTrue((double)result["metrics"]!["mean_iou"]! > 0.9, result.ToJsonString());
    }

    [TestMethod]
    [DataRow("cross-entropy", "accuracy", 0.9)]
    [DataRow("bce", "f1", 0.9)]
    [DataRow("soft-label", "accuracy", 0.9)]
    [DataRow("mae", "r2", 0.5)]
    public void Tables_are_learnt(string loss, string metric, double least)
    {
        using var task = new TaskRun("models/mlp/model.onnx");
        GraphValue x = OnnxFile.Read(task.Model).Inputs[0], y = OnnxFile.Read(task.Model).Outputs[0];
        int width = (int)x.Type.Shape![1].Value!.Value, classes = (int)y.Type.Shape![1].Value!.Value;
        var random = new Random(2);
        var table = new List<(double[] X, int Class)>();
        for (int i = 0; i < 40; i++) table.Add(([.. Enumerable.Range(0, width).Select(k => Math.Round(random.NextDouble() + (k == i % classes ? 3 : 0), 3) * (k % 2 == 0 ? 100 : 1))], i % classes));
        if (loss == "cross-entropy")
            task.Table(["kind," + string.Join(',', Enumerable.Range(0, width).Select(k => $"c{k}")), .. table.Select(r => $"k{r.Class}," + string.Join(',', r.X))]);
        else
            task.Rows([.. table.Select(r => $$"""{"{{x.Name}}":[{{string.Join(',', r.X.Select((v, k) => Math.Round(v / (k % 2 == 0 ? 100 : 1), 3)))}}],"label":[{{string.Join(',', Enumerable.Range(0, classes).Select(c => c == r.Class ? loss == "soft-label" ? 0.8 : 1 : loss == "soft-label" ? Math.Round(0.2 / (classes - 1), 4) : 0))}}]}""")]);
        string[] how = loss == "cross-entropy" ? ["--label-field", "kind", "--standardize"] : [];
        JsonObject result = task.Train(loss, [], [.. how, "--tokenizer", "none", "--lr", "5e-3", "--selection", "full", "--batch", "10"]);
        Assert.IsTrue((double)result["metrics"]![metric]! > least, result.ToJsonString());
    }

    [TestMethod]
    [DataRow("mse")]
    [DataRow("huber")]
    [DataRow("smooth-l1")]
    public void Columns_by_name_predict_a_number(string loss)
    {
        using var task = new TaskRun();
        TaskModels.Columns(task.Model);
        string[] colours = ["red", "green", "blue"];
        task.Table(["age,colour,target", .. Enumerable.Range(0, 24).Select(i => $"{i % 7},{colours[i % 3]},{(i % 7 * 0.3) + (i % 3)}")]);
        JsonObject result = task.Train(loss, ["--train", "*"], "--tokenizer", "none", "--lr", "2e-2", "--selection", "full", "--standardize");
        Assert.IsTrue((double)result["metrics"]!["r2"]! > 0.9, result.ToJsonString());
        CollectionAssert.AreEqual(new[] { "blue", "green", "red" }, RunFolder.Open(task["run"]).Settings.Rows.Table.Categories!["colour"].ToArray());
    }

    [TestMethod]
    public void A_decoder_learns_targets()
    {
        using var task = new TaskRun();
        TaskModels.EncoderDecoder(task.Model);
        task.Rows("""{"source":"ab","target":"ba"}""", """{"source":"cde","target":"edc"}""", """{"source":"fg","target":"gf"}""", """{"source":"hij","target":"jih"}""");
        task.Train("seq2seq", ["--train", "*"], "--tokenizer", "bytes", "--lr", "1e-2", "--selection", "full");
        Assert.IsTrue((double)task.Evaluate()["accuracy"]! > 0.8);
    }

    [TestMethod]
    public void Sounds_are_spelt()
    {
        using var task = new TaskRun { Steps = 400 };
        TaskModels.Speech(task.Model, classes: 4);
        for (int i = 0; i < 4; i++) File.WriteAllBytes(task[$"{i}.wav"], Wav([1 + (i % 3), 1 + ((i + 1) % 3)]));
        task.Rows([.. Enumerable.Range(0, 4).Select(i => $$"""{"audio":"{{i}}.wav","labels":[{{1 + (i % 3)}},{{1 + ((i + 1) % 3)}}]}""")]);
        JsonObject result = task.Train("ctc", ["--train", "*"], "--tokenizer", "none", "--lr", "1e-2", "--selection", "full");
        Assert.IsTrue((double)result["metrics"]!["symbol_error_rate"]! < 0.2, result.ToJsonString());
    }

    [TestMethod]
    [DataRow("contrastive:anchor,positive", "recall_at_1")]
    [DataRow("contrastive:anchor,positive,negative", "recall_at_1")]
    [DataRow("triplet:anchor,positive,negative", "accuracy")]
    [DataRow("cosine:anchor,positive", "spearman")]
    public void Texts_of_several_towers_are_compared(string loss, string metric)
    {
        using var task = new TaskRun();
        string[] names = loss.Split(':')[1].Split(',');
        TaskModels.Towers(task.Model, names);
        task.Rows([.. new[] { ("a cat", "one cat", "the sea", 1), ("sea", "the sea now", "sun", 0.1), ("sun", "the sun", "rain", 0.8), ("rain", "some rain", "a cat", 0.2) }.Select(r =>
            $$"""{"anchor":"{{r.Item1}}","positive":"{{r.Item2}}","negative":"{{r.Item3}}","score":{{FormattableString.Invariant($"{r.Item4}")}}}""")]);
        JsonObject result = task.Train(loss, ["--train", "*"], "--tokenizer", "bytes", "--lr", "1e-2", "--selection", "full");
        Assert.IsTrue((double)result["metrics"]![metric]! > 0.9, result.ToJsonString());
    }

    [TestMethod]
    public void Sounds_of_several_lengths_are_judged_as_if_alone()
    {
        using var task = new TaskRun();
        TaskModels.Speech(task.Model, classes: 4);
        File.WriteAllBytes(task["long.wav"], Wav([1, 2, 3]));
        File.WriteAllBytes(task["short.wav"], Wav([3]));
        task.Rows("""{"audio":"long.wav","labels":[1,2,3],"frames":6}""", """{"audio":"short.wav","labels":[3],"frames":2}""");
        double Judged(params string[] how) => (double)LiftRun.Here(["evaluate", task.Model, "--data", task["rows.jsonl"], "--loss", "ctc", .. how]).Good().Json["loss"]!;
        // one by one each counts by its labels, together by rows: 3 and 1 labels
        double alone = Judged("--lengths", "frames", "--batch", "1"), all = Judged("--batch", "1"), together = Judged("--lengths", "frames", "--batch", "2"), padded = Judged("--batch", "2");
        Assert.AreEqual(all, alone, 1e-5, "alone every frame counts");
        Assert.AreNotEqual(padded, together, 1e-3, "silence behind a short sound costs");
        task.Rows("""{"audio":"short.wav","labels":[3],"frames":2}""");
        double ofShort = Judged("--batch", "1");
        task.Rows("""{"audio":"long.wav","labels":[1,2,3],"frames":6}""");
        Assert.AreEqual((ofShort + Judged("--batch", "1")) / 2, together, 1e-5);
    }

    [TestMethod]
    public void The_report_shows_the_metrics()
    {
        using var task = new TaskRun("models/bert-tiny/model.onnx");
        task.Rows("""{"text":"good","label":2}""", """{"text":"bad","label":0}""");
        task.Train("cross-entropy", [], "--tokenizer", "bytes", "--lr", "2e-3", "--selection", "full");
        LiftRun.Here("report", task["run"], "-o", task["report.html"]).Good();
        string html = File.ReadAllText(task["report.html"]);
        StringAssert.Contains(html, "Validation: accuracy");
        StringAssert.Contains(html, "accuracy 1.0000");
    }

    private static int[,,] Image(int colour, int seed, int height, int width)
    {
        var random = new Random(seed);
        int[,,] image = new int[height, width, 3];
        for (int y = 0; y < height; y++) for (int x = 0; x < width; x++) for (int c = 0; c < 3; c++) image[y, x, c] = random.Next(60) + (c == colour ? 150 : 0);
        return image;
    }

    /// <summary>A tone of its own for each symbol, 80 samples long.</summary>
    private static byte[] Wav(int[] symbols)
    {
        using var data = new MemoryStream();
        using var writer = new BinaryWriter(data);
        writer.Write("RIFF"u8);
        writer.Write(36 + (symbols.Length * 160));
        writer.Write("WAVEfmt "u8);
        foreach (int value in (int[])[16, 1 | (1 << 16), 8000, 16000, 2 | (16 << 16)]) writer.Write(value);
        writer.Write("data"u8);
        writer.Write(symbols.Length * 160);
        foreach (int symbol in symbols) for (int i = 0; i < 80; i++) writer.Write((short)(20000 * Math.Sin(2 * Math.PI * i * symbol / 40)));
        return data.ToArray();
    }
}

/// <summary>One model, its rows and its run, in a temporary folder.</summary>
internal sealed class TaskRun : IDisposable
{
    private readonly TempFolder temp = TestFiles.Temp();
    private string rows;
    private string[] how = [];

    /// <param name="shared">A stored model; null where the test makes one.</param>
    public TaskRun(string? shared = null)
    {
        Model = shared is null ? temp["model.onnx"] : TestFiles.Shared(shared);
        rows = temp["rows"];
    }

    public string Model { get; }

    public int Steps { get; init; } = 120;

    public string this[string name] => temp[name];

    public void Rows(params string[] lines) => File.WriteAllLines(rows = temp["rows.jsonl"], lines);

    public void Table(params string[] lines) => File.WriteAllLines(rows = temp["rows.csv"], lines);

    /// <summary>Prepares, trains, exports; the loss falls, and the export has the loss and the metrics that the run saw last.</summary>
    public JsonObject Train(string loss, string[] prepare, params string[] train)
    {
        LiftRun.Here(["prepare", Model, "-o", temp["prepared"], "--loss", loss, .. prepare]).Good();
        how = train;
        JsonObject result = LiftRun.Here(["train", temp["prepared"], "--data", rows, "--validation", rows, "-o", temp["run"], "--steps", $"{Steps}", "--json", .. train]).Good().Json;
        Validated[] held = [.. RunLog.Read(Path.Combine(temp["run"], RunFolder.LogName)).OfType<Validated>()];
        Assert.IsTrue(held[^1].ValidationLoss < 0.7 * held[0].ValidationLoss || held[^1].ValidationLoss < 0.35, $"{loss}: {held[0].ValidationLoss} to {held[^1].ValidationLoss}");
        LiftRun.Here("export", temp["run"], "-o", temp["tuned.onnx"]).Good();
        JsonObject judged = Evaluate();
        Assert.AreEqual(held[^1].ValidationLoss, (double)judged["loss"]!, 2e-5 * Math.Max(1, held[0].ValidationLoss), $"{loss}: the export's loss");
        foreach (var (name, value) in held[^1].Metrics ?? new Dictionary<string, double>()) Assert.AreEqual(value, (double)judged[name]!, 1e-4, $"{loss}: the export's {name}");
        return result;
    }

    public JsonObject Evaluate()
    {
        int tokenizer = Array.IndexOf(how, "--tokenizer"), batch = Array.IndexOf(how, "--batch");
        string[] more = batch < 0 ? [] : ["--batch", how[batch + 1]];
        return LiftRun.Here(["evaluate", temp["tuned.onnx"], "--run", temp["run"], "--data", rows, "--tokenizer", how[tokenizer + 1], .. more]).Good().Json;
    }

    public void Dispose() => temp.Dispose();
}
