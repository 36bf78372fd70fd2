using Lift.Ort.Architectures;
using Lift.Ort.Devices;
using Lift.Ort.Generation;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;
using Lift.Ort.Tests.Lowering.Decoders;

namespace Lift.Ort.Tests.Generation;

/// <summary>A decoder that goes on from its cache writes what it writes when it reads everything again, and what torch wrote.</summary>
[TestClass]
public sealed class CachedTextsTests
{
    [TestMethod]
    [DynamicData(nameof(RecordedDecoder.Writers), typeof(RecordedDecoder))]
    public void Prompts_of_different_lengths_go_on_as_torch_goes_on_with_each_alone(string name)
    {
        var decoder = new RecordedDecoder(name);
        using var device = Device.Open();
        using var model = ExportedModel.Open(decoder.Path, device);
        Assert.IsNotNull(model.Cache, "the cache is recognised");
        int[][] prompts = [.. decoder.Greedy.Select(g => g.Prompt)];
        foreach (bool cache in new[] { true, false })
        {
            int[][] together = new TextGenerator(model, new() { MaxNewTokens = 12, Cache = cache }).Generate(prompts);
            for (int i = 0; i < prompts.Length; i++) CollectionAssert.AreEqual(decoder.Greedy[i].Tokens, together[i], $"prompt {i}, cache {cache}");
        }
    }

    [TestMethod]
    [DynamicData(nameof(RecordedDecoder.Writers), typeof(RecordedDecoder))]
    public void Draws_beams_and_ends_are_the_same_with_and_without_cache(string name)
    {
        var decoder = new RecordedDecoder(name);
        using var device = Device.Open();
        using var model = ExportedModel.Open(decoder.Path, device);
        int[][] prompts = [.. decoder.Greedy.Select(g => g.Prompt)];
        GenerationOptions[] ways =
        [
            new() { MaxNewTokens = 10, Temperature = 1, Seed = 3 },
            new() { MaxNewTokens = 10, Temperature = 2, TopK = 20, TopP = 0.9, Seed = 4, EndIds = [7, 19, 30] },
            new() { MaxNewTokens = 8, Beams = 3 },
            new() { MaxNewTokens = 8, Beams = 4, EndIds = [.. Enumerable.Range(0, 12)] },
            new() { MaxNewTokens = 20, EndIds = [.. decoder.Greedy.Select(g => g.Tokens[g.Prompt.Length])] }, // rows leave one after the other
        ];
        foreach (GenerationOptions way in ways)
        {
            int[][] with = new TextGenerator(model, way).Generate(prompts), without = new TextGenerator(model, way with { Cache = false }).Generate(prompts);
            for (int i = 0; i < prompts.Length; i++) CollectionAssert.AreEqual(without[i], with[i], $"{way}, prompt {i}");
        }
    }

    [TestMethod]
    [DynamicData(nameof(RecordedDecoder.Writers), typeof(RecordedDecoder))]
    public void The_next_tokens_scores_are_the_same_with_and_without_cache(string name)
    {
        var decoder = new RecordedDecoder(name);
        using var device = Device.Open();
        using var model = ExportedModel.Open(decoder.Path, device);
        using NextTokens cached = new(model, 0), whole = new(model, 0, useCache: false);
        List<int[]> texts = [[5, 6, 7], [8], [5, 6], [9, 10, 11, 12, 13]];
        var random = new Random(1);
        for (int step = 0; step < 10; step++)
        {
            var expected = new List<float[]>();
            whole.Read(texts, (_, logits) => expected.Add(logits.ToArray()));
            cached.Read(texts, (i, logits) =>
            {
                for (int t = 0; t < logits.Length; t++) Assert.AreEqual(expected[i][t], logits[t], 2e-4f, $"step {step}, text {i}, token {t}");
            });
            // some go on, once or twice, some leave, some begin, in another order
            texts = [.. texts.SelectMany(t => Enumerable.Range(0, random.Next(3)).Select(_ => (int[])[.. t, random.Next(3, 40)])).OrderBy(_ => random.Next()).Take(7), [random.Next(3, 40), random.Next(3, 40)]];
        }
    }

    [TestMethod]
    [DynamicData(nameof(RecordedDecoder.Writers), typeof(RecordedDecoder))]
    public void A_step_reads_one_token_of_each_text(string name)
    {
        using var device = Device.Open();
        using var model = ExportedModel.Open(new RecordedDecoder(name).Path, device);
        using var cached = new CachedTexts(model, model.Cache!, 0);
        int[][] texts = [[5, 6, 7], [8, 9, 4]];
        cached.Read(texts, (_, _) => { });
        long before = model.TokensRead;
        cached.Read([.. texts.Select(t => (int[])[.. t, 3])], (_, _) => { });
        Assert.AreEqual(2, model.TokensRead - before);
    }

