using Lift.Ort.Artifacts;
using Lift.Ort.Devices;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;
using Lift.Ort.Sessions;

namespace Lift.Ort.Tests.Sessions;

/// <summary>
/// The golden models in the 16-bit forms that converters write. Beside the float32 golden numbers their weights are rounded, by 2⁻¹¹ (float16) or 2⁻⁸ (bfloat16) of each at most;
/// sessions compute in float32. Where kinks (ReLU) make large differences of small ones, the same float32 file with rounded weights is the yardstick, at 1e-4.
/// </summary>
[TestClass]
public sealed class HalfModelsTests
{
    private static readonly string[] kinked = ["densenet-bn-tiny", "mobilenetv2-bn-tiny", "mobilenetv2-tiny"];

    /// <summary>Every model; models that are one network in two files share the forms.</summary>
    public static IEnumerable<object[]> Forms =>
        from name in GoldenModel.Names from form in HalfForms.All.Keys.Index() where Takes(name, form.Index) select new object[] { name, form.Item };

    private static bool Takes(string name, int form) => name switch
    {
        "gpt2-merged-tiny" or "llama-tiny-folded" => form is 1 or 3,
        "gpt2-tiny" or "llama-tiny" => form is 0 or 2 or 4,
        "stories260k" => form is 1 or 4,
        _ => true,
    };

    [TestMethod, DynamicData(nameof(Forms))]
    public void Loss_and_gradients_are_those_of_float32_but_for_the_rounding(string name, string form)
    {
        var golden = new GoldenModel(name);
        using TempFolder temp = TestFiles.Temp();
        ElementType type = HalfForms.All[form].Type;
        HalfForms.Write(golden.ModelPath, temp["model.onnx"], form);
        var (loss, gradients) = Step(golden, temp["model.onnx"], temp["prepared"]);
        bool half = type == ElementType.Float16;
        Assert.AreEqual(1, loss / golden.LossOf(0), half ? 1e-3 : 1e-2, "loss");
        double tolerance = half ? 5e-3 : 4e-2;
        if (!kinked.Contains(name))
        {
            foreach (var (weight, error) in golden.Errors(0, gradients)) Assert.IsTrue(error <= tolerance, $"{weight} is wrong by {error:G3}");
            return;
        }
        HalfForms.WriteRounded(golden.ModelPath, temp["rounded.onnx"], type);
        var (expected, reference) = Step(golden, temp["rounded.onnx"], temp["rounded"], rounded: !HalfForms.All[form].KeepIo);
        Assert.AreEqual(1, loss / expected, 1e-5, "loss beside rounded weights");
        double floor = reference.Values.Max(Norm) / 1000;
        foreach (var (weight, gradient) in reference)
        {
            double error = Norm([.. gradient.Zip(gradients[weight], (a, b) => a - b)]) / Math.Max(Norm(gradient), floor);
            Assert.IsTrue(error <= 1e-4, $"{weight} is wrong by {error:G3} beside rounded weights");
        }
    }

    private static (float Loss, Dictionary<string, float[]> Gradients) Step(GoldenModel golden, string model, string prepared, bool rounded = false)
    {
        Graph graph = OnnxFile.Read(model);
        ArtifactFolder folder = ArtifactFolder.Create(TrainingGraph.Build(graph, new() { Loss = golden.Loss, Train = ["*"] }), model, prepared);
        using var session = TrainingSession.Open(folder, Device.Open());
        float loss = session.Step(golden.Batch(0).ToDictionary(b => b.Key, b => Like(b.Value, graph.Inputs.Find(i => i.Name == b.Key)?.Type.Element, rounded)));
        return (loss, GoldenModelsTests.Gradients(session));
    }

    private static Tensor Like(Tensor value, ElementType? wanted, bool rounded)
    {
        if (value.Type != ElementType.Float || (wanted != ElementType.Float16 && !rounded)) return value;
        Half[] narrow = Array.ConvertAll(value.ToFloats(), v => (Half)v);
        return wanted == ElementType.Float16 ? Tensor.From<Half>(value.Name, narrow, value.Dims) : Tensor.From<float>(value.Name, Array.ConvertAll(narrow, v => (float)v), value.Dims);
    }

    private static double Norm(float[] values) => Math.Sqrt(values.Sum(v => (double)v * v));
}
