using System.Text.Json;
using Lift.Ort.Architectures;
using Lift.Ort.Artifacts;
using Lift.Ort.Devices;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;
using Lift.Ort.Sessions;
using Lift.Ort.Sessions.Fusions;
using Lift.Ort.Tests.Devices.Cuda;
using Lift.Ort.Tests.Operators;

namespace Lift.Ort.Tests.Sessions;

/// <summary>The last linear layer with its loss as one operator, beside the chain that it replaces.</summary>
[TestClass]
public sealed class LinearCrossEntropyFusionTests
{
    private const string Name = "linear cross-entropy";
    private const int Rows = 2, Length = 21, Vocab = 300;
    private static readonly LlamaShape shape = new(Width: 32, Layers: 1, Heads: 4, KvHeads: 2, Ffn: 48, Vocab: Vocab, Tied: false);
    private static readonly TrainingSessionOptions chain = new() { FusionsLeftOut = [Name, "cross-entropy"] };

    [TestMethod]
    [DataRow(false, LlamaForm.Standard, "*_proj.weight", false)]
    [DataRow(true, LlamaForm.Standard, "*_proj.weight", false)]
    [DataRow(false, LlamaForm.Standard, "*", false)]
    [DataRow(true, LlamaForm.Standard, "*", false)]
    [DataRow(false, LlamaForm.Standard, "*", true)]
    [DataRow(true, LlamaForm.GenAI, "*", true)]
    [DataRow(false, LlamaForm.Opset23, "lm_head.weight", true)]
    public void Loss_and_gradients_are_those_of_the_chain(bool tied, LlamaForm form, string train, bool chosen) => LinearCrossEntropyStepTests.InChunks(() =>
    {
        using TempFolder folder = TestFiles.Temp();
        ArtifactFolder artifacts = Prepare(folder, shape with { Tied = tied }, form, ElementType.Float, train);
        Assert.AreEqual(1, Fused(artifacts), "training");
        Assert.AreEqual(1, Fusion.Apply(new CompactModel(artifacts.EvalModel!, [artifacts.Record.LossOutput], new Dictionary<string, GradientForm>()).Model)[Name], "evaluation");
        using IDevice device = Device.Open();
        using TrainingSession plain = TrainingSession.Open(artifacts, device, chain), fused = TrainingSession.Open(artifacts, device);
        foreach (TrainingSession session in new[] { plain, fused })
            if (chosen) session.SetMasks(session.Weights.ToDictionary(w => w.Name, w => (int[]?)[.. Enumerable.Range(0, (int)w.Count).Where(i => i % 7 == 3)]));
        Compare(plain, fused, [Batch(1)], 1e-5);
        Compare(plain, fused, [Batch(2), Batch(3)], 1e-5);
        using EvaluationSession evaluation = EvaluationSession.Open(artifacts, device);
        Assert.AreEqual(plain.Step(Batch(1)), evaluation.Run(Batch(1)).Loss, 1e-5);
    });

    /// <summary>Heads of exporters: Gemm and MatMul, tied through a Transpose, with a bias, classifiers of a few classes; against the chain in the suite's golden numbers.</summary>
    [TestMethod]
    [DataRow("gpt2-tiny")]
    [DataRow("llama-tiny")]
    [DataRow("llama-tiny-folded")]
    [DataRow("stories260k")]
    [DataRow("bert-tiny")]
    [DataRow("mlp")]
    public void Heads_of_the_golden_models_are_fused(string name)
    {
        var golden = new GoldenModel(name);
        using TempFolder folder = TestFiles.Temp();
        ArtifactFolder artifacts = golden.Prepare(folder["prepared"]);
        Assert.AreEqual(1, Fused(artifacts), "training");
        Assert.AreEqual(1, Fusion.Apply(new CompactModel(artifacts.EvalModel!, [artifacts.Record.LossOutput], new Dictionary<string, GradientForm>()).Model)[Name], "evaluation");
        LinearCrossEntropyStepTests.InChunks(() =>
        {
            using TrainingSession session = TrainingSession.Open(artifacts, Device.Open());
            Assert.AreEqual(golden.LossOf(0), session.Step(golden.Batch(0)), 1e-5 * golden.LossOf(0));
            foreach (var (weight, error) in golden.Errors(0, GoldenModelsTests.Gradients(session))) Assert.IsLessThan(1e-4, error, weight);
        });
    }