    [TestMethod]
    [DynamicData(nameof(RecordedDecoder.Writers), typeof(RecordedDecoder))]
    public void The_loss_of_the_file_itself_is_the_recorded_one(string name)
    {
        var decoder = new RecordedDecoder(name);
        using var device = Device.Open();
        using var model = ExportedModel.Open(decoder.Path, device);
        var metric = new LossMetric(model);
        using TempFolder temp = TestFiles.Temp();
        for (int i = 0; i < decoder.Cases; i++)
        {
            Dictionary<string, Tensor> batch = decoder.Batch(i);
            int length = (int)batch["labels"].Dims[1];
            long[] ids = batch["input_ids"].ToLongs(), labels = batch["labels"].ToLongs(), mask = batch["attention_mask"].ToLongs();
            File.WriteAllLines(temp["rows.jsonl"], Enumerable.Range(0, ids.Length / length).Select(r =>
            {
                int real = (int)mask.Skip(r * length).Take(length).Sum();
                return System.Text.Json.JsonSerializer.Serialize(new { input_ids = ids.Skip(r * length).Take(real), labels = labels.Skip(r * length).Take(real) });
            }));
            var reader = Ort.Data.BatchReader.Open(temp["rows.jsonl"], null, metric.Inputs, metric.Fit(new() { Batch = 8, Shuffle = false }));
            Assert.AreEqual(decoder.LossOf(i), metric.Score(reader.Epoch()).Loss, 1e-5 * decoder.LossOf(i));
        }
    }

    [TestMethod]
    [DataRow(ElementType.Float, 0)]
    [DataRow(ElementType.Float, 4)]
    [DataRow(ElementType.Float16, 0)]
    [DataRow(ElementType.BFloat16, 0)]
    public void A_16_bit_or_quantised_decoder_goes_on_from_its_cache(ElementType type, int bits)
    {
        using TempFolder temp = TestFiles.Temp();
        NewModel.WriteLlama(temp["m.onnx"], LlamaShape.Presets["stories260k"] with { Layers = 2, Heads = 4, KvHeads = 2 }, type, seed: 5, form: LlamaForm.GenAI, bits: bits);
        using var device = Device.Open();
        using var model = ExportedModel.Open(temp["m.onnx"], device);
        Assert.IsTrue(model.Cache!.Padded);
        using NextTokens cached = new(model, 0), whole = new(model, 0, useCache: false);
        int[][] texts = [[5, 6, 7], [8, 9], [4, 3, 2, 1]];
        for (int step = 0; step < 4; step++)
        {
            var expected = new List<float[]>();
            whole.Read(texts, (_, logits) => expected.Add(logits.ToArray()));
            float largest = expected.SelectMany(e => e).Max(MathF.Abs);
            cached.Read(texts, (i, logits) =>
            {
                for (int t = 0; t < logits.Length; t++) Assert.AreEqual(expected[i][t], logits[t], (type == ElementType.Float16 ? 2e-2f : 1e-4f) * largest, $"step {step}, text {i}, token {t}");
            });
            texts = [.. texts.Select((t, i) => (int[])[.. t, 10 + i + step])];
        }
    }

    /// <summary>Training changes the branch without a past; the branch with one, which generation takes, must follow.</summary>
    [TestMethod]
    [DataRow("gpt2-merged")]
    [DataRow("gpt2-merged-apart")]
    public void Both_branches_of_a_merged_decoder_have_the_trained_weights(string name)
    {
        var decoder = new RecordedDecoder(name);
        using TempFolder temp = TestFiles.Temp();
        Graph source = OnnxFile.Read(decoder.Path);
        var random = new Random(1);
        var changed = TrainingGraph.Build(source, new() { Train = ["*"] }).Trainable.ToDictionary(w => w.Name, w => w.Value.Copy());
        foreach (Tensor tensor in changed.Values)
            foreach (ref float v in tensor.AsSpan<float>()) v += 0.2f * (random.NextSingle() - 0.5f);
        OnnxFile.Replace(decoder.Path, changed, temp["trained.onnx"]);
        using var device = Device.Open();
        using var model = ExportedModel.Open(temp["trained.onnx"], device);
        int[][] prompts = [.. decoder.Greedy.Select(g => g.Prompt)];
        int[][] with = new TextGenerator(model, new() { MaxNewTokens = 12 }).Generate(prompts), without = new TextGenerator(model, new() { MaxNewTokens = 12, Cache = false }).Generate(prompts);
        for (int i = 0; i < prompts.Length; i++) CollectionAssert.AreEqual(without[i], with[i]);
        Assert.IsTrue(Enumerable.Range(0, prompts.Length).Any(i => !with[i].SequenceEqual(decoder.Greedy[i].Tokens)), "the weights did change");
    }

