using Lift.Ort.Artifacts;
using Lift.Ort.Data;
using Lift.Ort.Onnx;
using Lift.Ort.Sessions;
using Lift.Ort.Sparse;
using Lift.Ort.Training;

namespace Lift.Ort.Tests.Training;

[TestClass]
public sealed class TrainingRunTests
{
    private static TinyRun tiny = null!;

    [ClassInitialize]
    public static void Prepare(TestContext _) => tiny = new TinyRun();

    [ClassCleanup]
    public static void Clean() => tiny.Dispose();

    [TestMethod]
    [DataRow("lift")]
    [DataRow("random")]
    [DataRow("movement")]
    [DataRow("gradient-magnitude")]
    [DataRow("full")]
    public void A_resumed_run_is_bit_for_bit_one_never_stopped(string selection)
    {
        TrainingOptions options = TinyRun.Options with { Selection = selection };
        tiny.Train($"whole-{selection}", options);
        tiny.Train($"parts-{selection}", options, stopAt: e => e is StepDone { Step: 4 });
        tiny.Resume($"parts-{selection}");

        var (whole, parts) = (tiny.Weights($"whole-{selection}"), tiny.Weights($"parts-{selection}"));
        foreach (string name in whole.Keys) CollectionAssert.AreEqual(whole[name], parts[name], name);
        CollectionAssert.AreEqual(Lines($"whole-{selection}"), Lines($"parts-{selection}"));
        Assert.AreEqual(9, Lines($"whole-{selection}").Count(l => l.StartsWith("step")));

        // Speed and seconds differ from run to run; everything else is the same.
        string[] Lines(string run) => [.. RunLog.Read(Path.Combine(tiny[run], RunFolder.LogName)).Select(e => e switch
        {
            StepDone s => $"step {s with { TokensPerS = 0 }}",
            MaskRefreshed m => $"refresh {m with { Seconds = 0 }}",
            _ => e.ToString()!,
        })];
    }

    [TestMethod]
    [DataRow(ElementType.Float16)]
    [DataRow(ElementType.BFloat16)]
    public void Models_of_16_bits_go_on_from_their_float32_masters(ElementType type)
    {
        using var half = new TinyRun(type);
        half.Train("whole", TinyRun.Options);
        half.Train("parts", TinyRun.Options, stopAt: e => e is StepDone { Step: 5 });
        half.Resume("parts");
        var (whole, parts) = (half.Weights("whole"), half.Weights("parts"));
        foreach (string name in whole.Keys) CollectionAssert.AreEqual(whole[name], parts[name], name);
        Assert.AreEqual(type, OnnxFile.Read(half["exported.onnx"]).Initializers["model.layers.1.self_attn.q_proj.weight"].Type);
    }

    [TestMethod]
    public void A_run_without_a_checkpoint_begins_again_with_a_new_log()
    {
        TrainingRun.Start(tiny["early"], tiny.Settings, TinyRun.Device).Dispose();
        File.AppendAllText(Path.Combine(tiny["early"], RunFolder.LogName), RunLog.ToLine(new MaskRefreshed(0, 1, null, null, 1)) + "\n");
        tiny.Resume("early");
        Assert.AreEqual(1, RunLog.Read(Path.Combine(tiny["early"], RunFolder.LogName)).Count(e => e.Step == 0));
    }

