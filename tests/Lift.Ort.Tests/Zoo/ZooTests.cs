using Lift.Ort.Artifacts;
using Lift.Ort.Data;
using Lift.Ort.Devices;
using Lift.Ort.Generation;
using Lift.Ort.Onnx;
using Lift.Ort.Sessions;
using Lift.Ort.Sparse;
using Lift.Ort.Tests.Sessions;
using Lift.Ort.Training;

namespace Lift.Ort.Tests.Zoo;

/// <summary>
/// Architectures and vocabularies beyond the golden material, made by tools/reference/zoo: losses and gradients of autograd. LIFT_ZOO names a
/// folder of more of them; LIFT_ZOO_ONLY a part of the name.
/// </summary>
[TestClass]
public sealed class ZooTests
{
    public static IEnumerable<object[]> Models => new[] { Path.Combine(TestFiles.Root, "tests", "Lift.Ort.Tests", "Zoo"), Environment.GetEnvironmentVariable("LIFT_ZOO") }
        .Where(f => f is not null).SelectMany(f => Directory.GetFiles(f!, "golden.json", SearchOption.AllDirectories)).Select(f => Path.GetDirectoryName(f)!)
        .Where(f => f.Contains(Environment.GetEnvironmentVariable("LIFT_ZOO_ONLY") ?? "")).Order().Select(f => new object[] { f });

    [TestMethod]
    [DynamicData(nameof(Models))]
    public void Loss_and_gradients_equal_autograds(string folder)
    {
        GoldenModel golden = GoldenModel.In(folder);
        using TempFolder temp = TestFiles.Temp();
        using var session = TrainingSession.Open(golden.Prepare(temp["artifacts"]), Device.Open(), new() { Outputs = [golden.Scored] });
        var wrong = new List<string>();
        for (int i = 0; i < golden.Cases; i++)
        {
            float loss = session.Step(golden.Batch(i));
            if (!(Math.Abs(loss - golden.LossOf(i)) <= 1e-5 * Math.Abs(golden.LossOf(i)))) wrong.Add($"case {i}: loss {loss} instead of {golden.LossOf(i)}");
            var errors = golden.Errors(i, GoldenModelsTests.Gradients(session));
            Assert.IsNotEmpty(errors);
            wrong.AddRange(errors.Where(e => !(e.Value <= 1e-4)).OrderByDescending(e => e.Value).Take(6).Select(e => $"case {i}: {e.Key} is wrong by {e.Value:G3}"));
        }
        Assert.IsEmpty(wrong, string.Join("; ", wrong));
    }

    /// <summary>Twenty steps with LIFT's own choice of weights (everything where it has none) lower the loss, and the export puts out what the training session does.</summary>
    [TestMethod]
    [DynamicData(nameof(Models))]
    public void Twenty_steps_lower_the_loss_and_the_export_says_the_same(string folder)
    {
        GoldenModel golden = GoldenModel.In(folder);
        using TempFolder temp = TestFiles.Temp();
        using IDevice device = Device.Open("cpu");
        using var session = TrainingSession.Open(Prepared(golden, temp["artifacts"]), device, new() { Outputs = [golden.Scored] });
        Dictionary<string, Tensor> values = golden.Batch(0);
        var batch = new Batch(values, (int)values["labels"].Dims[0], values["labels"].Count, values["labels"].Count);
        using var trainer = new Trainer(session, device, new BatchList([batch]), new() { Steps = 20, LearningRate = 2e-3, FilterRank = 4, Budget = Budget.Density(0.2), Interval = 10 });
        float before = session.Step(values);
        trainer.Run();
        float after = session.Step(values);
        Assert.IsLessThan(before, after);

        float[] trained = session.LastOutputs[golden.Scored].ToFloats();
        OnnxFile.Replace(golden.ModelPath, session.Weights.ToDictionary(w => w.Name, w => w.ToTensor()), temp["tuned.onnx"]);
        if (!golden.OutputsScored) return; // a value inside the graph
        using ExportedModel export = ExportedModel.Open(temp["tuned.onnx"], device, golden.Scored);
        using ModelOutput output = export.Run(values);
        float[] scratch = [];
        var exported = new List<float>();
        for (long row = 0; row < output.Rows; row++) exported.AddRange(output.Row(row, ref scratch));
        float largest = trained.Max(MathF.Abs), worst = trained.Zip(exported, (a, b) => MathF.Abs(a - b)).Max();
        Assert.AreEqual(trained.Length, exported.Count);
        Assert.IsLessThan((golden.Is16Bit ? 2e-2f : 2e-5f) * largest, worst, $"the largest is {largest}"); // the file itself computes in 16 bits
    }

    private static ArtifactFolder Prepared(GoldenModel golden, string directory)
    {
        try
        {
            return ArtifactFolder.Create(golden.Graph(), golden.ModelPath, directory);
        }
        catch (LiftException e) when (e.Message.Contains("to train by default"))
        {
            return golden.Prepare(directory);
        }
    }
}