    /// <summary>Two rows always, one row of positions for all, cache_position, a switch for the scores: what other exports ask for.</summary>
    [TestMethod]
    [DataRow("batch of two")]
    [DataRow("one row of positions")]
    [DataRow("positions by place")]
    [DataRow("last scores only")]
    [DataRow("keys and values exchanged")]
    public void Other_forms_of_inputs_give_the_same_text(string form)
    {
        var decoder = new RecordedDecoder("gpt2-optimum");
        ModelProto proto = ModelProto.Parser.ParseFrom(File.ReadAllBytes(decoder.Path));
        ValueInfoProto Input(string name) => proto.Graph.Input.Single(i => i.Name == name);
        if (form == "batch of two") foreach (ValueInfoProto input in proto.Graph.Input) input.Type.TensorType.Shape.Dim[0].DimValue = 2;
        if (form == "one row of positions") Input("position_ids").Type.TensorType.Shape.Dim[0].DimValue = 1;
        if (form == "positions by place")
        {
            Input("position_ids").Name = "cache_position";
            Input("cache_position").Type.TensorType.Shape.Dim.RemoveAt(0);
            proto.Graph.Initializer.Add(new TensorProto { Name = "front", DataType = 7, Dims = { 1 }, Int64Data = { 0 } });
            proto.Graph.Node.Insert(0, new NodeProto { OpType = "Unsqueeze", Name = "front", Input = { "cache_position", "front" }, Output = { "position_ids" } });
        }
        if (form == "keys and values exchanged") // the presents are not what their names say
        {
            foreach (string part in new[] { "key", "value" }) proto.Graph.Output.Single(o => o.Name == $"present.0.{part}").Name = $"old.{part}";
            foreach (var (from, to) in new[] { ("key", "value"), ("value", "key") }) proto.Graph.Output.Single(o => o.Name == $"old.{from}").Name = $"present.0.{to}";
            foreach (NodeProto node in proto.Graph.Node)
            {
                for (int i = 0; i < node.Input.Count; i++) node.Input[i] = node.Input[i] switch { "present.0.key" => "present.0.value", "present.0.value" => "present.0.key", var n => n };
                for (int i = 0; i < node.Output.Count; i++) node.Output[i] = node.Output[i] switch { "present.0.key" => "present.0.value", "present.0.value" => "present.0.key", var n => n };
            }
        }
        if (form == "last scores only")
        {
            NodeProto last = proto.Graph.Node.Single(n => n.Output.Contains("logits"));
            last.Output[0] = "all_logits";
            foreach (var (name, value) in new[] { ("from", -1L), ("to", long.MaxValue), ("axis", 1) }) proto.Graph.Initializer.Add(new TensorProto { Name = name, DataType = 7, Dims = { 1 }, Int64Data = { value } });
            proto.Graph.Node.Add(new NodeProto { OpType = "Slice", Name = "last", Input = { "all_logits", "from", "to", "axis" }, Output = { "logits" } });
            proto.Graph.Output.Single(o => o.Name == "logits").Type.TensorType.Shape.Dim[1].DimValue = 1;
        }
        using TempFolder temp = TestFiles.Temp();
        File.WriteAllBytes(temp["m.onnx"], Google.Protobuf.MessageExtensions.ToByteArray(proto));
        using var device = Device.Open();
        using var model = ExportedModel.Open(temp["m.onnx"], device);
        Assert.IsNotNull(model.Cache);
        foreach (int[] rows in new int[][] { [0, 1], [2], [3, 0] })
        {
            foreach (bool cache in new[] { true, false })
            {
                int[][] written = new TextGenerator(model, new() { MaxNewTokens = 12, Cache = cache }).Generate([.. rows.Select(r => decoder.Greedy[r].Prompt)]);
                for (int i = 0; i < rows.Length; i++) CollectionAssert.AreEqual(decoder.Greedy[rows[i]].Tokens, written[i], $"{form}, prompt {rows[i]}, cache {cache}");
            }
        }
    }

    /// <summary>MPT counts places, not positions: an input position_ids that nobody reads makes it look as if padding did no harm.</summary>
    [TestMethod]
    public void A_cache_that_cannot_be_padded_is_found_out_and_used_for_texts_of_equal_length()
    {
        var decoder = new RecordedDecoder("mpt-turned");
        ModelProto proto = ModelProto.Parser.ParseFrom(File.ReadAllBytes(decoder.Path));
        ValueInfoProto idle = proto.Graph.Input.Single(i => i.Name == "input_ids").Clone();
        idle.Name = "position_ids";
        proto.Graph.Input.Add(idle);
        proto.Graph.Node.Add(new NodeProto { OpType = "Identity", Name = "idle", Input = { "position_ids" }, Output = { "idle" } });
        proto.Graph.Output.Add(new ValueInfoProto { Name = "idle", Type = idle.Type });
        using TempFolder temp = TestFiles.Temp();
        File.WriteAllBytes(temp["m.onnx"], Google.Protobuf.MessageExtensions.ToByteArray(proto));
        using var device = Device.Open();
        using var model = ExportedModel.Open(temp["m.onnx"], device);
        CollectionAssert.AreEqual(decoder.Greedy[1].Tokens, new TextGenerator(model, new() { MaxNewTokens = 12 }).Generate([decoder.Greedy[1].Prompt])[0]);
        Assert.AreEqual((true, null), (model.Trust.Works, model.Trust.WorksPadded));
        int[][] written = new TextGenerator(model, new() { MaxNewTokens = 12 }).Generate([.. decoder.Greedy.Select(g => g.Prompt)]);
        for (int i = 0; i < written.Length; i++) CollectionAssert.AreEqual(decoder.Greedy[i].Tokens, written[i]);
        Assert.AreEqual((true, false), (model.Trust.Works, model.Trust.WorksPadded));
    }
}
