using Lift.Ort.Architectures;
using Lift.Ort.Devices;
using Lift.Ort.Generation;
using Lift.Ort.Onnx;

namespace Lift.Ort.Tests.Generation;

[TestClass]
public sealed class ExportedModelTests
{
    [TestMethod]
    [DataRow(ElementType.BFloat16, 1e-4f)]
    [DataRow(ElementType.Float16, 2e-2f)] // ONNX Runtime rounds float16 activations between operators
    public void A_16_bit_model_scores_like_the_same_weights_in_float32(ElementType type, float tolerance)
    {
        using var folder = TestFiles.Temp();
        var shape = LlamaShape.Presets["stories260k"] with { Layers = 1 };
        Graph narrow = NewModel.Llama(shape, type), wide = NewModel.Llama(shape);
        foreach (Tensor weight in narrow.Initializers.Values.Where(t => t.Type == type).ToArray())
            wide.Initializers[weight.Name] = Tensor.From<float>(weight.Name, weight.ToFloats(), weight.Dims);
        float[] expected = Logits(wide, folder["wide.onnx"]), got = Logits(narrow, folder["narrow.onnx"]);
        float largest = expected.Max(MathF.Abs);
        for (int i = 0; i < expected.Length; i++) Assert.AreEqual(expected[i], got[i], tolerance * largest);
    }

    private static float[] Logits(Graph graph, string path)
    {
        OnnxFile.Write(graph, path);
        using IDevice device = Device.Open("cpu");
        using var model = ExportedModel.Open(path, device);
        CollectionAssert.AreEqual(new[] { "input_ids" }, model.Inputs.Select(i => i.Name).ToArray());
        long[] ids = [.. Enumerable.Range(0, 10).Select(i => (long)(i * 31 % 512))];
        using ModelOutput output = model.Run(new Dictionary<string, Tensor> { ["input_ids"] = Tensor.From<long>("input_ids", ids, 1, 10) });
        float[] scratch = [];
        var logits = new List<float>();
        for (long row = 0; row < output.Rows; row++) logits.AddRange(output.Row(row, ref scratch));
        return [.. logits];
    }
}
