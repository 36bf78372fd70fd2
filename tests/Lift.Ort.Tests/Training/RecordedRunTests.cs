using Lift.Ort.Artifacts;
using Lift.Ort.Data;
using Lift.Ort.Devices;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;
using Lift.Ort.Sessions;
using Lift.Ort.Training;

namespace Lift.Ort.Tests.Training;

[TestClass]
public sealed class RecordedRunTests
{
    public static IEnumerable<object[]> Names => RecordedRun.Names();

    [TestMethod, DynamicData(nameof(Names))]
    public void A_run_from_the_ONNX_file_on_follows_the_reference(string name)
    {
        var recorded = new RecordedRun(name);
        using TempFolder temp = TestFiles.Temp();
        string model = Path.Combine(recorded.ModelFolder, "model.onnx");
        ArtifactFolder artifacts = ArtifactFolder.Create(TrainingGraph.Build(OnnxFile.Read(model)), model, temp["prepared"]);
        using IDevice device = Device.Open();
        using TrainingSession session = TrainingSession.Open(artifacts, device);
        using var trainer = new Trainer(session, device, new BatchList(recorded.Batches), recorded.Options);
        var losses = new List<double>();
        trainer.Happened += what =>
        {
            if (what is StepDone step) losses.Add(step.Loss);
        };
        trainer.Run();

        double[] expected = recorded.Losses;
        Assert.AreEqual(expected.Length, losses.Count);
        for (int i = 0; i < expected.Length; i++) Assert.AreEqual(expected[i], losses[i], recorded.Tolerance, $"loss of step {i + 1}");

        IReadOnlyDictionary<string, int[]> masks = recorded.FinalMasks();
        CollectionAssert.AreEquivalent(masks.Keys.ToArray(), trainer.Masks.Select(m => m.Weight).ToArray());
        long common = trainer.Masks.Sum(m => (long)m.ToPositions().Intersect(masks[m.Weight]).Count()), all = masks.Values.Sum(m => (long)m.Length);
        Assert.AreEqual(all, trainer.Masks.Sum(m => m.Length), "trained entries");
        Console.WriteLine($"{name}: final masks share {common} of {all}; largest loss difference {expected.Zip(losses, (a, b) => Math.Abs(a - b)).Max():G3}");
        Assert.IsTrue(common >= 0.999 * all, $"final masks share {common} of {all} entries");
    }
}
