using Lift.Ort.Artifacts;
using Lift.Ort.Data;
using Lift.Ort.Devices;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;
using Lift.Ort.Sessions;
using Lift.Ort.Tests.Devices;
using Lift.Ort.Training;
using static Lift.Ort.Tests.Gradients.CaseData;

namespace Lift.Ort.Tests.Training;

/// <summary>
/// float32 models that compute in float16 inside, as onnxconverter-common's automatic mixed precision leaves them: Cast down, MatMul, Cast up. The gradients are so small
/// (1e-9) that float16 has no number for them.
/// </summary>
[TestClass]
public sealed class MixedPrecisionTests
{
    [TestMethod]
    public void What_vanishes_in_float16_is_the_true_gradient_under_the_scale()
    {
        using TempFolder temp = TestFiles.Temp();
        ArtifactFolder folder = Prepare(temp, small: 1e-8f);
        using IDevice half = new HalfCpu(), cpu = Device.Open();
        using var wide = TrainingSession.Open(folder, cpu);
        using var plain = TrainingSession.Open(folder, half, new() { ScaleLoss = false });
        using var scaled = TrainingSession.Open(folder, half);
        Assert.IsFalse(wide.ScalesLoss, "computes in float32");
        Assert.IsTrue(scaled.ScalesLoss);
        scaled.LossScale = 65536;
        var batch = Batch();
        Assert.AreEqual(wide.Step(batch), plain.Step(batch), 1e-3f);
        scaled.Step(batch);
        double largest = Gradients(wide).Max(Math.Abs);
        Assert.IsTrue(largest is > 1e-11 and < 2.9e-8, $"{largest}");
        Assert.IsTrue(Gradients(plain).All(g => g == 0), "all of it vanishes");
        double error = Math.Sqrt(Gradients(wide).Zip(Gradients(scaled), (a, b) => Math.Pow(a - b, 2)).Sum()), norm = Math.Sqrt(Gradients(wide).Sum(g => (double)g * g));
        Assert.IsLessThan(1e-2, error / norm);
    }

    [TestMethod]
    public void Only_gradients_that_pass_through_float16_are_scaled()
    {
        using TempFolder temp = TestFiles.Temp();
        using IDevice half = new HalfCpu();
        ArtifactFolder folder = Prepare(temp, small: 1e-8f);
        using var before = TrainingSession.Open(folder, half, new() { Trained = ["first.weight"] });
        using var behind = TrainingSession.Open(folder, half, new() { Trained = ["last.weight"] });
        Assert.IsTrue(before.ScalesLoss);
        Assert.IsFalse(behind.ScalesLoss, "its gradient stays float32");
        using var wide = TrainingSession.Open(Prepare(temp, small: 1, ElementType.BFloat16), half);
        Assert.IsFalse(wide.ScalesLoss, "bfloat16 reaches as far down as float32");
    }

    [TestMethod]
    public void A_scale_that_overflows_leaves_the_step_out_and_halves()
    {
        using TempFolder temp = TestFiles.Temp();
        RunEvent[] log = Train(temp, "run", "auto", 3, small: 3); // dy of about 1 times 65536 is infinite in float16
        StepSkipped[] skipped = [.. log.OfType<StepSkipped>()];
        Assert.IsNotEmpty(skipped);
        Assert.AreEqual(65536, skipped[0].LossScale);
        for (int i = 1; i < skipped.Length; i++) Assert.AreEqual(skipped[i - 1].LossScale / 2, skipped[i].LossScale);
        StepDone[] done = [.. log.OfType<StepDone>()];
        CollectionAssert.AreEqual(new[] { 1, 2, 3 }, done.Select(s => s.Step).ToArray());
        Assert.AreEqual(skipped[^1].LossScale / 2, done[^1].LossScale);
    }

    [TestMethod]
    public void A_number_or_off_goes_before_auto()
    {
        using TempFolder temp = TestFiles.Temp();
        Assert.IsTrue(Train(temp, "number", "4096", 2, 1e-6f).OfType<StepDone>().All(s => s.LossScale == 4096));
        Assert.IsTrue(Train(temp, "off", "off", 2, 1e-6f).OfType<StepDone>().All(s => s.LossScale is null));
        Assert.IsTrue(Train(temp, "auto", "auto", 2, 1e-6f).OfType<StepDone>().All(s => s.LossScale == 65536));
    }

