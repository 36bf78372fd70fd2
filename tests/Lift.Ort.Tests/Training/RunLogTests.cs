using Lift.Ort.Training;

namespace Lift.Ort.Tests.Training;

[TestClass]
public sealed class RunLogTests
{
    private static readonly RunEvent[] run =
    [
        new MaskRefreshed(0, 1000, null, 1e-3, 0.25),
        new StepDone(1, 2.5f, 0, 64, 512.5, 1.25),
        new StepDone(2, 2.25f, 1e-4, 128, 500, 1),
        new MaskRefreshed(2, 1000, 0.75, null, 0.5),
        new Validated(2, 2.125),
        new StepDone(3, float.NaN, 2e-4, 192, 500, double.PositiveInfinity),
    ];

    [TestMethod]
    public void Lines_are_read_back_as_they_were_written()
    {
        using TempFolder temp = TestFiles.Temp();
        Write(temp["log.jsonl"]);
        CollectionAssert.AreEqual(run, RunLog.Read(temp["log.jsonl"]).ToArray());
    }

    [TestMethod]
    public void A_line_has_the_documented_fields()
    {
        Assert.AreEqual("""{"event":"step","step":1,"loss":2.5,"lr":0,"tokens":64,"tokens_per_s":512.5,"grad_norm":1.25}""", RunLog.ToLine(run[1]));
        Assert.AreEqual("""{"event":"refresh","step":2,"k":1000,"overlap":0.75,"bound":null,"seconds":0.5}""", RunLog.ToLine(run[3]));
        Assert.AreEqual("""{"event":"validation","step":2,"validation_loss":2.125}""", RunLog.ToLine(run[4]));
    }

    [TestMethod]
    public void A_resumed_run_writes_the_later_lines_again()
    {
        using TempFolder temp = TestFiles.Temp();
        Write(temp["log.jsonl"]);
        using (RunLog log = RunLog.Open(temp["log.jsonl"], lastStep: 2)) log.Write(run[5]);
        CollectionAssert.AreEqual(run, RunLog.Read(temp["log.jsonl"]).ToArray());
    }

    [TestMethod]
    public void A_last_line_cut_off_by_a_crash_is_left_out_and_one_in_the_middle_is_named()
    {
        using TempFolder temp = TestFiles.Temp();
        Write(temp["log.jsonl"]);
        File.AppendAllText(temp["log.jsonl"], """{"event":"step","st""");
        Assert.AreEqual(run.Length, RunLog.Read(temp["log.jsonl"]).Count);

        File.AppendAllText(temp["log.jsonl"], "\n" + RunLog.ToLine(run[1]));
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => RunLog.Read(temp["log.jsonl"])).Message, "Line 7");
    }

    private static void Write(string path)
    {
        using RunLog log = RunLog.Open(path);
        foreach (RunEvent line in run) log.Write(line);
    }
}
