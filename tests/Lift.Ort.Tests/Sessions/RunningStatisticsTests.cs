using System.Text.RegularExpressions;
using Lift.Ort.Artifacts;
using Lift.Ort.Data;
using Lift.Ort.Devices;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;
using Lift.Ort.Sessions;
using Lift.Ort.Sparse;
using Lift.Ort.Tests.Devices;
using Lift.Ort.Tests.Devices.Cuda;
using Lift.Ort.Training;

namespace Lift.Ort.Tests.Sessions;

/// <summary>Running statistics of batch normalisation stay on the device, and a step that failed leaves them as they were. Their values: BatchNormRunTests.</summary>
[TestClass]
public sealed partial class RunningStatisticsTests
{
    private static readonly TrainingOptions options = new()
    {
        Steps = 1,
        LearningRate = 0.02,
        Schedule = ScheduleKind.Constant,
        Warmup = 0,
        Selection = "full",
        Optimizer = new AdamWOptions { Form = AdamWForm.Torch, WeightDecay = 0 },
    };

    private static string Stored(string file) => Path.Combine(TestFiles.Root, "tests", "Lift.Ort.Tests", "Training", "batchnorm", file);

    private static ArtifactFolder Prepare(TempFolder temp, string model = "model.onnx", bool renewed = true)
    {
        ArtifactFolder.Create(TrainingGraph.Build(OnnxFile.Read(Stored(model)), new() { Loss = "cross-entropy", Train = ["*"], BatchNorm = renewed ? BatchNormForm.File : BatchNormForm.Frozen }), Stored(model), temp["prepared"]);
        return ArtifactFolder.Open(temp["prepared"]);
    }

    private static Dictionary<string, Tensor> Batch(float scale, int length = 4)
    {
        float[] x = [.. Enumerable.Range(0, 3 * 2 * 4 * length).Select(i => scale * MathF.Sin(i * 1.7f))];
        return new() { ["x"] = Tensor.From<float>("x", x, 3, 2, 4, length), ["labels"] = Tensor.From<long>("labels", [0, 1, 2], 3) };
    }

    private static byte[][] Bytes(TrainingSession session) => [.. session.Statistics.Select(s => s.ToTensor().AsSpan<byte>().ToArray())];

    private static void AreEqual(byte[][] expected, byte[][] actual, string what)
    {
        foreach (var (i, bytes) in expected.Index()) CollectionAssert.AreEqual(bytes, actual[i], $"{what}: statistic {i}");
    }

    [TestMethod, AllDevices]
    public void A_step_renews_them_and_can_be_taken_back(string name)
    {
        using TempFolder temp = TestFiles.Temp();
        ArtifactFolder folder = Prepare(temp);
        using IDevice device = TestDevice.Open(name);
        string updated = folder.Record.Statistics![1].Updated;
        using TrainingSession session = TrainingSession.Open(folder, device, new() { Outputs = [updated] });
        Assert.IsTrue(session.Statistics.All(s => s.Memory.Pointer % 64 == 0));
        byte[][] first = Bytes(session);
        session.Step(Batch(1));
        byte[][] second = Bytes(session);
        Assert.IsFalse(first.Zip(second).Any(p => p.First.SequenceEqual(p.Second)), "each of them is renewed");
        CollectionAssert.AreEqual(second[1], session.LastOutputs[updated].AsSpan<byte>().ToArray(), "what was asked for under its output's name");
        session.RevertStatistics();
        AreEqual(first, Bytes(session), "taken back");
        session.Step([(Batch(1), 1), (Batch(2), 1)]);
        byte[][] two = Bytes(session);
        session.RevertStatistics();
        AreEqual(first, Bytes(session), "both micro-batches taken back");
        session.Step(Batch(1));
        AreEqual(second, Bytes(session), "the same again");
        session.Step(Batch(2));
        AreEqual(two, Bytes(session), "one batch after the other");
    }

    [TestMethod, AllDevices]
    public void A_micro_batch_that_is_refused_leaves_them_as_before_the_step(string name)
    {
        using TempFolder temp = TestFiles.Temp();
        using IDevice device = TestDevice.Open(name);
        using TrainingSession session = TrainingSession.Open(Prepare(temp), device);
        session.Step(Batch(1));
        byte[][] before = Bytes(session);
        Dictionary<string, Tensor> wrong = Batch(1);
        wrong["labels"] = Tensor.From<long>("labels", [0, 1], 2);
        Assert.ThrowsExactly<LiftException>(() => session.Step([(Batch(2), 1), (wrong, 1)]));
        AreEqual(before, Bytes(session), "the first micro-batch had renewed them");
    }

