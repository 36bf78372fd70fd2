using System.Text.Json;
using Lift.Ort.Data;
using Lift.Ort.Devices;
using Lift.Ort.Generation;

namespace Lift.Ort.Tests.Generation;

[TestClass]
public sealed class TextGeneratorTests
{
    [TestMethod]
    public void A_trained_model_goes_on_with_a_story()
    {
        using var story = new Story();
        int[] prompt = story.Tokenizer.EncodeFromStart("Once upon a time, there was a little");
        var streamed = new List<string>();
        var decoder = new StreamDecoder(story.Tokenizer, prompt);
        int[] tokens = new TextGenerator(story.Model, new() { MaxNewTokens = 40 }).Generate([prompt], (_, t) => streamed.Add(decoder.Add(t)))[0];
        string text = story.Tokenizer.Decode([.. prompt, .. tokens]);
        StringAssert.StartsWith(text, "Once upon a time, there was a little girl named");
        Assert.AreEqual(text, story.Tokenizer.Decode(prompt) + string.Concat(streamed) + decoder.Finish(), "streamed text is the whole text");
        Assert.HasCount(40, tokens);
    }

    [TestMethod]
    [DataRow("stories260k")]
    [DataRow("llama-tiny")]
    public void Prompts_of_different_length_do_not_disturb_each_other(string name)
    {
        using var device = Device.Open();
        using var model = ExportedModel.Open(TestFiles.Shared($"models/{name}/model.onnx"), device);
        int[][] prompts = [[1, 300, 261, 290], [1, 299], [1, 310, 280, 270, 265, 311, 315, 299, 301]];
        var generator = new TextGenerator(model, new() { MaxNewTokens = 12 });
        int[][] together = generator.Generate(prompts);
        for (int i = 0; i < prompts.Length; i++) CollectionAssert.AreEqual(generator.Generate([prompts[i]])[0], together[i]);
    }

