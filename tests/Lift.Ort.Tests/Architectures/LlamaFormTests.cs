using Lift.Ort.Architectures;
using Lift.Ort.Artifacts;
using Lift.Ort.Devices;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;
using Lift.Ort.Sessions;
using Microsoft.ML.OnnxRuntime;

namespace Lift.Ort.Tests.Architectures;

/// <summary>The same decoder in every vocabulary: equal logits in ONNX Runtime, equal loss and gradients in training.</summary>
[TestClass]
public sealed class LlamaFormTests
{
    private static readonly LlamaShape tiny = new(Width: 64, Layers: 2, Heads: 4, KvHeads: 2, Ffn: 48, Vocab: 40, Tied: true);
    private static readonly long[] ids = [3, 14, 15, 9, 26, 31, 8, 2, 2, 17];

    [TestMethod]
    [DataRow(LlamaForm.GenAI, true)]
    [DataRow(LlamaForm.GenAI, false)]
    [DataRow(LlamaForm.Opset23, true)]
    [DataRow(LlamaForm.Opset23, false)]
    public void Logits_are_those_of_the_standard_form(LlamaForm form, bool tied)
    {
        LlamaShape shape = tiny with { Tied = tied };
        float[] expected = Logits(NewModel.Llama(shape, seed: 7, attentionMask: true)), actual = Logits(NewModel.Llama(shape, seed: 7, attentionMask: true, form: form));
        Assert.HasCount(expected.Length, actual);
        for (int i = 0; i < expected.Length; i++) Assert.AreEqual(expected[i], actual[i], 2e-6f);
        Assert.IsTrue(expected.Max(Math.Abs) > 1e-3, "logits that are all zero would prove nothing");
    }

    [TestMethod]
    [DataRow(LlamaForm.Standard)]
    [DataRow(LlamaForm.GenAI)]
    [DataRow(LlamaForm.Opset23)]
    public void Four_bit_matrices_are_the_numbers_they_stand_for(LlamaForm form)
    {
        Graph packed = NewModel.Llama(tiny, seed: 7, attentionMask: true, form: form, bits: 4), plain = NewModel.Llama(tiny, seed: 7, attentionMask: true);
        Assert.AreEqual(14, Unpack(packed, plain));
        float[] expected = Logits(plain), actual = Logits(packed);
        for (int i = 0; i < expected.Length; i++) Assert.AreEqual(expected[i], actual[i], 2e-6f);
        double[] values = [.. plain.Initializers["model.layers.0.mlp.up_proj.weight"].ToFloats().Select(v => (double)v)];
        Assert.AreEqual(0.02, Math.Sqrt(values.Average(v => v * v)), 0.002);
    }

    [TestMethod]
    [DataRow(LlamaForm.GenAI, false)]
    [DataRow(LlamaForm.Opset23, false)]
    [DataRow(LlamaForm.Opset23, true)]
    public void Training_has_the_loss_and_gradients_of_the_standard_form(LlamaForm form, bool tied)
    {
        using var temp = TestFiles.Temp();
        LlamaShape shape = tiny with { Tied = tied };
        var (expectedLoss, expected) = Step(temp["standard"], shape, LlamaForm.Standard);
        var (loss, gradients) = Step(temp["other"], shape, form);
        Assert.AreEqual(expectedLoss, loss, 1e-5f);
        CollectionAssert.AreEquivalent(expected.Keys, gradients.Keys);
        foreach (var (name, values) in expected)
        {
            double norm = Math.Sqrt(values.Sum(v => (double)v * v)), error = Math.Sqrt(values.Zip(gradients[name], (a, b) => Math.Pow(a - b, 2)).Sum());
            Assert.IsTrue(norm > 0 && error < 1e-4 * norm, $"{name}: relative error {error / norm}");
        }
    }

