using Lift.Ort.Artifacts;
using Lift.Ort.Devices;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;
using Lift.Ort.Sessions;
using Lift.Ort.Tests.Sessions;

namespace Lift.Ort.Tests.Lowering.Decoders;

/// <summary>Decoders with a cache train as if they had none, and go out as they came in.</summary>
[TestClass]
public sealed class DecoderTrainingTests
{
    [TestMethod]
    [DynamicData(nameof(RecordedDecoder.Rows), typeof(RecordedDecoder))]
    public void Loss_and_all_gradients_equal_autograds(string name)
    {
        var decoder = new RecordedDecoder(name);
        using TempFolder temp = TestFiles.Temp();
        Graph source = OnnxFile.Read(decoder.Path);
        TrainingGraph training = TrainingGraph.Build(source, new() { Loss = decoder.Loss, Train = ["*"] });
        string[] user = [.. training.Forward.Inputs.Select(i => i.Name)];
        CollectionAssert.AreEquivalent(decoder.Batch(0).Keys.ToArray(), user, string.Join(", ", user));
        Assert.IsFalse(training.Training.Nodes.Exists(n => n.OpType is "If" or "Loop" or "GroupQueryAttention"));

        using var session = TrainingSession.Open(ArtifactFolder.Create(training, decoder.Path, temp["artifacts"]), Device.Open());
        var wrong = new List<string>();
        for (int i = 0; i < decoder.Cases; i++)
        {
            float loss = session.Step(decoder.Batch(i));
            if (!(Math.Abs(loss - decoder.LossOf(i)) <= 1e-5 * decoder.LossOf(i))) wrong.Add($"case {i}: loss {loss} instead of {decoder.LossOf(i)}");
            wrong.AddRange(decoder.Errors(i, GoldenModelsTests.Gradients(session), source).Where(e => !(e.Value <= 1e-4)).Select(e => $"case {i}: {e.Key} is wrong by {e.Value:G3}"));
        }
        Assert.IsEmpty(wrong, string.Join("; ", wrong));
    }
}
