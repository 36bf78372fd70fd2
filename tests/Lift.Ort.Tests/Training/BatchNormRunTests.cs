using System.Text.Json.Nodes;
using Lift.Ort.Artifacts;
using Lift.Ort.Data;
using Lift.Ort.Devices;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;
using Lift.Ort.Sparse;
using Lift.Ort.Tests.Cli;
using Lift.Ort.Tests.Devices;
using Lift.Ort.Training;

namespace Lift.Ort.Tests.Training;

/// <summary>Running statistics of batch normalisation in a run: as PyTorch renews them (numbers of tools/reference/batchnorm), saved, resumed, exported, patched.</summary>
[TestClass]
public sealed class BatchNormRunTests
{
    private static string Stored(string file) => Path.Combine(TestFiles.Root, "tests", "Lift.Ort.Tests", "Training", "batchnorm", file);

    private static TrainingOptions Options(int accumulate) => new()
    {
        Steps = 3,
        LearningRate = 0.02,
        Schedule = ScheduleKind.Constant,
        Warmup = 0,
        Accumulate = accumulate,
        Selection = "full",
        Optimizer = new AdamWOptions { Form = AdamWForm.Torch, WeightDecay = 0, ClipNorm = 0 },
    };

    private static RunSettings Prepare(TempFolder temp, TrainingOptions options, string? model = null, BatchNormForm form = BatchNormForm.File)
    {
        model ??= Stored("model.onnx");
        ArtifactFolder.Create(TrainingGraph.Build(OnnxFile.Read(model), new() { Loss = "cross-entropy", Train = ["*"], BatchNorm = form }), model, temp["prepared"]);
        return new RunSettings(temp["prepared"], Stored("rows.jsonl"), "none", null, new DataOptions { Batch = 4, Shuffle = false }, options);
    }

    private static string Train(TempFolder temp, string name, RunSettings settings, int stopAfter = 0, IDevice? on = null)
    {
        using var stop = new CancellationTokenSource();
        using TrainingRun run = TrainingRun.Start(temp[name], settings, on ?? TinyRun.Device);
        run.Trainer.Happened += what =>
        {
            if (what is StepDone { Step: var step } && step == stopAfter) stop.Cancel();
        };
        run.Train(stop.Token);
        return run.Folder.FullPath;
    }

    private static Dictionary<string, float[]> Weights(TempFolder temp, string run)
    {
        RunExport.Write(run, temp["exported.onnx"]);
        return OnnxFile.Read(temp["exported.onnx"]).Initializers.Values.Where(t => t.Type.IsFloat()).ToDictionary(t => t.Name, t => t.ToFloats());
    }

    [TestMethod]
    [DataRow(0)]
    [DataRow(1)]
    public void Losses_and_running_statistics_are_PyTorchs(int index)
    {
        JsonNode recorded = JsonNode.Parse(File.ReadAllText(Stored("steps.json")))![index]!;
        int accumulate = (int)recorded["accumulate"]!;
        for (int steps = 1; steps <= 3; steps += 2)
        {
            using TempFolder temp = TestFiles.Temp();
            string run = Train(temp, "run", Prepare(temp, Options(accumulate)), stopAfter: steps);
            JsonArray log = recorded["steps"]!.AsArray();
            StepDone[] done = [.. RunLog.Read(Path.Combine(run, RunFolder.LogName)).OfType<StepDone>()];
            for (int i = 0; i < steps; i++) Assert.AreEqual((double)log[i]!["loss"]!, done[i].Loss, 2e-5, $"loss of step {i + 1}");

            Dictionary<string, float[]> weights = Weights(temp, run);
            foreach (var (name, values) in log[steps - 1]!["statistics"]!.AsObject())
            {
                foreach (var (wanted, value) in values!.AsArray().Zip(weights[name])) Assert.AreEqual((double)wanted!, value, 1e-5 * Math.Max(1, Math.Abs((double)wanted!)), $"{name} after step {steps}");
            }
            if (steps < 3) continue;
            double loss = (double)LiftRun.Here("evaluate", temp["exported.onnx"], "--data", Stored("rows.jsonl"), "--run", run).Good().Json["loss"]!;
            Assert.AreEqual((double)recorded["evaluated"]!, loss, 1e-4, "the exported model, with its running statistics");
        }
    }