    /// <summary>Heads in the spellings of exporters and model families, everything trained, then the head frozen.</summary>
    [TestMethod]
    public void Heads_in_many_spellings_are_fused() => LinearCrossEntropyStepTests.InChunks(() =>
    {
        using IDevice device = Device.Open();
        foreach (string form in HeadForms.Names)
            foreach (string[] train in new[] { new[] { "*" }, ["inner*"], [form.Contains("tied", StringComparison.Ordinal) || form.Contains("(C", StringComparison.Ordinal) || form.Contains("(Ge", StringComparison.Ordinal) ? "embedding*" : "head*"] })
            {
                using TempFolder folder = TestFiles.Temp();
                ArtifactFolder artifacts = HeadForms.Prepare(folder, form, train);
                int expected = HeadForms.Others.Contains(form) ? 0 : 1;
                Assert.AreEqual(expected, Fused(artifacts), $"{form}, {train[0]}, training");
                Assert.AreEqual(expected, Fusion.Apply(new CompactModel(artifacts.EvalModel!, [artifacts.Record.LossOutput], new Dictionary<string, GradientForm>()).Model)[Name], $"{form}, evaluation");
                using TrainingSession plain = TrainingSession.Open(artifacts, device, chain), fused = TrainingSession.Open(artifacts, device);
                Compare(plain, fused, [HeadForms.Batch()], 1e-5);
            }
    });

    /// <summary>float16 from end to end: on a simulated GPU that computes in 16 bits, the whole weight's and the chosen entries' gradients come out in float32.</summary>
    [TestMethod]
    [DataRow(false, false)]
    [DataRow(true, true)]
    public void In_float16_the_numbers_are_those_of_the_chain_but_for_rounding(bool tied, bool chosen) => LinearCrossEntropyStepTests.InChunks(() =>
    {
        using TempFolder folder = TestFiles.Temp();
        ArtifactFolder artifacts = Prepare(folder, shape with { Tied = tied }, LlamaForm.Standard, ElementType.Float16, "*");
        using IDevice half = SimulatedGpu.Open(new() { Tf32 = false }, computes16Bit: true);
        using TrainingSession plain = TrainingSession.Open(artifacts, half, chain), fused = TrainingSession.Open(artifacts, half);
        foreach (TrainingSession session in new[] { plain, fused })
            if (chosen) session.SetMasks(session.Weights.ToDictionary(w => w.Name, w => (int[]?)[.. Enumerable.Range(0, (int)w.Count).Where(i => i % 7 == 3)]));
        ModelProto model = Compact(artifacts);
        Assert.AreEqual(1, Fusion.Apply(model, half)[Name]);
        Assert.IsFalse(model.Graph.Node.Any(n => n.OpType == "Cast" && n.Output.Any(o => o.Contains("logits", StringComparison.Ordinal))), "no float32 copy of the logits");
        Compare(plain, fused, [Batch(1)], 2e-2);
    });

    /// <summary>Where the layer is left as it is, the loss reads 16-bit logits and writes their gradient over them: both casts around it are gone.</summary>
    [TestMethod]
    public void Without_the_layer_the_loss_takes_16_bit_logits()
    {
        using TempFolder folder = TestFiles.Temp();
        ArtifactFolder artifacts = Prepare(folder, shape, LlamaForm.Standard, ElementType.Float16, "*");
        using IDevice half = SimulatedGpu.Open(new() { Tf32 = false }, computes16Bit: true);
        ModelProto model = Compact(artifacts);
        Assert.AreEqual(1, Fusion.Apply(model, half, [Name])["cross-entropy"]);
        NodeProto step = model.Graph.Node.Single(n => n.OpType == "CrossEntropyStep");
        Assert.IsFalse(Behind(model, step.Input[0]).Concat(model.Graph.Node.Where(n => n.Input.Contains(step.Output[0]))).Any(n => n.OpType == "Cast"));
        using TrainingSession plain = TrainingSession.Open(artifacts, half, chain), fused = TrainingSession.Open(artifacts, half, new() { FusionsLeftOut = [Name] });
        Compare(plain, fused, [Batch(1)], 2e-2);

        static IEnumerable<NodeProto> Behind(ModelProto model, string value)
        {
            while (model.Graph.Node.FirstOrDefault(n => n.Output.Contains(value)) is { } maker)
            {
                yield return maker;
                if (maker.OpType is "MatMul" or "Gemm") yield break;
                value = maker.Input[0];
            }
        }
    }