    [TestMethod]
    public void The_loss_falls_and_only_trained_entries_change()
    {
        tiny.Train("change", TinyRun.Options with { Steps = 40, Interval = 10, LearningRate = 0.05 });
        StepDone[] steps = [.. RunLog.Read(Path.Combine(tiny["change"], RunFolder.LogName)).OfType<StepDone>()];
        float first = steps[..5].Average(s => s.Loss), last = steps[^5..].Average(s => s.Loss);
        Assert.IsTrue(last < first - 0.15, $"{first} → {last}");

        SparsePatch patch = RunExport.Write(tiny["change"], tiny["tuned.onnx"], tiny["tuned.safetensors"]);
        Checkpoint state = Checkpoint.Read(Path.Combine(tiny["change"], RunFolder.CheckpointName));
        Graph before = OnnxFile.Read(tiny.Model), after = OnnxFile.Read(tiny["tuned.onnx"]);
        foreach (var (name, tensor) in before.Initializers)
        {
            HashSet<int> trained = [.. state.Touched.FirstOrDefault(m => m.Weight == name)?.Positions ?? []];
            ReadOnlySpan<byte> a = tensor.AsSpan<byte>(), b = after.Initializers[name].AsSpan<byte>();
            for (int i = 0; i < a.Length; i++)
            {
                if (!trained.Contains(i / 4)) Assert.AreEqual(a[i], b[i], $"{name}, byte {i}");
            }
        }
        Assert.IsTrue(patch.Length > 0 && patch.Length <= state.Touched.Sum(m => m.Length));

        SparsePatch.Load(tiny["tuned.safetensors"]).ApplyTo(before);
        foreach (string name in before.Initializers.Keys) Assert.IsTrue(before.Initializers[name].AsSpan<byte>().SequenceEqual(after.Initializers[name].AsSpan<byte>()), name);
    }

    [TestMethod]
    public void Masks_are_chosen_where_the_method_says()
    {
        tiny.Train("refresh", TinyRun.Options with { Steps = 8, Interval = 3 });
        int[] refreshes = [.. RunLog.Read(Path.Combine(tiny["refresh"], RunFolder.LogName)).OfType<MaskRefreshed>().Select(m => m.Step)];
        CollectionAssert.AreEqual(new[] { 0, 2, 5, 8 }, refreshes);
    }

    [TestMethod]
    public void A_run_that_diverges_stops_in_one_sentence_with_its_state_saved()
    {
        TrainingOptions wild = TinyRun.Options with { LearningRate = 1e30, Warmup = 0, Schedule = ScheduleKind.Constant };
        string message = Assert.ThrowsExactly<LiftException>(() => tiny.Train("wild", wild)).Message;
        StringAssert.Contains(message, "diverged at step");
        StringAssert.Contains(message, "1E+30");
        Checkpoint state = Checkpoint.Read(Path.Combine(tiny["wild"], RunFolder.CheckpointName));
        Assert.IsTrue(state.Step >= 1, "the first step still has a finite loss");
    }

    [TestMethod]
    public void A_row_that_cannot_be_read_costs_no_step_that_was_done()
    {
        using TrainingSession session = TrainingSession.Open(ArtifactFolder.Open(tiny.Artifacts), TinyRun.Device);
        var rows = new Breaking(BatchReader.Open(tiny.Data, null, session.Inputs, tiny.Settings.Rows), after: 7);
        using var trainer = new Trainer(session, TinyRun.Device, rows, TinyRun.Options);
        Checkpoint? saved = null;
        trainer.SaveDue += () => saved = trainer.Capture();
        Assert.AreEqual("the image is damaged", Assert.ThrowsExactly<LiftException>(() => trainer.Run()).Message);
        Assert.AreEqual((3, new BatchPosition(0, 6)), (saved?.Step, saved?.Position), "two batches to a step");
    }

    [TestMethod]
    public void Accumulated_micro_batches_averaged_by_token_are_one_large_batch()
    {
        // The order of the file, so that two micro-batches of 2 rows hold the rows of one batch of 4.
        RunSettings settings = tiny.Settings with { Rows = tiny.Settings.Rows with { Shuffle = false } };
        float[] parts = Losses("parts", settings with { Training = TinyRun.Options with { Steps = 2, Average = LossAverage.Token } });
        float[] large = Losses("large", settings with { Rows = settings.Rows with { Batch = 4 }, Training = TinyRun.Options with { Steps = 2, Accumulate = 1 } });
        for (int i = 0; i < 2; i++) Assert.AreEqual(large[i], parts[i], 1e-5, $"step {i + 1}");
    }

