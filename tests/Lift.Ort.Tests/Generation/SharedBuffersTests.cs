using Lift.Ort.Artifacts;
using Lift.Ort.Devices;
using Lift.Ort.Generation;
using Lift.Ort.Gradients;
using Lift.Ort.Lowering;
using Lift.Ort.Onnx;
using Lift.Ort.Sessions;
using Lift.Ort.Tests.Lowering.Decoders;

namespace Lift.Ort.Tests.Generation;

/// <summary>Caches that an operator writes into a buffer, and lengths that are inputs of the graph: what the GenAI builder and opset 24 write.</summary>
[TestClass]
public sealed class SharedBuffersTests
{
    private static readonly RecordedDecoder golden = new("llama-genai");

    /// <summary>llama-genai with a buffer of 24 places, and, where <paramref name="lengths"/> says so, with lengths as inputs instead of a mask.</summary>
    private static ModelProto GenAi(string lengths, bool buffer)
    {
        ModelProto proto = ModelProto.Parser.ParseFrom(File.ReadAllBytes(golden.Path));
        foreach (ValueInfoProto value in proto.Graph.Input.Concat(proto.Graph.Output).Where(v => buffer && v.Type.TensorType.Shape.Dim.Count == 4)) value.Type.TensorType.Shape.Dim[2].DimValue = 24;
        if (lengths == "computed") return proto;
        proto.Graph.Input.Remove(proto.Graph.Input.Single(i => i.Name == "attention_mask"));
        foreach (string name in new[] { "/mask_sum", "/mask_less", "/seqlens_k", "/mask_shape", "/total", "/total_seq_len" }) proto.Graph.Node.Remove(proto.Graph.Node.Single(n => n.Name == name));
        string[] names = lengths == "named" ? ["seqlens_k", "total_seq_len"] : ["a", "b"];
        foreach (NodeProto node in proto.Graph.Node)
            for (int i = 0; i < node.Input.Count; i++) node.Input[i] = node.Input[i] switch { "seqlens_k" => lengths == "cast" ? "as_int" : names[0], "total_seq_len" => names[1], var n => n };
        proto.Graph.Input.Add(Value(names[0], lengths == "cast" ? 7 : 6, "batch_size"));
        proto.Graph.Input.Add(lengths == "named" ? Value(names[1], 6) : Value(names[1], 6, 1));
        if (lengths == "cast") proto.Graph.Node.Insert(0, new NodeProto { OpType = "Cast", Name = "as_int", Input = { "a" }, Output = { "as_int" }, Attribute = { new AttributeProto { Name = "to", Type = AttributeProto.Types.AttributeType.Int, I = 6 } } });
        return proto;
    }

    [TestMethod]
    [DataRow("computed", true)]
    [DataRow("named", true)]
    [DataRow("named", false)]
    [DataRow("cast", false)]
    public void GroupQueryAttention_writes_and_trains_as_with_a_cache_that_grows(string lengths, bool buffer)
    {
        using TempFolder temp = TestFiles.Temp();
        File.WriteAllBytes(temp["m.onnx"], Google.Protobuf.MessageExtensions.ToByteArray(GenAi(lengths, buffer)));
        using var device = Device.Open();
        using var model = ExportedModel.Open(temp["m.onnx"], device);
        Assert.IsNotNull(model.Cache);
        int[][] prompts = [.. golden.Greedy.Select(g => g.Prompt)];
        foreach (bool cache in new[] { true, false })
        {
            int[][] together = new TextGenerator(model, new() { MaxNewTokens = 12, Cache = cache }).Generate(prompts);
            for (int i = 0; i < prompts.Length; i++) CollectionAssert.AreEqual(golden.Greedy[i].Tokens, together[i], $"prompt {i}, cache {cache}");
        }
        Assert.IsTrue(model.Trust.WorksPadded, "the first steps proved the cache");
        GenerationOptions beams = new() { MaxNewTokens = 6, Beams = 3 };
        int[][] with = new TextGenerator(model, beams).Generate(prompts), without = new TextGenerator(model, beams with { Cache = false }).Generate(prompts);
        for (int i = 0; i < prompts.Length; i++) CollectionAssert.AreEqual(without[i], with[i]);
        if (buffer) Assert.HasCount(24 - prompts[0].Length, new TextGenerator(model, new() { MaxNewTokens = 100 }).Generate([prompts[0]])[0], "as many tokens as the buffer holds");

        TrainingGraph training = TrainingGraph.Build(OnnxFile.Read(temp["m.onnx"]), new() { Train = ["*"] });
        using var session = TrainingSession.Open(ArtifactFolder.Create(training, temp["m.onnx"], temp["a"]), device);
        CollectionAssert.IsSubsetOf(session.Inputs.Select(i => i.Name).ToArray(), new[] { "input_ids", "attention_mask", "labels" });
        for (int i = 0; i < golden.Cases; i++) Assert.AreEqual(golden.LossOf(i), session.Step(golden.Batch(i)), 1e-5 * golden.LossOf(i));
    }