    [TestMethod]
    public void Only_weights_are_offered_for_training()
    {
        foreach (LlamaForm form in Enum.GetValues<LlamaForm>())
        {
            Graph graph = NewModel.Llama(tiny with { Tied = false }, form: form);
            var weights = TrainingGraph.Choose(graph, "logits", new() { Train = ["*"] });
            CollectionAssert.AreEquivalent(graph.Initializers.Keys.Where(n => n.EndsWith(".weight")).ToArray(), weights.Select(w => w.Name).ToArray(), form.ToString());
            var chosen = TrainingGraph.Choose(graph, "logits", new());
            Assert.AreEqual(14, chosen.Count, form.ToString());
            Assert.IsTrue(chosen.All(w => w.Transposed && w.Kind == (w.Name.Contains("attn") ? WeightKind.Attention : WeightKind.Mlp)), form.ToString());
        }
    }

    /// <summary>Loss and whole gradients of all weights, by name.</summary>
    private static (float Loss, Dictionary<string, float[]> Gradients) Step(string path, LlamaShape shape, LlamaForm form)
    {
        NewModel.WriteLlama($"{path}.onnx", shape, seed: 7, attentionMask: true, form: form);
        var folder = ArtifactFolder.Create(TrainingGraph.Build(OnnxFile.Read($"{path}.onnx"), new() { Train = ["*"] }), $"{path}.onnx", path);
        using IDevice device = Device.Open("cpu");
        using var session = TrainingSession.Open(folder, device);
        var batch = Batch(shape, session.Inputs.Select(i => i.Name));
        batch["labels"] = Tensor.From<long>("labels", ids, 2, 5);
        float loss = session.Step(batch);
        var all = new float[session.Gradients.Length];
        session.Gradients.CopyTo(all);
        return (loss, session.Slices.ToDictionary(s => s.Weight.Name, s => all[(int)s.Offset..(int)(s.Offset + s.Count)]));
    }

    private static Dictionary<string, Tensor> Batch(LlamaShape shape, IEnumerable<string> inputs) => inputs.Where(i => i != "labels").ToDictionary(i => i, i => i switch
    {
        "input_ids" => Tensor.From<long>(i, ids, 2, 5),
        "attention_mask" => Tensor.From<long>(i, [1, 1, 1, 1, 1, 1, 1, 1, 1, 1], 2, 5),
        _ => Tensor.From<float>(i, [], 2, shape.KvHeads, 0, shape.Head),
    });

    private static float[] Logits(Graph graph)
    {
        using TempFolder folder = TestFiles.Temp();
        OnnxFile.Write(graph, folder["m.onnx"]);
        using var session = new InferenceSession(folder["m.onnx"]);
        var batch = Batch(tiny, session.InputMetadata.Keys);
        OrtValue[] values = [.. batch.Values.Select(t => t.Type == ElementType.Int64 ? OrtValue.CreateTensorValueFromMemory(t.AsSpan<long>().ToArray(), t.Dims) : OrtValue.CreateTensorValueFromMemory(t.AsSpan<float>().ToArray(), t.Dims))];
        using var options = new RunOptions();
        using var results = session.Run(options, [.. batch.Keys], values, ["logits"]);
        foreach (OrtValue value in values) value.Dispose();
        return results[0].GetTensorDataAsSpan<float>().ToArray();
    }

    /// <summary>Puts the numbers that four-bit matrices stand for into the plain model: [N, blocks, 16] bytes, low half first, scale · (number − 8). Answers how many.</summary>
    private static int Unpack(Graph packed, Graph plain)
    {
        int count = 0;
        foreach (Tensor q in packed.Initializers.Values.Where(t => t.Name.EndsWith("_Q4")))
        {
            string name = q.Name[..^3];
            byte[] bytes = q.AsSpan<byte>().ToArray();
            float[] scales = packed.Initializers[$"{name}_scales"].ToFloats();
            var (rows, columns) = ((int)plain.Initializers[name].Dims[0], (int)plain.Initializers[name].Dims[1]);
            int blocks = (int)q.Dims[1];
            var values = new float[rows * columns];
            for (int n = 0; n < columns; n++)
                for (int k = 0; k < rows; k++)
                {
                    byte pair = bytes[(n * blocks * 32 + k / 32 * 32 + k % 32) / 2];
                    values[k * columns + n] = scales[n * blocks + k / 32] * ((k % 2 == 0 ? pair & 15 : pair >> 4) - 8);
                }
            plain.Initializers[name] = Tensor.From<float>(name, values, rows, columns);
            count++;
        }
        return count;
    }
}