    [TestMethod]
    public void Validation_is_measured_before_and_after()
    {
        using (TrainingRun run = TrainingRun.Start(tiny["validated"], tiny.Settings with { Validation = tiny.Data, Training = TinyRun.Options with { ValidateEvery = 4 } }, TinyRun.Device)) run.Train();
        Validated[] losses = [.. RunLog.Read(Path.Combine(tiny["validated"], RunFolder.LogName)).OfType<Validated>()];
        CollectionAssert.AreEqual(new[] { 0, 4, 8, 9 }, losses.Select(v => v.Step).ToArray());
        Assert.IsTrue(losses[^1].ValidationLoss < losses[0].ValidationLoss);
    }

    [TestMethod]
    public void A_folder_in_use_is_refused_and_left_as_it_is()
    {
        string run = tiny.Train("taken", TinyRun.Options with { Steps = 1, Warmup = 0 });
        byte[] before = File.ReadAllBytes(Path.Combine(run, RunFolder.CheckpointName));
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => tiny.Train("taken", TinyRun.Options)).Message, "--resume");
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => TrainingRun.Start(tiny.Artifacts, tiny.Settings, TinyRun.Device, force: true)).Message, "holds no run");
        Assert.ThrowsExactly<LiftException>(() => TrainingRun.Start(run, tiny.Settings with { Data = tiny["absent.jsonl"] }, TinyRun.Device, force: true));
        CollectionAssert.AreEqual(before, File.ReadAllBytes(Path.Combine(run, RunFolder.CheckpointName)), "a run that cannot begin replaces nothing");

        using (TrainingRun.Start(run, tiny.Settings, TinyRun.Device, force: true)) Assert.IsFalse(File.Exists(Path.Combine(run, RunFolder.CheckpointName)));
    }

    [TestMethod]
    public void A_damaged_checkpoint_is_named()
    {
        string run = tiny.Train("damaged", TinyRun.Options with { Steps = 2 }), path = Path.Combine(run, RunFolder.CheckpointName);
        byte[] whole = File.ReadAllBytes(path);
        File.WriteAllBytes(path, whole[..(whole.Length / 2)]);
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => tiny.Resume("damaged")).Message, RunFolder.CheckpointName);
        File.WriteAllText(Path.Combine(run, RunFolder.SettingsName), "{");
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => tiny.Resume("damaged")).Message, RunFolder.SettingsName);
    }

    [TestMethod]
    public void An_export_wants_the_model_that_was_prepared()
    {
        tiny.Train("moved", TinyRun.Options with { Steps = 1, Warmup = 0 });
        string other = tiny["other.onnx"];
        byte[] bytes = File.ReadAllBytes(tiny.Model);
        bytes[^5] ^= 1;
        File.WriteAllBytes(other, bytes);
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => RunExport.Write(tiny["moved"], tiny["out.onnx"], source: other)).Message, "SHA-256");
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => RunExport.Write(tiny["moved"], tiny.Model)).Message, "original model itself");
    }

    private static float[] Losses(string name, RunSettings settings)
    {
        using (TrainingRun run = TrainingRun.Start(tiny[name], settings, TinyRun.Device)) run.Train();
        return [.. RunLog.Read(Path.Combine(tiny[name], RunFolder.LogName)).OfType<StepDone>().Select(s => s.Loss)];
    }

    /// <summary>Batches of which one cannot be made.</summary>
    private sealed class Breaking(IBatchSource source, int after) : IBatchSource
    {
        private int given;

        public int BatchesPerEpoch => source.BatchesPerEpoch;

        public BatchPosition Position { get => source.Position; set => source.Position = value; }

        public Batch Next() => given++ < after ? source.Next() : throw new LiftException("the image is damaged");
    }
}
