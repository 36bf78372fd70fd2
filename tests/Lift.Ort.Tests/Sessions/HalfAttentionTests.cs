using Lift.Ort.Architectures;
using Lift.Ort.Artifacts;
using Lift.Ort.Devices;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;
using Lift.Ort.Operators.Attentions;
using Lift.Ort.Sessions;
using Lift.Ort.Tests.Devices;
using Lift.Ort.Tests.Devices.Cuda;

namespace Lift.Ort.Tests.Sessions;

/// <summary>Whole training steps of a float16 decoder on a GPU that computes in 16 bits: every attention goes through the kernels on tensor cores, and the step is the CPU's.</summary>
[TestClass]
public sealed class HalfAttentionTests
{
    private static readonly LlamaShape tiny = new(Width: 64, Layers: 2, Heads: 4, KvHeads: 2, Ffn: 48, Vocab: 40, Tied: true);

    [TestMethod]
    [DataRow(LlamaForm.Standard, true)]
    [DataRow(LlamaForm.Standard, false)]
    [DataRow(LlamaForm.GenAI, true)]
    [DataRow(LlamaForm.Opset23, true)]
    public void Attentions_of_a_float16_decoder_run_on_tensor_cores(LlamaForm form, bool padded)
    {
        using TempFolder temp = TestFiles.Temp();
        NewModel.WriteLlama(temp["m.onnx"], tiny, ElementType.Float16, seed: 7, attentionMask: padded, form: form);
        var folder = ArtifactFolder.Create(TrainingGraph.Build(OnnxFile.Read(temp["m.onnx"]), new() { Train = ["*"] }), temp["m.onnx"], temp["prepared"]);
        using IDevice cpu = Device.Open("cpu"), gpu = TestDevice.HasGpu ? TestDevice.Open("cuda:0") : SimulatedGpu.Open(new() { Tf32 = false }, computes16Bit: true);
        var (expectedLoss, expected) = Step(folder, cpu);
        long before = FlashAttention.Runs;
        var (loss, gradients) = Step(folder, gpu);
        Assert.AreEqual(before + 4, FlashAttention.Runs, "two layers, forward and backward");
        Assert.AreEqual(expectedLoss, loss, 5e-3f);
        foreach (var (name, values) in expected)
        {
            double norm = Math.Sqrt(values.Sum(v => (double)v * v)), error = Math.Sqrt(values.Zip(gradients[name], (a, b) => Math.Pow(a - b, 2)).Sum());
            Assert.IsTrue(norm > 0 && error < 0.03 * norm, $"{name}: relative error {error / norm}");
        }
    }

    /// <summary>Loss and whole gradients of all weights, by name.</summary>
    private static (float Loss, Dictionary<string, float[]> Gradients) Step(ArtifactFolder folder, IDevice device)
    {
        using var session = TrainingSession.Open(folder, device);
        if (session.ScalesLoss) session.LossScale = 1024;
        const int Rows = 2, Length = 9;
        long[] ids = [.. Enumerable.Range(0, Rows * Length).Select(i => (long)(i * 7 % 40))], kept = [.. Enumerable.Range(0, Rows * Length).Select(i => i is >= Length and < Length + 3 ? 0L : 1)];
        var batch = session.Inputs.Select(i => i.Name).Where(i => i != "labels").ToDictionary(i => i, i => i switch
        {
            "input_ids" => Tensor.From<long>(i, ids, Rows, Length),
            "attention_mask" => Tensor.From<long>(i, kept, Rows, Length),
            _ => Tensor.Empty(i, ElementType.Float16, [Rows, tiny.KvHeads, 0, tiny.Head]),
        });
        batch["labels"] = Tensor.From<long>("labels", [.. ids.Zip(kept, (t, k) => k == 0 ? -100 : t)], Rows, Length);
        float loss = session.Step(batch);
        var all = new float[session.Gradients.Length];
        session.Gradients.CopyTo(all);
        return (loss, session.Slices.ToDictionary(s => s.Weight.Name, s => all[(int)s.Offset..(int)(s.Offset + s.Count)]));
    }
}