    /// <summary>Two losses, weighted: what the backward pass of each begins with is computed.</summary>
    [TestMethod]
    public void A_weighted_loss_among_several_is_fused()
    {
        using TempFolder folder = TestFiles.Temp();
        NewModel.WriteLlama(folder["model.onnx"], shape, ElementType.Float, seed: 1, attentionMask: false);
        Graph graph = OnnxFile.Read(folder["model.onnx"]);
        Var hidden = graph.Var(graph.Nodes.Last(n => n.OpType == "MatMul").Inputs[0]);
        Var score = hidden.ReduceMean([1, 2], keepDims: false).Identity("score");
        graph.Outputs.Add(new("score", score.Type));
        OnnxFile.Write(graph, folder["two.onnx"]);
        LossTerm[] terms = [new("causal-lm") { Outputs = ["logits"], Weight = 0.3 }, new("mse") { Outputs = ["score"] }];
        ArtifactFolder artifacts = ArtifactFolder.Create(TrainingGraph.Build(OnnxFile.Read(folder["two.onnx"]), new() { Terms = terms, Train = ["*"] }), folder["two.onnx"], folder["prepared"]);
        Assert.AreEqual(1, Fused(artifacts));
        using IDevice device = Device.Open();
        using TrainingSession plain = TrainingSession.Open(artifacts, device, chain), fused = TrainingSession.Open(artifacts, device);
        Dictionary<string, Tensor> batch = Batch(1);
        batch["labels_logits"] = batch["labels"].Rename("labels_logits");
        batch["labels_score"] = Tensor.From<float>("labels_score", [0.5f, -1], Rows);
        Compare(plain, fused, [batch], 1e-5);
    }

    [TestMethod]
    public void Logits_that_are_asked_for_are_computed()
    {
        using TempFolder folder = TestFiles.Temp();
        ArtifactFolder artifacts = Prepare(folder, shape, LlamaForm.Standard, ElementType.Float, "*");
        using IDevice device = Device.Open();
        using TrainingSession with = TrainingSession.Open(artifacts, device, new() { Outputs = ["logits"] }), without = TrainingSession.Open(artifacts, device);
        Assert.AreEqual(without.Step(Batch(1)), with.Step(Batch(1)), 1e-5);
        CollectionAssert.AreEqual(new long[] { Rows, Length, Vocab }, with.LastOutputs["logits"].Dims);
        using EvaluationSession evaluation = EvaluationSession.Open(artifacts, device, outputs: ["logits"]);
        Assert.IsLessThan(1e-5, Sparse.Numbers.RelativeError(with.LastOutputs["logits"].ToFloats(), evaluation.Run(Batch(1)).Outputs["logits"].ToFloats()));
        Assert.AreEqual(without.Step(Batch(1)), evaluation.Run(Batch(1)).Loss, 1e-5);
    }

    [TestMethod]
    public void Layers_are_computed_again_beside_it()
    {
        using TempFolder folder = TestFiles.Temp();
        ArtifactFolder artifacts = Prepare(folder, shape with { Layers = 3, Tied = true }, LlamaForm.Standard, ElementType.Float, "*");
        using IDevice device = Device.Open();
        using TrainingSession plain = TrainingSession.Open(artifacts, device), again = TrainingSession.Open(artifacts, device, new() { Recompute = Recompute.Layers });
        Compare(plain, again, [Batch(1)], 1e-6);
        Assert.IsGreaterThan(3, again.Repeated);
    }

