using System.Text.Json;
using Lift.Ort.Training;

namespace Lift.Ort.Tests.Training;

[TestClass]
public sealed class ScheduleTests
{
    [TestMethod]
    [DataRow(ScheduleKind.Constant, 0, new[] { 1.0, 1, 1, 1 })]
    [DataRow(ScheduleKind.Linear, 0, new[] { 1.0, 0.75, 0.5, 0.25 })]
    [DataRow(ScheduleKind.Linear, 2, new[] { 0.0, 0.5, 1, 0.5 })]
    [DataRow(ScheduleKind.Constant, 2, new[] { 0.0, 0.5, 1, 1 })]
    [DataRow(ScheduleKind.Cosine, 0, new[] { 1.0, 0.853553390593, 0.5, 0.146446609407 })]
    [DataRow(ScheduleKind.Cosine, 2, new[] { 0.0, 0.5, 1, 0.5 })]
    public void Learning_rate_of_four_steps(ScheduleKind kind, int warmup, double[] expected)
    {
        var schedule = new Schedule(kind, 1, 4, warmup);
        for (int step = 1; step <= 4; step++) Assert.AreEqual(expected[step - 1], schedule.At(step), 1e-11, $"step {step}");
    }

    [TestMethod]
    public void Learning_rates_are_those_of_the_recorded_runs()
    {
        foreach (string run in Directory.GetDirectories(TestFiles.Shared("golden/lift-train")))
        {
            JsonElement manifest = JsonDocument.Parse(File.ReadAllText(Path.Combine(run, "manifest.json"))).RootElement;
            JsonElement settings = manifest.GetProperty("settings");
            var schedule = new Schedule(ScheduleKind.Linear, settings.GetProperty("lr").GetDouble(), settings.GetProperty("steps").GetInt32(), settings.GetProperty("warmup").GetInt32());
            foreach (JsonElement step in manifest.GetProperty("losses_float32").EnumerateArray())
            {
                Assert.AreEqual(step.GetProperty("lr").GetDouble(), schedule.At(step.GetProperty("step").GetInt32()), 1e-12, $"{run} step {step}");
            }
        }
    }

    [TestMethod]
    [DataRow(0.0, 100, 0)]
    [DataRow(0.03, 100, 3)]
    [DataRow(0.03, 120, 4)]
    [DataRow(1.0, 100, 1)]
    [DataRow(20.0, 100, 20)]
    public void Warm_up_is_a_share_below_one_and_a_count_from_one_on(double warmup, int steps, int expected) =>
        Assert.AreEqual(expected, Schedule.WarmupSteps(warmup, steps));
}
