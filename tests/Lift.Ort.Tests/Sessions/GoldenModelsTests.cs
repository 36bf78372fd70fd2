using Lift.Ort.Artifacts;
using Lift.Ort.Devices;
using Lift.Ort.Sessions;

namespace Lift.Ort.Tests.Sessions;

/// <summary>From the file to the gradients: every golden model, both cases, every float initializer.</summary>
[TestClass]
public sealed class GoldenModelsTests
{
    public static IEnumerable<object[]> Models => GoldenModel.Names.Select(n => new object[] { n });

    [TestMethod]
    [DynamicData(nameof(Models))]
    public void Loss_and_all_gradients_equal_autograds(string name)
    {
        var golden = new GoldenModel(name);
        using TempFolder temp = TestFiles.Temp();
        using var session = TrainingSession.Open(golden.Prepare(temp["artifacts"]), Device.Open(), new() { Outputs = ["logits"] });
        var wrong = new List<string>();
        for (int i = 0; i < golden.Cases; i++)
        {
            float loss = session.Step(golden.Batch(i));
            if (!(Math.Abs(loss - golden.LossOf(i)) <= 1e-5 * golden.LossOf(i))) wrong.Add($"case {i}: loss {loss} instead of {golden.LossOf(i)}");
            foreach (var (e, a) in golden.Logits(i).Zip(session.LastOutputs["logits"].ToFloats())) Assert.AreEqual(e, a, 1e-4f);
            wrong.AddRange(golden.Errors(i, Gradients(session)).Where(e => !(e.Value <= 1e-4)).Select(e => $"case {i}: {e.Key} is wrong by {e.Value:G3}"));
        }
        Assert.IsEmpty(wrong, string.Join("; ", wrong));
    }

    /// <summary>The same file in a session that knows none of our operators: the model-local functions compute the same.</summary>
    [TestMethod]
    [DynamicData(nameof(Models))]
    public void Fallback_functions_give_the_same_gradients(string name)
    {
        var golden = new GoldenModel(name);
        using TempFolder temp = TestFiles.Temp();
        ArtifactFolder folder = golden.Prepare(temp["artifacts"]);
        using var ours = TrainingSession.Open(folder, Device.Open());
        using var plain = TrainingSession.Open(folder, Device.Open(), new() { TrainingOperators = false });
        Assert.AreEqual(ours.Step(golden.Batch(0)), plain.Step(golden.Batch(0)), 1e-5);
        var reference = Gradients(ours);
        double floor = reference.Values.Max(Norm) / 1000;
        foreach (var (weight, gradient) in Gradients(plain))
            Assert.IsLessThan(1e-5, Norm([.. gradient.Zip(reference[weight], (a, b) => a - b)]) / Math.Max(Norm(reference[weight]), floor), weight);
    }

    private static double Norm(float[] values) => Math.Sqrt(values.Sum(v => (double)v * v));

    /// <summary>All gradients of a session that trains whole weights.</summary>
    internal static Dictionary<string, float[]> Gradients(TrainingSession session) => session.Slices.ToDictionary(s => s.Weight.Name, s =>
    {
        var values = new float[s.Count];
        session.Gradients.CopyTo(values, s.Offset);
        return values;
    });
}
