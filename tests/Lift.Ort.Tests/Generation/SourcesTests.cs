using System.Text.Json;
using Lift.Ort.Data;
using Lift.Ort.Devices;
using Lift.Ort.Generation;
using Lift.Ort.Onnx;
using Lift.Ort.Tests.Cli;

namespace Lift.Ort.Tests.Generation;

/// <summary>Encoder-decoders write about sources of different lengths what torch writes about each alone, with cache and without, from one file or two.</summary>
[TestClass]
public sealed class SourcesTests
{
    private static Example[] Sources => [.. TwoFiles.Texts.Select((t, i) => new Example(i + 1, t.Source, [], Example.NoValues))];

    [TestMethod]
    [DataRow("merged")]
    [DataRow("without cache")]
    [DataRow("one file")]
    public void What_is_written_is_what_torch_writes(string form)
    {
        using var files = new TwoFiles();
        using var device = Device.Open();
        using var model = ExportedModel.Open(form == "merged" ? files.Decoder : form == "one file" ? files.Joined() : files.Plain("decoder_model.onnx"), device);
        Assert.AreEqual(form == "merged", model.Cache is not null);
        Assert.AreEqual(form != "one file", model.Encoder is not null, "the encoder lies beside the decoder");
        foreach (bool cache in new[] { true, false })
        {
            int[][] together = new TextGenerator(model, new() { MaxNewTokens = 12, Cache = cache }).Generate(Sources, [0]);
            for (int i = 0; i < together.Length; i++) CollectionAssert.AreEqual(TwoFiles.Texts[i].Tokens, together[i], $"source {i}, cache {cache}");
        }
        if (form == "merged") Assert.IsTrue(model.Trust.Works, "the first step proved the cache");
    }

    [TestMethod]
    public void Draws_beams_and_ends_are_the_same_with_and_without_cache()
    {
        using var files = new TwoFiles();
        using var device = Device.Open();
        using var model = ExportedModel.Open(files.Decoder, device);
        using var joined = ExportedModel.Open(files.Joined(), device);
        GenerationOptions[] ways =
        [
            new() { MaxNewTokens = 10, Temperature = 2, TopK = 20, Seed = 4, EndIds = [7, 19, 30] },
            new() { MaxNewTokens = 8, Beams = 3 },
            new() { MaxNewTokens = 8, Beams = 4, EndIds = [1, 24, 25, 9] },
            new() { MaxNewTokens = 12, EndIds = [36] }, // rows leave one after the other, the longest source among them
        ];
        foreach (GenerationOptions way in ways)
        {
            int[][] with = new TextGenerator(model, way).Generate(Sources, [0]), without = new TextGenerator(model, way with { Cache = false }).Generate(Sources, [0]);
            int[][] one = new TextGenerator(joined, way).Generate(Sources, [0]);
            for (int i = 0; i < Sources.Length; i++)
            {
                CollectionAssert.AreEqual(without[i], with[i], $"{way}, source {i}");
                CollectionAssert.AreEqual(one[i], with[i], $"{way}, source {i}, one file");
                if (way.Temperature == 0) CollectionAssert.AreEqual(with[i], new TextGenerator(model, way).Generate([Sources[i]], [0])[0], $"{way}, source {i} alone");
            }
        }
    }

    [TestMethod]
    public void A_step_reads_one_token_of_each_text()
    {
        using var files = new TwoFiles();
        using var device = Device.Open();
        using var model = ExportedModel.Open(files.Decoder, device);
        using var cached = new CachedTexts(model, model.Cache!, 0, new(model, Sources, 0));
        cached.Read([[0, 5], [0, 6]], (_, _) => { }, [1, 3]);
        long before = model.TokensRead;
        cached.Read([[0, 5, 7], [0, 6, 7]], (_, _) => { }, [1, 3]);
        Assert.AreEqual(2, model.TokensRead - before);
        cached.Read([[0, 5, 7, 8], [0, 6, 7, 8]], (_, _) => { }, [3, 1]); // the same texts about other sources are new ones
        Assert.AreEqual(10, model.TokensRead - before);
    }

    /// <summary>Frames of different lengths and no mask on either side: only equal ones share a batch.</summary>
    [TestMethod]
    public void A_decoder_without_mask_writes_about_sounds()
    {
        using var files = new TwoFiles();
        var (encoder, decoder) = files.Listening();
        using var device = Device.Open();
        using var text = ExportedModel.Open(files.Decoder, device);
        using var model = ExportedModel.Open(decoder, device, encoder: encoder);
        Example[] frames = [.. Sources.Select(s =>
        {
            var states = new Sources(text, [s], 0).With(0, [0]).Values["encoder_hidden_states"];
            float[] values = states.ToFloats();
            int time = (int)states.Dims[0];
            return s with { Ids = [], Values = new Dictionary<string, Tensor> { ["input_features"] = Tensor.From<float>("input_features", [.. Enumerable.Range(0, 16 * time).Select(i => values[(i % time * 16) + (i / time)])], 16, time) } };
        })];
        foreach (bool cache in new[] { true, false })
        {
            int[][] together = new TextGenerator(model, new() { MaxNewTokens = 12, Cache = cache }).Generate(frames, [0]);
            for (int i = 0; i < together.Length; i++) CollectionAssert.AreEqual(TwoFiles.Texts[i].Tokens, together[i], $"sound {i}, cache {cache}");
        }
    }