    [TestMethod, AllDevices]
    public void Every_device_renews_them_alike(string name)
    {
        using TempFolder temp = TestFiles.Temp();
        using IDevice device = TestDevice.Open(name);
        string run = Train(temp, "run", Prepare(temp, Options(2)), on: device);
        Dictionary<string, float[]> weights = Weights(temp, run);
        foreach (var (statistic, values) in JsonNode.Parse(File.ReadAllText(Stored("steps.json")))![1]!["steps"]![2]!["statistics"]!.AsObject())
            foreach (var (wanted, value) in values!.AsArray().Zip(weights[statistic])) Assert.AreEqual((double)wanted!, value, 1e-3, statistic);
    }

    [TestMethod]
    [DataRow("full", "cpu")]
    [DataRow("gradient-magnitude", "cpu")]
    [DataRow("full", "simulated")]
    [DataRow("full", "cuda:0")]
    public void A_run_that_was_stopped_goes_on_with_the_same_bits(string selection, string on)
    {
        using TempFolder temp = TestFiles.Temp();
        using IDevice device = TestDevice.Open(on);
        RunSettings settings = Prepare(temp, Options(2) with { Selection = selection, Budget = Budget.Density(0.5), Interval = 2 });
        Dictionary<string, float[]> whole = Weights(temp, Train(temp, "whole", settings, on: device));
        string stopped = Train(temp, "stopped", settings, stopAfter: 1, on: device);
        using (TrainingRun run = TrainingRun.Resume(stopped, device)) Assert.IsTrue(run.Train());
        Dictionary<string, float[]> resumed = Weights(temp, stopped);
        foreach (var (name, values) in whole) CollectionAssert.AreEqual(values, resumed[name], name);
    }

    [TestMethod]
    public void The_patch_gives_the_exported_model()
    {
        using TempFolder temp = TestFiles.Temp();
        string run = Train(temp, "run", Prepare(temp, Options(1)));
        RunExport.Write(run, temp["exported.onnx"], temp["patch.safetensors"]);
        SparsePatch patch = SparsePatch.Load(temp["patch.safetensors"]);
        Assert.AreEqual(3, patch.Entries.Single(e => e.Weight == "bn.running_var").Positions.Count);
        Graph patched = OnnxFile.Read(Stored("model.onnx"));
        patch.ApplyTo(patched);
        foreach (var (name, tensor) in OnnxFile.Read(temp["exported.onnx"]).Initializers) Assert.IsTrue(tensor.AsSpan<byte>().SequenceEqual(patched.Initializers[name].AsSpan<byte>()), name);
        Assert.AreEqual(1, OnnxFile.Read(temp["exported.onnx"]).Nodes.First(n => n.OpType == "BatchNormalization").Int("training_mode"), "the file keeps its form");
    }

    [TestMethod]
    public void The_inference_form_can_be_exported()
    {
        using TempFolder temp = TestFiles.Temp();
        string run = Train(temp, "run", Prepare(temp, Options(1)));
        LiftRun.Here("export", run, "-o", temp["inference.onnx"], "--inference").Good();
        Graph graph = OnnxFile.Read(temp["inference.onnx"]);
        Assert.IsTrue(graph.Nodes.Where(n => n.OpType == "BatchNormalization").All(n => !n.Has("training_mode") && n.Outputs.Count == 1 && n.Has("momentum")));
        double loss = (double)LiftRun.Here("evaluate", temp["inference.onnx"], "--data", Stored("rows.jsonl"), "--batch", "1").Good().Json["loss"]!;
        Assert.AreEqual((double)JsonNode.Parse(File.ReadAllText(Stored("steps.json")))![0]!["evaluated"]!, loss, 1e-4, "in a plain session, row by row");
    }

