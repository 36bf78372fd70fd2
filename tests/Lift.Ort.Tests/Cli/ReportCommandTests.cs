using Lift.Ort.Tests.Training;

namespace Lift.Ort.Tests.Cli;

[TestClass]
public sealed class ReportCommandTests
{
    [TestMethod]
    public void Draws_runs_side_by_side()
    {
        using var tiny = new TinyRun();
        LiftRun.Here(TrainProgramTests.LineFor(tiny, "a", "--steps 12 --interval 5")).Good();
        LiftRun.Here(TrainProgramTests.LineFor(tiny, "b", "--steps 6 --selection full")).Good();
        LiftRun.Here("report", tiny["a"], tiny["b"], "-o", tiny["runs.html"]).Good();
        LiftRun.Here("report", tiny["a"], "-o", tiny["runs.svg"]).Good();

        string page = File.ReadAllText(tiny["runs.html"]);
        foreach (string part in new[] { "<td>a</td><td>12</td>", "<td>b</td><td>6</td>", "Training loss", "Learning rate", "Overlap of a new mask" }) StringAssert.Contains(page, part);
        Assert.AreEqual("svg", System.Xml.Linq.XElement.Load(tiny["runs.svg"]).Name.LocalName);
    }

    [TestMethod]
    public void A_folder_without_a_log_is_refused() => StringAssert.Contains(LiftRun.Here("report", Path.GetTempPath(), "-o", "x.html").Refused(), "log.jsonl");
}