    /// <summary>Nothing that a node makes in a step is as large as the logits, and nothing in a step without gradients either; the chain's step has three of them.</summary>
    [TestMethod]
    [DataRow("*_proj.weight")]
    [DataRow("*")]
    public void No_tensor_has_the_logits_size(string train)
    {
        const int rows = 8, length = 64, vocab = 1024;
        using TempFolder folder = TestFiles.Temp();
        ArtifactFolder artifacts = Prepare(folder, shape with { Vocab = vocab, Tied = true }, LlamaForm.Standard, ElementType.Float, train);
        using IDevice device = Device.Open();
        long logits = (long)rows * length * vocab * sizeof(float);
        Assert.IsLessThan(logits / 4, Largest(new()));
        Assert.AreEqual(logits, Largest(chain));

        long Largest(TrainingSessionOptions options)
        {
            using TrainingSession session = TrainingSession.Open(artifacts, device, options with
            {
                Configure = o =>
                {
                    o.EnableProfiling = true;
                    o.ProfileOutputPathPrefix = folder["profile"];
                },
            });
            session.Step(Batch(1, rows, length, vocab));
            return JsonDocument.Parse(File.ReadAllText(session.EndProfiling())).RootElement.EnumerateArray()
                .Where(e => e.GetProperty("cat").GetString() == "Node" && e.GetProperty("args").TryGetProperty("output_size", out _))
                .Max(e => long.Parse(e.GetProperty("args").GetProperty("output_size").GetString()!));
        }
    }

    /// <summary>The training model as a session has it: the loss and the whole gradients are all that comes out.</summary>
    private static ModelProto Compact(ArtifactFolder artifacts) => new CompactModel(artifacts.TrainingModel, [artifacts.Record.LossOutput], artifacts.Record.Weights.ToDictionary(w => w.Name, _ => GradientForm.Whole)).Model;

    private static int Fused(ArtifactFolder artifacts) => Fusion.Apply(Compact(artifacts))[Name];

    private static ArtifactFolder Prepare(TempFolder folder, LlamaShape shape, LlamaForm form, ElementType type, string train)
    {
        if (form == LlamaForm.GenAI) shape = shape with { Heads = 2, KvHeads = 1 }; // heads of 16
        NewModel.WriteLlama(folder["model.onnx"], shape, type, seed: 1, attentionMask: false, form);
        return ArtifactFolder.Create(TrainingGraph.Build(OnnxFile.Read(folder["model.onnx"]), new() { Train = [train] }), folder["model.onnx"], folder["prepared"]);
    }

    /// <summary>Ids with every fifth label ignored, another number of them in each batch.</summary>
    private static Dictionary<string, Tensor> Batch(int seed, int rows = Rows, int length = Length, int vocab = Vocab)
    {
        var random = new Random(seed);
        long[] ids = [.. Enumerable.Range(0, rows * length).Select(_ => (long)random.Next(vocab))];
        return new() { ["input_ids"] = Tensor.From<long>("input_ids", ids, rows, length), ["attention_mask"] = Tensor.From<long>("attention_mask", [.. ids.Select(_ => 1L)], rows, length), ["labels"] = Tensor.From<long>("labels", [.. ids.Select((id, i) => i % (4 + seed) == 2 ? -100 : id)], rows, length) };
    }

    private static void Compare(TrainingSession plain, TrainingSession fused, Dictionary<string, Tensor>[] batches, double tolerance)
    {
        (IReadOnlyDictionary<string, Tensor>, double)[] weighted = [.. batches.Select((b, i) => ((IReadOnlyDictionary<string, Tensor>)b, 1.0 + i))];
        Assert.AreEqual(plain.Step(weighted), fused.Step(weighted), tolerance);
        var (expected, actual) = (GoldenModelsTests.Gradients(plain), GoldenModelsTests.Gradients(fused));
        CollectionAssert.AreEquivalent(expected.Keys, actual.Keys);
        double floor = expected.Values.Max(Norm) / 1000;
        foreach (var (weight, gradient) in expected)
            Assert.IsLessThan(tolerance, Norm([.. gradient.Zip(actual[weight], (a, b) => a - b)]) / Math.Max(floor, Norm(gradient)), weight);
    }

    private static double Norm(float[] values) => Math.Sqrt(values.Sum(v => (double)v * v));
}
