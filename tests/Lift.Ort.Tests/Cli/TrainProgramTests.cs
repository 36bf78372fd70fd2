using System.Diagnostics;
using Lift.Ort.Tests.Training;
using Lift.Ort.Training;

namespace Lift.Ort.Tests.Cli;

/// <summary>The whole of <c>lift train</c>: its options, what it refuses, and Ctrl-C.</summary>
[TestClass]
public sealed class TrainProgramTests
{
    private static TinyRun tiny = null!;

    [ClassInitialize]
    public static void Prepare(TestContext _) => tiny = new TinyRun();

    [ClassCleanup]
    public static void Clean() => tiny.Dispose();

    [TestMethod]
    public void Trains_and_says_what_came_out()
    {
        var result = LiftRun.Here(Line("run", "--steps 5 --lr 0.01 --batch 2 --json")).Good().Json;
        Assert.AreEqual(5, (int)result["step"]!);
        Assert.IsTrue((double)result["loss"]! > 0 && (long)result["tokens"]! > 0 && (long)result["entries"]! > 0);
        Assert.IsTrue(File.Exists((string)result["checkpoint"]!));
        Assert.AreEqual(5, RunLog.Read(Path.Combine(tiny["run"], RunFolder.LogName)).OfType<StepDone>().Count());
    }

    [TestMethod]
    public void Words_go_to_standard_error_and_none_with_quiet()
    {
        LiftRun loud = LiftRun.Here(Line("loud", "--steps 2")).Good(), quiet = LiftRun.Here(Line("quiet", "--steps 2 --quiet")).Good();
        StringAssert.Contains(loud.Error, "lift export");
        Assert.AreEqual("", loud.Output + quiet.Output + quiet.Error);
    }

    [TestMethod]
    public void Options_reach_the_run()
    {
        LiftRun.Here(Line("options", "--steps 3 --batch 3 --accumulate 2 --average token --lr 0.003 --schedule cosine --warmup 1 --selection random --rank 2 --filter-rank 5 --interval 7 --seed 9 --no-shuffle --clip 1 --clip-value 0.5 --beta1 0.8 --form torch --save-every 2 --max-length 6 --template paper")).Good();
        RunSettings settings = RunFolder.Open(tiny["options"]).Settings;
        TrainingOptions training = settings.Training;
        Assert.AreEqual((3, 2, LossAverage.Token, 0.003, ScheduleKind.Cosine, 1.0, "random", 5, 7, 9, 2),
            (training.Steps, training.Accumulate, training.Average, training.LearningRate, training.Schedule, training.Warmup, training.Selection, training.FilterRank, training.Interval, training.Seed, training.SaveEvery));
        Assert.AreEqual((2, 1.0, 0.5, 0.8, Ort.Sparse.AdamWForm.Torch), (training.Budget.Rank, training.AdamW.ClipNorm, training.AdamW.ClipValue, training.AdamW.Beta1, training.AdamW.Form));
        Assert.AreEqual((3, false, 9ul, 6, Ort.Data.PromptTemplate.Paper), (settings.Rows.Batch, settings.Rows.Shuffle, settings.Rows.Seed, settings.Rows.MaxLength, settings.Rows.Template));
    }

    [TestMethod]
    [DataRow("--rank 3 --density 0.1", "--density")]
    [DataRow("--shuffle --no-shuffle", "--no-shuffle")]
    [DataRow("--resume --force", "--force")]
    [DataRow("--selection best", "best")]
    [DataRow("--density 7", "7")]
    [DataRow("--lr -1 --interval -3", "interval is -3")]
    [DataRow("--data absent.jsonl", "absent.jsonl")]
    [DataRow("--tokenizer nowhere", "nowhere")]
    public void Mistakes_are_refused_in_one_sentence_before_anything_is_written(string options, string word)
    {
        StringAssert.Contains(LiftRun.Here(Line("refused", options)).Refused(), word);
        Assert.IsFalse(Directory.Exists(tiny["refused"]));
    }

    [TestMethod]
    public void A_run_in_the_way_is_kept_unless_told_otherwise()
    {
        LiftRun.Here(Line("kept", "--steps 2")).Good();
        StringAssert.Contains(LiftRun.Here(Line("kept", "--steps 3")).Refused(), "--resume");
        StringAssert.Contains(LiftRun.Here("train", tiny.Artifacts, "-o", tiny["kept"], "--resume", "--lr", "1").Refused(), "--lr");
        LiftRun.Here(Line("kept", "--steps 3 --force")).Good();
        Assert.AreEqual(3, Checkpoint.Read(Path.Combine(tiny["kept"], RunFolder.CheckpointName)).Step);
    }

    [TestMethod]
    public void After_Ctrl_C_the_state_is_saved_and_the_run_goes_on_where_it_was()
    {
        if (OperatingSystem.IsWindows()) Assert.Inconclusive("signals are sent with kill");
        const string options = "--steps 3000 --lr 0.01 --interval 500";
        using Process process = Process.Start(new ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, "lift"), Line("stopped", options)) { RedirectStandardError = true })!;
        string log = Path.Combine(tiny["stopped"], RunFolder.LogName);
        for (int i = 0; i < 600 && !(File.Exists(log) && new FileInfo(log).Length > 2000); i++) Thread.Sleep(50);
        Process.Start("kill", ["-INT", process.Id.ToString()])!.WaitForExit();
        string error = process.StandardError.ReadToEnd();
        process.WaitForExit();

        Assert.AreEqual(130, process.ExitCode, error);
        StringAssert.Contains(error, "--resume");
        Assert.IsTrue(Checkpoint.Read(Path.Combine(tiny["stopped"], RunFolder.CheckpointName)).Step is > 0 and < 3000);
        LiftRun.Here("train", tiny.Artifacts, "-o", tiny["stopped"], "--resume").Good();

        LiftRun.Here(Line("unstopped", options)).Good();
        Dictionary<string, float[]> stopped = tiny.Weights("stopped"), whole = tiny.Weights("unstopped");
        foreach (string name in whole.Keys) CollectionAssert.AreEqual(whole[name], stopped[name], name);
    }

    internal static string[] LineFor(TinyRun tiny, string run, string options)
    {
        string[] words = options.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        string[] data = words.Contains("--data") ? [] : ["--data", tiny.Data], tokenizer = words.Contains("--tokenizer") ? [] : ["--tokenizer", "none"];
        return ["train", tiny.Artifacts, "-o", tiny[run], .. data, .. tokenizer, .. words];
    }

    private static string[] Line(string run, string options) => LineFor(tiny, run, options);
}