    [TestMethod]
    public void Exact_match_counts_what_is_written_about_each_source()
    {
        using var files = new TwoFiles();
        File.WriteAllLines(files["rows.jsonl"], TwoFiles.Texts.Select((t, i) => JsonSerializer.Serialize(new { input_ids = t.Source, labels = i == 2 ? [.. t.Tokens[..^1], 3] : t.Tokens })));
        string[] line = ["evaluate", "--data", files["rows.jsonl"], "--metric", "exact-match", "--decoder-start", "0"];
        foreach (string model in new[] { files.Decoder, files.Joined() })
        {
            var greedy = LiftRun.Here([.. line, model]).Good().Json;
            Assert.AreEqual((3, 4), ((int)greedy["correct"]!, (int)greedy["examples"]!));
            Assert.AreEqual(LiftRun.Here([.. line, model, "--beams", "3", "--no-cache", "--predictions", files["a"]]).Good().Json["correct"]!.ToString(), LiftRun.Here([.. line, model, "--beams", "3", "--predictions", files["b"]]).Good().Json["correct"]!.ToString());
            Assert.AreEqual(File.ReadAllText(files["a"]), File.ReadAllText(files["b"]));
        }
    }

    [TestMethod]
    public void A_decoder_is_trained_with_its_encoder_frozen_as_the_whole_model_is()
    {
        using var files = new TwoFiles();
        File.WriteAllLines(files["rows.jsonl"], TwoFiles.Texts.Select((t, i) => JsonSerializer.Serialize(new { input_ids = t.Source, labels = t.Tokens[..(4 + (2 * i))].Reverse() })));
        var results = new List<(float First, float Last, double Held)>();
        foreach (string model in new[] { files.Decoder, files.Joined() })
        {
            string name = Path.GetFileNameWithoutExtension(model), prepared = files[$"{name}-prepared"], run = files[$"{name}-run"];
            LiftRun.Here("prepare", model, "-o", prepared, "--loss", "seq2seq", "--train", model == files.Decoder ? "*" : "decoder/*").Good();
            var trained = LiftRun.Here("train", prepared, "--data", files["rows.jsonl"], "--validation", files["rows.jsonl"], "-o", run, "--steps", "6", "--batch", "4", "--selection", "full", "--lr", "1e-2", "--json").Good();
            Assert.AreEqual(model == files.Decoder, trained.Error.Contains("encoder_model.onnx' stays as it is"), trained.Error);
            results.Add(((float)trained.Json["first_loss"]!, (float)trained.Json["loss"]!, (double)trained.Json["validation_loss"]!));
            Assert.IsLessThan(results[0].First, results[0].Last);

            LiftRun.Here("export", run, "-o", files[$"{name}-tuned.onnx"]).Good();
            var tuned = LiftRun.Here(["evaluate", files[$"{name}-tuned.onnx"], "--data", files["rows.jsonl"], .. model == files.Decoder ? new[] { "--encoder", files.Encoder } : []]).Good().Json;
            Assert.AreEqual((results[^1].Held, "seq2seq"), ((double)tuned["loss"]!, (string)tuned["kind"]!));
        }
        Assert.AreEqual(results[1].First, results[0].First, 1e-5 * results[1].First);
        Assert.AreEqual(results[1].Held, results[0].Held, 1e-3 * results[1].Held);
    }

    [TestMethod]
    public void Mistakes_are_one_sentence()
    {
        using var files = new TwoFiles();
        File.WriteAllText(files["rows.jsonl"], """{"input_ids":[5,6],"labels":[7]}""");
        string alone = files["alone/model.onnx"];
        Directory.CreateDirectory(files["alone"]);
        File.Copy(files.Decoder, alone);
        StringAssert.Contains(LiftRun.Here("generate", alone, "--tokenizer", "bytes", "--prompt", "a").Refused(), "--encoder");
        StringAssert.Contains(LiftRun.Here("evaluate", alone, "--data", files["rows.jsonl"], "--metric", "exact-match").Refused(), "--encoder");
        StringAssert.Contains(LiftRun.Here("generate", alone, "--tokenizer", "bytes", "--prompt", "a", "--encoder", files["none.onnx"]).Refused(), "There is no encoder");
        StringAssert.Contains(LiftRun.Here("generate", alone, "--tokenizer", "bytes", "--prompt", "a", "--encoder", TestFiles.Shared("models/llama-tiny/model.onnx")).Refused(), "width");
        StringAssert.Contains(LiftRun.Here("generate", TestFiles.Shared("models/llama-tiny/model.onnx"), "--tokenizer", "bytes", "--prompt", "a", "--encoder", files.Encoder).Refused(), "no use for an encoder");
        LiftRun.Here("prepare", alone, "-o", files["p"], "--loss", "seq2seq", "--train", "*").Good();
        StringAssert.Contains(LiftRun.Here("train", files["p"], "--data", files["rows.jsonl"], "-o", files["r"]).Refused(), "--encoder");
        LiftRun.Here("prepare", files.Decoder, "-o", files["q"], "--train", "*").Good();
        StringAssert.Contains(LiftRun.Here("train", files["q"], "--data", files["rows.jsonl"], "-o", files["r"]).Refused(), "--loss seq2seq");
        StringAssert.Contains(LiftRun.Here("train", files["q"], "--data", files["rows.jsonl"], "-o", files["r"], "--encoder", files["none.onnx"]).Refused(), "There is no encoder");
    }
}