    [TestMethod]
    public void A_resumed_run_equals_an_unbroken_one()
    {
        using TempFolder temp = TestFiles.Temp();
        Train(temp, "unbroken", "auto", 6, small: 3);
        Train(temp, "broken", "auto", 6, small: 3, stopAfter: 2);
        using IDevice half = new HalfCpu();
        using (TrainingRun run = TrainingRun.Resume(temp["broken"], half)) Assert.IsTrue(run.Train());
        CollectionAssert.AreEqual(Events(temp["unbroken"]), Events(temp["broken"]));
        foreach (string name in new[] { "unbroken", "broken" }) RunExport.Write(temp[name], temp[$"{name}.onnx"]);
        foreach (var (name, tensor) in OnnxFile.Read(temp["unbroken.onnx"]).Initializers)
            CollectionAssert.AreEqual(tensor.AsSpan<byte>().ToArray(), OnnxFile.Read(temp["broken.onnx"]).Initializers[name].AsSpan<byte>().ToArray(), name);

        static string[] Events(string run) => [.. RunLog.Read(Path.Combine(run, RunFolder.LogName)).Where(e => e is StepDone or StepSkipped).Select(e => RunLog.ToLine(e is StepDone s ? s with { TokensPerS = 0 } : e))];
    }

    private static RunEvent[] Train(TempFolder temp, string name, string scale, int steps, float small, int stopAfter = -1)
    {
        Prepare(temp, small);
        var random = new Random(3);
        File.WriteAllLines(temp["rows.jsonl"], Enumerable.Range(0, 12).Select(_ => FormattableString.Invariant($"{{\"x\": [{string.Join(", ", Enumerable.Range(0, 8).Select(_ => $"{random.Next(-9, 9)}"))}], \"labels\": [{random.Next(3)}, {random.Next(3)}]}}")));
        var settings = new RunSettings(temp["prepared"], temp["rows.jsonl"], "none", null, new() { Batch = 4 },
            new() { Steps = steps, LearningRate = 1e-3, Warmup = 0, Selection = "random", Budget = Ort.Sparse.Budget.Density(0.5), Interval = 2, LossScale = scale });
        using IDevice half = new HalfCpu();
        using (TrainingRun run = TrainingRun.Start(temp[name], settings, half))
        {
            using var stop = new CancellationTokenSource();
            run.Trainer.Happened += e =>
            {
                if (e is StepDone && e.Step == stopAfter) stop.Cancel();
            };
            run.Train(stop.Token);
        }
        return [.. RunLog.Read(Path.Combine(temp[name], RunFolder.LogName))];
    }

    /// <summary>y = small · float32(float16(x W₁) float16(W₂)) W₃, squared error.</summary>
    private static ArtifactFolder Prepare(TempFolder temp, float small, ElementType inside = ElementType.Float16)
    {
        var graph = new Graph { Opset = 17, IrVersion = 8 };
        graph.Inputs.Add(new("x", new(ElementType.Float, new Shape("batch", 8))));
        ShapeInference.InferInputs(graph);
        Var Weight(string name, long from, long to, int seed)
        {
            graph.Initializers.Add(name, F([from, to], -0.5f, 0.5f, seed).Rename(name));
            graph.Types[name] = graph.Initializers[name].TensorType;
            return graph.Var(name);
        }
        Var h = graph.Var("x").MatMul(Weight("first.weight", 8, 6, 1)).Cast(inside).MatMul(Weight("middle.weight", 6, 5, 2).Cast(inside)).Cast(ElementType.Float);
        Var y = (h * small).MatMul(Weight("last.weight", 5, 2, 3)).Identity("y");
        graph.Outputs.Add(new("y", y.Type));
        OnnxFile.Write(graph, temp["model.onnx"]);
        return ArtifactFolder.Create(TrainingGraph.Build(OnnxFile.Read(temp["model.onnx"]), new() { Loss = "mse", Train = ["first*", "middle*", "last*"], Freeze = [] }), temp["model.onnx"], temp["prepared"]);
    }

    private static Dictionary<string, Tensor> Batch() => new() { ["x"] = F([4, 8], seed: 5).Rename("x"), ["labels"] = F([4, 2], seed: 6).Rename("labels") };

    /// <summary>Of the two weights whose gradient passes through float16.</summary>
    private static float[] Gradients(TrainingSession session) => [.. GoldenGradients(session).Where(g => g.Key != "last.weight").SelectMany(g => g.Value)];

    private static Dictionary<string, float[]> GoldenGradients(TrainingSession session) => Lift.Ort.Tests.Sessions.GoldenModelsTests.Gradients(session);
}