    [TestMethod]
    public void Validation_and_the_folder_have_the_statistics_of_the_moment()
    {
        using TempFolder temp = TestFiles.Temp();
        RunSettings settings = Prepare(temp, Options(1)) with { Validation = Stored("rows.jsonl") };
        string run = Train(temp, "run", settings);
        Validated last = RunLog.Read(Path.Combine(run, RunFolder.LogName)).OfType<Validated>().Last();
        double recorded = (double)JsonNode.Parse(File.ReadAllText(Stored("steps.json")))![0]!["evaluated"]!;
        Assert.AreEqual(recorded, last.ValidationLoss, 1e-4);
        JsonNode[] weights = [.. LiftRun.Here("inspect", Stored("model.onnx"), "--json").Good().Json["weights"]!.AsArray().Where(w => (bool)w!["renewed"]!).OfType<JsonNode>()];
        Assert.HasCount(4, weights);
        CollectionAssert.AreEqual(new[] { "bn.running_mean", "bn.running_var", "twice.running_mean", "twice.running_var" }, ArtifactFolder.Open(temp["prepared"]).Record.Statistics!.Select(s => s.Name).Order().ToArray());
    }

    [TestMethod]
    public void The_inference_form_keeps_its_statistics_until_asked()
    {
        using TempFolder temp = TestFiles.Temp();
        Graph graph = OnnxFile.Read(Stored("model.onnx"));
        foreach (Node node in graph.Nodes.Where(n => n.OpType == "BatchNormalization"))
        {
            node.Attributes.Remove("training_mode");
            node.Outputs.RemoveRange(1, node.Outputs.Count - 1);
        }
        OnnxFile.Write(graph, temp["inference.onnx"]);
        Dictionary<string, float[]> before = OnnxFile.Read(temp["inference.onnx"]).Initializers.Values.Where(t => t.Type.IsFloat()).ToDictionary(t => t.Name, t => t.ToFloats());

        Dictionary<string, float[]> frozen = Weights(temp, Train(temp, "frozen", Prepare(temp, Options(1), temp["inference.onnx"])));
        Dictionary<string, float[]> same = Weights(temp, Train(temp, "same", Prepare(temp, Options(1), Stored("model.onnx"), BatchNormForm.Frozen)));
        foreach (string name in before.Keys) CollectionAssert.AreEqual(frozen[name], same[name], name);
        CollectionAssert.AreEqual(before["bn.running_mean"], frozen["bn.running_mean"]);

        Dictionary<string, float[]> asFile = Weights(temp, Train(temp, "file", Prepare(temp, Options(1))));
        Dictionary<string, float[]> asked = Weights(temp, Train(temp, "asked", Prepare(temp, Options(1), temp["inference.onnx"], BatchNormForm.Batch)));
        foreach (string name in before.Keys) CollectionAssert.AreEqual(asFile[name], asked[name], name);
        Assert.AreNotEqual(before["bn.running_mean"][0], asked["bn.running_mean"][0]);
    }

    [TestMethod]
    public void Sixteen_bit_statistics_are_renewed()
    {
        using TempFolder temp = TestFiles.Temp();
        Dictionary<string, float[]> weights = Weights(temp, Train(temp, "run", Prepare(temp, Options(1), Stored("half.onnx"))));
        foreach (var (name, values) in JsonNode.Parse(File.ReadAllText(Stored("steps.json")))![0]!["steps"]![2]!["statistics"]!.AsObject())
            foreach (var (wanted, value) in values!.AsArray().Zip(weights[name])) Assert.AreEqual((double)wanted!, value, 5e-3, name);
        Assert.AreEqual(ElementType.Float16, OnnxFile.Read(temp["exported.onnx"]).Initializers["bn.running_var"].Type);
    }

    [TestMethod]
    public void A_model_without_the_layer_is_told_so()
    {
        string refused = LiftRun.Here("prepare", TestFiles.Shared("models/mlp/model.onnx"), "-o", Path.Combine(Path.GetTempPath(), "lift-none"), "--loss", "mse", "--batch-norm", "batch").Refused();
        StringAssert.Contains(refused, "it has none");
    }
}