    [TestMethod]
    public void Writing_stops_at_the_end_token_and_at_the_longest_length()
    {
        using var story = new Story();
        int[] prompt = story.Tokenizer.EncodeFromStart("Once upon a time");
        int[] free = new TextGenerator(story.Model, new() { MaxNewTokens = 8 }).Generate([prompt])[0];
        int end = free[5];
        CollectionAssert.AreEqual(free[..Array.IndexOf(free, end)], new TextGenerator(story.Model, new() { MaxNewTokens = 8, EndIds = [end] }).Generate([prompt])[0]);
        Assert.HasCount(3, new TextGenerator(story.Model, new() { MaxNewTokens = 8, MaxLength = prompt.Length + 3 }).Generate([prompt])[0]);
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => new TextGenerator(story.Model, new()).Generate([prompt, []])).Message, "Prompt 2 has no token");
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => new TextGenerator(story.Model, new()).Generate([[1, 512]])).Message, "could not run");
    }

    [TestMethod]
    public void As_many_beams_as_tokens_find_the_likeliest_pair()
    {
        using var story = new Story();
        int[] prompt = [1, 403, 407];
        int width = story.Tokenizer.VocabularySize;
        double[] first = [];
        var next = new NextTokens(story.Model, 0);
        next.Read([prompt], (_, logits) => first = LogProbabilities(logits));
        (double Sum, int[] Pair) best = (double.NegativeInfinity, []);
        next.Read([.. Enumerable.Range(0, width).Select(t => (int[])[.. prompt, t])], (t, logits) =>
        {
            int second = LossMetric.ArgMax(logits);
            double sum = first[t] + LogProbabilities(logits)[second];
            if (sum > best.Sum) best = (sum, [t, second]);
        });
        CollectionAssert.AreEqual(best.Pair, new TextGenerator(story.Model, new() { Beams = width, MaxNewTokens = 2 }).Generate([prompt])[0]);

        static double[] LogProbabilities(ReadOnlySpan<float> logits)
        {
            double norm = LossMetric.LogSumExp(logits);
            return Array.ConvertAll(logits.ToArray(), l => l - norm);
        }
    }

    [TestMethod]
    public void Beams_write_texts_that_are_at_least_as_likely_and_stop_at_the_end_token()
    {
        using var story = new Story();
        int[][] prompts = [story.Tokenizer.EncodeFromStart("Once upon a time"), story.Tokenizer.EncodeFromStart("The dog was")];
        var greedy = new TextGenerator(story.Model, new() { MaxNewTokens = 8 }).Generate(prompts);
        var beams = new TextGenerator(story.Model, new() { MaxNewTokens = 8, Beams = 4 }).Generate(prompts);
        for (int i = 0; i < 2; i++)
        {
            Assert.IsTrue(LogProbability(prompts[i], beams[i]) >= LogProbability(prompts[i], greedy[i]) - 1e-6);
            CollectionAssert.AreEqual(beams[i], new TextGenerator(story.Model, new() { MaxNewTokens = 8, Beams = 4 }).Generate([prompts[i]])[0], "prompts do not disturb each other");
        }
        int end = beams[0][3];
        CollectionAssert.DoesNotContain(new TextGenerator(story.Model, new() { MaxNewTokens = 8, Beams = 4, EndIds = [end] }).Generate([prompts[0]])[0], end);
        Assert.HasCount(2, new TextGenerator(story.Model, new() { MaxNewTokens = 8, Beams = 4, MaxLength = prompts[0].Length + 2 }).Generate([prompts[0]])[0]);

        double LogProbability(int[] prompt, int[] written)
        {
            double sum = 0;
            for (int t = 0; t < written.Length; t++)
                new NextTokens(story.Model, 0).Read([[.. prompt, .. written[..t]]], (_, logits) => sum += logits[written[t]] - LossMetric.LogSumExp(logits));
            return sum;
        }
    }

    [TestMethod]
    public void Draws_follow_temperature_top_k_top_p_and_seed()
    {
        float[] logits = [0, MathF.Log(2), MathF.Log(5), -50];
        int[] Count(GenerationOptions options)
        {
            var sampler = new TokenSampler(options);
            var counts = new int[4];
            for (int i = 0; i < 8000; i++) counts[sampler.Next(logits)]++;
            return counts;
        }

        int[] all = Count(new() { Temperature = 1 });
        Assert.AreEqual(1000, all[0], 150);
        Assert.AreEqual(2000, all[1], 200);
        Assert.AreEqual(5000, all[2], 200);
        CollectionAssert.AreEqual(all, Count(new() { Temperature = 1 }), "the same seed draws the same");
        CollectionAssert.AreNotEqual(all, Count(new() { Temperature = 1, Seed = 1 }));

        int[] two = Count(new() { Temperature = 1, TopK = 2 });
        Assert.AreEqual(0, two[0]);
        Assert.AreEqual(8000 * 2 / 7.0, two[1], 200);
        CollectionAssert.AreEqual(new[] { 0, 0, 8000, 0 }, Count(new() { Temperature = 1, TopP = 0.6 }));
        Assert.AreEqual(0, Count(new() { Temperature = 1, TopP = 0.7 })[0]);
        CollectionAssert.AreEqual(new[] { 0, 0, 8000, 0 }, Count(new()));
        Assert.IsGreaterThan(7500, Count(new() { Temperature = 0.25 })[2]);
    }

    [TestMethod]
    public void Characters_appear_when_their_last_byte_is_there()
    {
        var decoder = new StreamDecoder(new ByteTokenizer(), [256]);
        byte[] utf8 = System.Text.Encoding.UTF8.GetBytes("aé日🙂 a long tail that makes the decoder forget its beginning é");
        var pieces = utf8.Select(b => decoder.Add(b)).ToList();
        Assert.AreEqual("a||é|||日||||🙂", string.Join("|", pieces.Take(10)));
        Assert.AreEqual("aé日🙂 a long tail that makes the decoder forget its beginning é", string.Concat(pieces));
        Assert.AreEqual("", decoder.Finish());
        Assert.AreEqual("", decoder.Add(0xC3));
        Assert.AreEqual("\uFFFD", decoder.Finish());
    }

    [TestMethod]
    public void Questions_are_answered_and_counted()
    {
        using var temp = TestFiles.Temp();
        using var story = new Story();
        int[] prompt = story.Tokenizer.EncodeFromStart("Once upon a time");
        string said = story.Tokenizer.Decode(new TextGenerator(story.Model, new() { MaxNewTokens = 6 }).Generate([prompt])[0]).Trim();
        File.WriteAllLines(temp["d.jsonl"],
        [
            JsonSerializer.Serialize(new { prompt = "Once upon a time", completion = said }),
            JsonSerializer.Serialize(new { prompt = "Once upon a time", completion = "no such thing" }),
            JsonSerializer.Serialize(new { instruction = "How many?", output = "", answer = "12345" }),
            JsonSerializer.Serialize(new { input_ids = prompt.Append(9).Append(7), labels = prompt.Select(_ => -100).Append(9).Append(7) }),
        ]);
        var match = new ExactMatch(story.Model, story.Tokenizer, new() { Batch = 3 }, new() { MaxNewTokens = 6, MaxLength = 300 });
        var score = match.Score(temp["d.jsonl"]);
        Assert.AreEqual((1, 4, 0.25), (score.Correct, score.Examples, score.Score));
        Assert.AreEqual("1 2 3 4", string.Join(" ", score.Predictions.Select(p => p.Row)));
        Assert.IsTrue(score.Predictions[0].Right);
        Assert.AreEqual(said, score.Predictions[1].Answer);
        CollectionAssert.AreEqual(new[] { "numbers", "text", "tokens" }, score.Rules.ToArray());

        File.WriteAllText(temp["bad.jsonl"], """{"text":"no question"}""");
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => match.Score(temp["bad.jsonl"])).Message, "no prompt to answer");
        File.WriteAllText(temp["bad.jsonl"], """{"instruction":"no answer"}""");
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => match.Score(temp["bad.jsonl"])).Message, "no answer to compare with");
        File.WriteAllText(temp["bad.jsonl"], "[]");
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => match.Score(temp["bad.jsonl"])).Message, "empty");
    }

    private sealed class Story : IDisposable
    {
        private readonly IDevice device = Device.Open();

        public Story() => Model = ExportedModel.Open(TestFiles.Shared("models/stories260k/model.onnx"), device);

        public ExportedModel Model { get; }

        public ITokenizer Tokenizer { get; } = Ort.Data.Tokenizer.Open(TestFiles.Shared("models/stories260k/tok512.model"))!;

        public void Dispose()
        {
            Model.Dispose();
            device.Dispose();
        }
    }
}