    /// <summary>The second of two micro-batches of the second step is not finite: the device itself takes the first one's statistics back, and those of steps queued behind.</summary>
    [TestMethod, AllDevices]
    public void A_run_that_diverges_keeps_those_of_its_last_good_step(string name)
    {
        using TempFolder temp = TestFiles.Temp();
        Prepare(temp);
        string[] rows = File.ReadAllLines(Stored("rows.jsonl"));
        rows[13] = Number().Replace(rows[13], "3e38");
        File.WriteAllLines(temp["bad.jsonl"], rows);
        using IDevice device = TestDevice.Open(name);
        Checkpoint Train(string run, string data, int steps)
        {
            var settings = new RunSettings(temp["prepared"], data, "none", null, new DataOptions { Batch = 4, Shuffle = false }, options with { Steps = steps, Accumulate = 2 });
            using TrainingRun training = TrainingRun.Start(temp[run], settings, device);
            if (data == Stored("rows.jsonl")) training.Train();
            else StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => training.Train()).Message, "diverged at step 2");
            return Checkpoint.Read(Path.Combine(training.Folder.FullPath, RunFolder.CheckpointName));
        }
        Checkpoint good = Train("good", Stored("rows.jsonl"), 1), bad = Train("bad", temp["bad.jsonl"], 3);
        Assert.AreEqual((1, good.Position), (bad.Step, bad.Position));
        foreach (var (key, value) in good.State) Assert.IsTrue(value.AsSpan<byte>().SequenceEqual(bad.State[key].AsSpan<byte>()), key);
        Assert.IsTrue(good.State.Keys.Any(k => k.StartsWith("running.", StringComparison.Ordinal)));
        foreach (var (a, b) in good.Values.Zip(bad.Values)) Assert.IsTrue(a.AsSpan<byte>().SequenceEqual(b.AsSpan<byte>()), a.Name);
    }

    /// <summary>On a GPU a step sends one thing to the host, its verdict, with running statistics as without, and one late reading is the only wait.</summary>
    [TestMethod]
    public void A_step_sends_nothing_but_its_verdict_to_the_host()
    {
        GpuCalls PerStep(bool renewed)
        {
            using TempFolder temp = TestFiles.Temp();
            Prepare(temp, renewed: renewed);
            using IDevice device = TestDevice.Open("simulated");
            GpuCalls Of(int steps)
            {
                var settings = new RunSettings(temp["prepared"], Stored("rows.jsonl"), "none", null, new DataOptions { Batch = 4, Shuffle = false }, options with { Steps = steps });
                using TrainingRun training = TrainingRun.Start(temp[$"run{steps}"], settings, device);
                GpuCalls before = SimulatedGpu.Calls;
                training.Train();
                return SimulatedGpu.Calls - before;
            }
            return Of(6) - Of(5);
        }
        GpuCalls with = PerStep(true), without = PerStep(false);
        Assert.AreEqual((1, 1), (with.ToHost, without.ToHost), $"{with}, {without}");
        Assert.AreEqual(without.Waits, with.Waits, $"{with}, {without}");
    }

    /// <summary>A run that is recorded computes the model three times, and renews the statistics once.</summary>
    [TestMethod]
    public void Recorded_runs_renew_them_once()
    {
        using TempFolder temp = TestFiles.Temp();
        ArtifactFolder folder = Prepare(temp);
        var recorder = new SimulatedRecorder();
        using IDevice recording = SimulatedGpu.Open(new() { Tf32 = false, Graphs = true }, recorder), plain = TestDevice.Open("simulated");
        using TrainingSession recorded = TrainingSession.Open(folder, recording), expected = TrainingSession.Open(folder, plain);
        for (int i = 1; i <= 4; i++)
        {
            Assert.AreEqual(expected.Step(Batch(i)), recorded.Step(Batch(i)), $"step {i}");
            AreEqual(Bytes(expected), Bytes(recorded), $"step {i}");
        }
        CollectionAssert.AreEqual(new[] { 0, 1, 1, 1 }, recorder.Runs);
    }

    [TestMethod, DataRow("cpu"), DataRow("simulated")]
    public void Sixteen_bit_statistics_are_rounded_where_they_lie(string name)
    {
        using TempFolder temp = TestFiles.Temp();
        ArtifactFolder folder = Prepare(temp, "half.onnx");
        using IDevice device = TestDevice.Open(name);
        string[] updated = [.. folder.Record.Statistics!.Select(s => s.Updated)];
        using TrainingSession session = TrainingSession.Open(folder, device, new() { Outputs = updated });
        Dictionary<string, Tensor> batch = Batch(1);
        if (session.Inputs.Single(i => i.Name == "x").Type.Element == ElementType.Float16) batch["x"] = Half(batch["x"]);
        session.Step(batch);
        foreach (var (statistic, output) in session.Statistics.Zip(updated))
        {
            float[] wide = session.LastOutputs[output].ToFloats();
            CollectionAssert.AreEqual(wide.Select(v => (float)(System.Half)v).ToArray(), statistic.ToTensor().ToFloats(), statistic.Name);
            Assert.AreEqual(ElementType.Float16, statistic.Type);
        }
    }

    [GeneratedRegex(@"-?\d+\.\d+")]
    private static partial Regex Number();

    private static Tensor Half(Tensor x)
    {
        Tensor half = Tensor.Empty(x.Name, ElementType.Float16, x.Dims);
        foreach (var (i, v) in x.ToFloats().Index()) half.AsSpan<Half>()[i] = (Half)v;
        return half;
    }
}
