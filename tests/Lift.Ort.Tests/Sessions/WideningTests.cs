using System.Text.Json;
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

    /// <summary>
    /// A large weight is widened for every node that reads it, right before that node: were the copies of forward and backward pass one, or made early, those of all layers would live
    /// together. ONNX Runtime's profile shows what ran, and when.
    /// </summary>
    [TestMethod]
    [DataRow(ElementType.BFloat16, true)]
    [DataRow(ElementType.Float16, true)]
    [DataRow(ElementType.BFloat16, false)]
    public void Every_use_of_a_large_weight_has_a_copy_of_its_own_that_is_made_right_before(ElementType type, bool operators)
    {
        using var temp = TestFiles.Temp();
        var shape = new LlamaShape(Width: 256, Layers: 3, Heads: 4, KvHeads: 4, Ffn: 512, Vocab: 512, Tied: true);
        OnnxFile.Write(NewModel.Llama(shape, type), temp["model.onnx"]);
        ArtifactFolder folder = ArtifactFolder.Create(TrainingGraph.Build(OnnxFile.Read(temp["model.onnx"])), temp["model.onnx"], temp["prepared"]);
        using IDevice device = Device.Open("cpu");
        using var session = TrainingSession.Open(folder, device, new()
        {
            TrainingOperators = operators,
            Configure = options =>
            {
                options.EnableProfiling = true;
                options.ProfileOutputPathPrefix = temp["profile"];
            },
        });
        session.SetMasks(session.Weights.ToDictionary(w => w.Name, w => (int[]?)[.. Enumerable.Range(0, (int)w.Count / 20)]));
        session.Step(Batch());
        string[] order = [.. JsonDocument.Parse(File.ReadAllText(session.EndProfiling())).RootElement.EnumerateArray()
            .Where(e => e.GetProperty("cat").GetString() == "Node" && e.GetProperty("name").GetString()!.EndsWith("_kernel_time"))
            .OrderBy(e => e.GetProperty("ts").GetInt64()).Select(e => e.GetProperty("name").GetString()![..^"_kernel_time".Length])];

        // 7 matrices a layer, read forward and backward, but for the 3 whose input no gradient reaches (queries, keys, values of the first layer); the head forward and backward, at once where one operator does both.
        int[] copies = [.. order.Index().Where(n => n.Item.StartsWith("lift/wide/") && n.Item.EndsWith("/widen") && n.Item.Count(c => c == '/') > 3).Select(n => n.Index)];
        Assert.AreEqual((2 * 7 * shape.Layers) - 3 + (operators ? 1 : 2), copies.Length, string.Join('\n', order));
        for (int i = 1; i < copies.Length; i++) Assert.IsGreaterThan(copies[i - 1] + 1, copies[i], $"two copies at a time: {order[copies[i - 1]]}, {order[copies[i]]}");
    }

    private static Dictionary<string, Tensor> Batch()
    {
        long[] ids = [.. Enumerable.Range(0, 2 * 12).Select(i => (long)(i * 37 % 512))];
        return new() { ["input_ids"] = Tensor.From<long>("input_ids", ids, 2, 12), ["labels"] = Tensor.From<long>("labels", ids, 2, 12) };
    }

    private static (float Loss, float[] Gradients) Step(Graph graph, string path)
    {
        OnnxFile.Write(graph, $"{path}.onnx");
        var folder = ArtifactFolder.Create(TrainingGraph.Build(OnnxFile.Read($"{path}.onnx")), $"{path}.onnx", path);
        using IDevice device = Device.Open("cpu");
        using var session = TrainingSession.Open(folder, device);
        float loss = session.Step(Batch());
        var gradients = new float[session.Gradients.Length];
        session.Gradients.CopyTo(gradients);
        return (loss, gradients);
    }
}
