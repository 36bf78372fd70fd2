using Lift.Ort.Artifacts;
using Lift.Ort.Devices;
using Lift.Ort.Sessions;
using Lift.Ort.Tests.Sessions;

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
}
