using System.Text.Json;
using Lift.Ort.Architectures;
using Lift.Ort.Artifacts;
using Lift.Ort.Devices;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;
using Lift.Ort.Sessions;

namespace Lift.Ort.Tests.Sessions;

/// <summary>Values that are computed again change memory, not numbers.</summary>
[TestClass]
public sealed class RecomputationTests
{
    /// <summary>Fused attention keeps no probabilities: where it is put in, nothing of attention is left to compute again.</summary>
    private static TrainingSessionOptions Options(Recompute what) => new() { Recompute = what, FusionsLeftOut = what == Recompute.Attention ? ["attention"] : [] };

    private const int Layers = 4, Rows = 2, Length = 96, Vocab = 64;

    [TestMethod]
    [DataRow(ElementType.Float, Recompute.Layers)]
    [DataRow(ElementType.Float, Recompute.Attention)]
    [DataRow(ElementType.BFloat16, Recompute.Layers)] // widened: ONNX Runtime fuses other chains, which moves the last digit
    public void Loss_and_gradients_are_the_same_in_float32_to_the_bit(ElementType type, Recompute what)
    {
        using TempFolder folder = TestFiles.Temp();
        ArtifactFolder artifacts = Prepare(folder, type);
        using IDevice device = Device.Open();
        using TrainingSession plain = TrainingSession.Open(artifacts, device, Options(what) with { Recompute = Recompute.None }), again = TrainingSession.Open(artifacts, device, Options(what));
        Dictionary<string, Tensor> batch = Batch();
        Assert.AreEqual(plain.Step(batch), again.Step(batch), type == ElementType.Float ? 0 : 1e-6);
        float[] expected = new float[plain.Gradients.Length], actual = new float[again.Gradients.Length];
        plain.Gradients.CopyTo(expected);
        again.Gradients.CopyTo(actual);
        if (type == ElementType.Float) CollectionAssert.AreEqual(expected, actual);
        else Assert.IsLessThan(1e-5, Sparse.Numbers.RelativeError(expected, actual));
        Assert.AreEqual(0, plain.Repeated);
        Assert.IsGreaterThan(Layers, again.Repeated);
    }

    [TestMethod]
    [DataRow("llama-tiny")]
    [DataRow("gpt2-tiny")]
    public void Exported_models_keep_their_golden_loss_and_gradients(string name)
    {
        var golden = new GoldenModel(name);
        using TempFolder folder = TestFiles.Temp();
        ArtifactFolder artifacts = golden.Prepare(folder["prepared"]);
        using IDevice device = Device.Open();
        foreach (Recompute what in new[] { Recompute.Layers, Recompute.Attention })
        {
            using TrainingSession session = TrainingSession.Open(artifacts, device, Options(what));
            Assert.AreEqual(golden.LossOf(0), session.Step(golden.Batch(0)), 1e-5 * golden.LossOf(0));
            float[] all = new float[session.Gradients.Length];
            session.Gradients.CopyTo(all);
            var gradients = session.Slices.ToDictionary(s => s.Weight.Name, s => all[(int)s.Offset..(int)(s.Offset + s.Count)]);
            foreach (var (weight, error) in golden.Errors(0, gradients)) Assert.IsLessThan(1e-4, error, $"{what} {weight}");
            Assert.IsGreaterThan(0, session.Repeated);
        }
    }

    /// <summary>A layer's copies run when the backward pass has come to that layer, not before: only then is memory saved.</summary>
    [TestMethod]
    public void Copies_run_when_their_layer_is_due()
    {
        using TempFolder folder = TestFiles.Temp();
        ArtifactFolder artifacts = Prepare(folder, ElementType.Float);
        using IDevice device = Device.Open();
        using TrainingSession session = TrainingSession.Open(artifacts, device, new()
        {
            Recompute = Recompute.Layers,
            Configure = o =>
            {
                o.EnableProfiling = true;
                o.ProfileOutputPathPrefix = folder["profile"];
            },
        });
        session.Step(Batch());
        string[] order = [.. JsonDocument.Parse(File.ReadAllText(session.EndProfiling())).RootElement.EnumerateArray()
            .Select(e => e.GetProperty("name").GetString()!).Where(n => n.EndsWith("_kernel_time", StringComparison.Ordinal))];
        int[][] places = [.. Enumerable.Range(0, Layers - 1).Select(l => order.Index().Where(n => n.Item.StartsWith("lift/again/", StringComparison.Ordinal) && n.Item.Contains($"layers.{l}", StringComparison.Ordinal)).Select(n => n.Index).ToArray())];
        Assert.IsTrue(places.All(p => p.Length > 10), string.Join('\n', order));
        for (int l = 1; l < places.Length; l++)
        {
            int early = places[l].Count(p => p < places[l - 1][0]);
            Assert.IsGreaterThan(0.9 * places[l].Length, early, $"copies of layer {l} that run before those of layer {l - 1}: {early} of {places[l].Length}");
        }
        Assert.IsGreaterThan(order.Length / 3, places[^1][0], "the copies stand behind the forward pass");
    }

    internal static ArtifactFolder Prepare(TempFolder folder, ElementType type)
    {
        NewModel.WriteLlama(folder["model.onnx"], new LlamaShape(Width: 32, Layers: Layers, Heads: 4, KvHeads: 2, Ffn: 64, Vocab: Vocab, Tied: false), type, seed: 1, attentionMask: false);
        return ArtifactFolder.Create(TrainingGraph.Build(OnnxFile.Read(folder["model.onnx"])), folder["model.onnx"], folder["prepared"]);
    }

    private static Dictionary<string, Tensor> Batch()
    {
        var random = new Random(2);
        long[] ids = [.. Enumerable.Range(0, Rows * Length).Select(_ => (long)random.Next(Vocab))];
        return new() { ["input_ids"] = Tensor.From<long>("input_ids", ids, Rows, Length), ["labels"] = Tensor.From<long>("labels", ids, Rows, Length) };
    }
}