    [TestMethod]
    [DataRow(16)]
    [DataRow("max_length")]
    public void TensorScatter_and_Attention_of_opset_24_write_and_train(object length)
    {
        using TempFolder temp = TestFiles.Temp();
        Dim size = length is int n ? n : (Dim)(string)length;
        Opset24(temp["m.onnx"], size);
        using var device = Device.Open();
        using var model = ExportedModel.Open(temp["m.onnx"], device);
        Assert.IsTrue(model.Cache!.Padded);
        int[][] prompts = [[5, 17, 9, 30], [8, 22], [31, 4, 12, 6, 19, 25, 7]];
        foreach (GenerationOptions how in new GenerationOptions[] { new() { MaxNewTokens = 9 }, new() { MaxNewTokens = 6, Beams = 3 } })
        {
            int[][] with = new TextGenerator(model, how).Generate(prompts), without = new TextGenerator(model, how with { Cache = false }).Generate(prompts);
            for (int i = 0; i < prompts.Length; i++) CollectionAssert.AreEqual(without[i], with[i]);
            for (int i = 0; i < prompts.Length; i++) CollectionAssert.AreEqual(with[i], new TextGenerator(model, how).Generate([prompts[i]])[0], "alone");
        }
        Assert.IsTrue(model.Trust.WorksPadded);

        File.WriteAllLines(temp["rows.jsonl"], prompts.Select(p => System.Text.Json.JsonSerializer.Serialize(new { input_ids = p })));
        var metric = new LossMetric(model);
        double loss = metric.Score(Ort.Data.BatchReader.Open(temp["rows.jsonl"], null, metric.Inputs, metric.Fit(new() { Batch = 3 })).Epoch()).Loss; // by ONNX Runtime's own kernels
        TrainingGraph training = TrainingGraph.Build(OnnxFile.Read(temp["m.onnx"]), new() { Train = ["*"] });
        Assert.IsFalse(training.Training.Nodes.Exists(n => Lowerings.Has(n.Operator)));
        using var session = TrainingSession.Open(ArtifactFolder.Create(training, temp["m.onnx"], temp["a"]), device);
        CollectionAssert.AreEquivalent(new[] { "input_ids", "labels" }, session.Inputs.Select(i => i.Name).ToArray());
        Assert.AreEqual(loss, session.Step(Ort.Data.BatchReader.Open(temp["rows.jsonl"], null, session.Inputs, new() { Batch = 3 }).Next().Values), 1e-5 * loss);
    }

    /// <summary>One layer: keys and values go into the buffer from write_indices on, nonpad_kv_seqlen says how far it is filled, a mask what each query sees.</summary>
    private static void Opset24(string path, Dim size)
    {
        const int vocabulary = 40, width = 16, heads = 2;
        var g = new Graph { Opset = 24, IrVersion = 11 };
        g.Inputs.AddRange([new("input_ids", new(ElementType.Int64, new("batch", "sequence"))), new("write_indices", new(ElementType.Int64, new Shape("batch"))), new("nonpad_kv_seqlen", new(ElementType.Int64, new Shape("batch")))]);
        foreach (string part in new[] { "key", "value" }) g.Inputs.Add(new($"{part}_cache.0", new(ElementType.Float, new("batch", heads, size, width / heads))));
        ShapeInference.InferInputs(g);
        var random = new Random(3);
        Var Weight(string name, params long[] dims)
        {
            Tensor tensor = Tensor.Empty(name, ElementType.Float, dims);
            foreach (ref float v in tensor.AsSpan<float>()) v = (random.NextSingle() - 0.5f) * 2.4f;
            g.Initializers.Add(name, tensor);
            g.Types[name] = tensor.TensorType;
            return g.Var(name);
        }
        Var ids = g.Var("input_ids"), dims = ids.ShapeOf();
        Var steps = g.Add("Range", [g.Scalar(0, ElementType.Int64), dims.Slice(1, 2, 0).Squeeze(0), g.Scalar(1, ElementType.Int64)]);
        Var positions = g.Var("write_indices").Unsqueeze(1) + steps;
        Var x = Weight("embed.weight", vocabulary, width).Gather(ids) + Weight("positions.weight", 32, width).Gather(positions);
        Var Heads(string name) => x.MatMul(Weight($"layers.0.self_attn.{name}.weight", width, width)).Reshape(0, 0, heads, width / heads).Transpose(0, 2, 1, 3);
        Var Written(string part, string name) => g.Add("TensorScatter", [g.Var($"{part}_cache.0"), Heads(name), g.Var("write_indices")], n => n.With("axis", 2L), output: $"{part}_cache_out.0");
        Var k = Written("key", "k_proj"), v = Written("value", "v_proj");
        Var places = g.Add("Range", [g.Scalar(0, ElementType.Int64), k.ShapeOf().Slice(2, 3, 0).Squeeze(0), g.Scalar(1, ElementType.Int64)]);
        Var mask = g.Add("LessOrEqual", [places.Unsqueeze(0, 1, 2), positions.Unsqueeze(1, 3)]);
        Var y = g.Add("Attention", [Heads("q_proj"), k, v, mask, null, null, g.Var("nonpad_kv_seqlen")]);
        x += y.Transpose(0, 2, 1, 3).Reshape(0, 0, width).MatMul(Weight("layers.0.self_attn.o_proj.weight", width, width));
        Var logits = x.MatMul(Weight("lm_head.weight", width, vocabulary)).Identity("logits");
        g.Outputs.AddRange([new(logits.Name, new(ElementType.Float, new("batch", "sequence", vocabulary))), new(k.Name, g.TypeOf("key_cache.0")), new(v.Name, g.TypeOf("value_cache.0"))]);
        OnnxFile.Write(g, path);
    }

    private static ValueInfoProto Value(string name, int type, params object[] dims)
    {
        var shape = new TensorShapeProto();
        foreach (object dim in dims) shape.Dim.Add(dim is int n ? new TensorShapeProto.Types.Dimension { DimValue = n } : new() { DimParam = (string)dim });
        return new() { Name = name, Type = new() { TensorType = new() { ElemType = type, Shape = shape } } };
    }
}
