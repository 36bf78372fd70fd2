using System.Text.Json;
using Lift.Ort.Artifacts;
using Lift.Ort.Devices;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;
using Lift.Ort.Sessions;
using Lift.Ort.Sparse;
using Lift.Ort.Tests.Artifacts;

namespace Lift.Ort.Tests.Sessions;

/// <summary>
/// Folders as onnxruntime.training.artifacts.generate_artifacts makes them train as they are: the gradient nodes are ONNX Runtime's own builder's, the optimizer model is obeyed.
/// </summary>
[TestClass]
public sealed class ForeignArtifactsTests
{
    private static readonly Dictionary<string, Func<ForeignModel>> models = new()
    {
        ["mlp"] = ForeignModel.Mlp,
        ["cnn"] = () => ForeignModel.Cnn(rare: false),
        ["transformer"] = () => ForeignModel.Transformer(rare: false),
        ["cnn, rare"] = () => ForeignModel.Cnn(rare: true),
        ["transformer, rare"] = () => ForeignModel.Transformer(rare: true),
    };

    public static IEnumerable<object[]> Models => models.Keys.Select(m => new object[] { m });

    public static IEnumerable<object[]> Common => models.Keys.Where(m => !m.EndsWith("rare")).Select(m => new object[] { m });

    [TestMethod, DynamicData(nameof(Models))]
    public void Its_gradients_are_those_of_our_rules(string name)
    {
        ForeignModel model = models[name]();
        using TempFolder temp = TestFiles.Temp();
        model.Write(temp["artifacts"]);
        using var session = TrainingSession.Open(ArtifactFolder.Open(temp["artifacts"]), Device.Open());
        float loss = session.Step(model.Batch);
        var gradients = new float[session.Gradients.Length];
        session.Gradients.CopyTo(gradients);

        var (ownLoss, own) = OwnGradients(model, temp["own.onnx"]);
        Assert.AreEqual(ownLoss, loss, 1e-6f);
        CollectionAssert.AreEquivalent(model.Trainable, session.Slices.Select(s => s.Weight.Name).ToArray());
        foreach (GradientSlice slice in session.Slices)
        {
            float[] expected = own[slice.Weight.Name];
            double scale = expected.Max(Math.Abs);
            for (int i = 0; i < expected.Length; i++) Assert.AreEqual(expected[i], gradients[slice.Offset + i], 1e-4 * scale + 1e-6, $"{slice.Weight.Name}[{i}]");
        }
    }

    [TestMethod, DynamicData(nameof(Common))]
    public void It_trains_here_as_in_ONNX_Runtimes_own_training_runtime(string name)
    {
        ForeignModel model = models[name]();
        using TempFolder temp = TestFiles.Temp();
        model.Write(temp["artifacts"]);
        ArtifactFolder folder = ArtifactFolder.Open(temp["artifacts"]);
        JsonElement theirs = TrainingRuntime.Train(folder, Enumerable.Repeat(model.Batch, 4));
        using var session = TrainingSession.Open(folder, Device.Open());
        using var optimizer = new FolderOptimizer(folder, session, Device.Open());
        foreach (JsonElement loss in theirs.GetProperty("losses").EnumerateArray())
        {
            Assert.AreEqual(loss.GetDouble(), session.Step(model.Batch), 2e-5);
            optimizer.Step(0.001);
        }
        double[] final = [.. theirs.GetProperty("parameters").EnumerateArray().Select(p => p.GetDouble())];
        float[] own = [.. session.Weights.SelectMany(w => w.Value.ToFloats())];
        Assert.AreEqual(final.Length, own.Length);
        for (int i = 0; i < final.Length; i++) Assert.AreEqual(final[i], own[i], 2e-4, $"parameter {i}");
    }

    /// <summary>The same forward pass, differentiated by our rules.</summary>
    private static (float Loss, Dictionary<string, float[]> Gradients) OwnGradients(ForeignModel model, string file)
    {
        Graph graph = model.Forward.Clone();
        var gradients = BackwardPass.Run(graph, "loss", model.Trainable);
        string[] names = ["loss", .. model.Trainable.Select(w => gradients[w].Name)];
        graph.Outputs.Clear();
        graph.Outputs.AddRange(names.Select(n => new GraphValue(n, new(ElementType.Float, null))));
        OnnxFile.Write(graph, file);
        using var options = new Microsoft.ML.OnnxRuntime.SessionOptions();
        Ort.Operators.TrainingOperators.AddTo(options);
        using var session = new Microsoft.ML.OnnxRuntime.InferenceSession(file, options);
        using var run = new Microsoft.ML.OnnxRuntime.RunOptions();
        var inputs = model.Batch.ToDictionary(b => b.Key, b => b.Value.Type == ElementType.Int64
            ? Microsoft.ML.OnnxRuntime.OrtValue.CreateTensorValueFromMemory(b.Value.ToLongs(), b.Value.Dims)
            : Microsoft.ML.OnnxRuntime.OrtValue.CreateTensorValueFromMemory(b.Value.ToFloats(), b.Value.Dims));
        using var results = session.Run(run, inputs, names);
        return (results[0].GetTensorDataAsSpan<float>()[0], model.Trainable.Select((w, i) => (w, g: results[i + 1].GetTensorDataAsSpan<float>().ToArray())).ToDictionary(p => p.w, p => p.g));
    }
}
