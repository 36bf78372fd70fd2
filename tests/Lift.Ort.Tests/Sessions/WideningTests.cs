using Lift.Ort.Architectures;
using Lift.Ort.Artifacts;
using Lift.Ort.Devices;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;
using Lift.Ort.Sessions;

namespace Lift.Ort.Tests.Sessions;

[TestClass]
public sealed class WideningTests
{
    [TestMethod]
    [DataRow(ElementType.BFloat16)]
    [DataRow(ElementType.Float16)]
    public void A_16_bit_model_has_the_loss_and_gradients_of_the_same_weights_in_float32(ElementType type)
    {
        using var folder = TestFiles.Temp();
        var shape = LlamaShape.Presets["stories260k"] with { Layers = 2 };
        Graph narrow = NewModel.Llama(shape, type), wide = NewModel.Llama(shape);
        foreach (Tensor weight in narrow.Initializers.Values.Where(t => t.Type == type).ToArray())
            wide.Initializers[weight.Name] = Tensor.From<float>(weight.Name, weight.ToFloats(), weight.Dims);
        var (narrowLoss, narrowGradients) = Step(narrow, folder["narrow"]);
        var (wideLoss, wideGradients) = Step(wide, folder["wide"]);
        Assert.AreEqual(wideLoss, narrowLoss, 1e-5f);
        double error = wideGradients.Zip(narrowGradients, (a, b) => Math.Pow(a - b, 2)).Sum(), norm = wideGradients.Sum(g => (double)g * g);
        Assert.IsTrue(norm > 0 && Math.Sqrt(error / norm) < 1e-5, $"relative error {Math.Sqrt(error / norm)}");
    }

    private static (float Loss, float[] Gradients) Step(Graph graph, string path)
    {
        OnnxFile.Write(graph, $"{path}.onnx");
        var folder = ArtifactFolder.Create(TrainingGraph.Build(OnnxFile.Read($"{path}.onnx")), $"{path}.onnx", path);
        using IDevice device = Device.Open("cpu");
        using var session = TrainingSession.Open(folder, device);
        long[] ids = [.. Enumerable.Range(0, 2 * 12).Select(i => (long)(i * 37 % 512))];
        float loss = session.Step(new Dictionary<string, Tensor> { ["input_ids"] = Tensor.From<long>("input_ids", ids, 2, 12), ["labels"] = Tensor.From<long>("labels", ids, 2, 12) });
        var gradients = new float[session.Gradients.Length];
        session.Gradients.CopyTo(gradients);
        return (loss, gradients);
    }
}
