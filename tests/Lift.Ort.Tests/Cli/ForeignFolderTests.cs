using System.Globalization;
using System.Text.Json.Nodes;
using Google.Protobuf;
using Lift.Ort.Artifacts;
using Lift.Ort.Devices;
using Lift.Ort.Onnx;
using Lift.Ort.Sessions;
using Lift.Ort.Sparse;
using Lift.Ort.Tests.Artifacts;
using Lift.Ort.Training;

namespace Lift.Ort.Tests.Cli;

/// <summary>Folders of onnxruntime.training.artifacts.generate_artifacts through the real command: its losses, its optimizers, and what the command line says instead.</summary>
[TestClass]
public sealed class ForeignFolderTests
{
    public static IEnumerable<object[]> Folders =>
        from loss in new[] { "MSELoss", "L1Loss", "BCEWithLogitsLoss", "CrossEntropyLoss", "custom" } from optimizer in new[] { "AdamW", "SGD" } select new object[] { loss, optimizer };

    [TestMethod, DynamicData(nameof(Folders))]
    public void A_run_takes_the_folders_own_optimizer(string loss, string optimizer)
    {
        using TempFolder temp = TestFiles.Temp();
        ForeignModel model = ForeignModel.WithLoss(loss);
        model.Write(temp["artifacts"], optimizer == "SGD" ? Clipped(ForeignOptimizers.Sgd(), 0.05f) : ForeignOptimizers.AdamW(weightDecay: 0.02f));
        LiftRun run = Train(temp, model, "--selection", "full", "--lr", "0.01", "--schedule", "constant", "--warmup", "0", "--steps", "4").Good();
        StringAssert.Contains((string)run.Json["optimizer"]!, optimizer == "SGD" ? "gradient descent (weight decay 0), clip 0.05, lr 0.01" : "AdamW (form hf, beta1 0.9, beta2 0.999, epsilon 1E-06, weight decay 0.02), lr 0.01");

        ArtifactFolder folder = ArtifactFolder.Open(temp["artifacts"]);
        using IDevice device = Device.Open();
        using var session = TrainingSession.Open(folder, device);
        using var own = new FolderOptimizer(folder, session, device);
        foreach (StepDone step in RunLog.Read(Path.Combine(temp["run"], RunFolder.LogName)).OfType<StepDone>())
        {
            Assert.AreEqual(session.Step(model.Batch), step.Loss, 1e-6f, $"step {step.Step}");
            own.Step(0.01);
        }
    }

    [TestMethod]
    public void The_command_line_goes_before_the_folder_and_the_run_says_so()
    {
        using TempFolder temp = TestFiles.Temp();
        ForeignModel model = ForeignModel.WithLoss("MSELoss");
        model.Write(temp["artifacts"], ForeignOptimizers.AdamW(rate: 0.003f));
        LiftRun run = Train(temp, model, "--steps", "1", "--selection", "random", "--density", "0.5").Good();
        StringAssert.Contains((string)run.Json["optimizer"]!, "weight decay 0), lr 0.003 constant");
        run = Train(temp, model, "--steps", "1", "--selection", "random", "--density", "0.5", "--beta2", "0.97", "--lr", "0.1", "--force").Good();
        StringAssert.Contains(run.Error, "Optimizer of the folder: AdamW (form hf, beta1 0.9, beta2 0.97, epsilon 1E-06, weight decay 0), lr 0.1 constant; from the command line: --beta2, --lr.");
        StringAssert.Contains((string)Train(temp, model, "--steps", "1", "--form", "sgd", "--force").Good().Json["optimizer"]!, "gradient descent");
    }

    [TestMethod]
    public void An_unknown_optimizer_asks_for_one_on_the_command_line()
    {
        using TempFolder temp = TestFiles.Temp();
        ForeignModel model = ForeignModel.WithLoss("MSELoss");
        ModelProto optimizer = ForeignOptimizers.AdamW();
        optimizer.Graph.Node[0].OpType = "LambOptimizer";
        model.Write(temp["artifacts"], optimizer);
        StringAssert.Contains(Train(temp, model, "--steps", "1").Refused(), "choose with lift train --form");
        Train(temp, model, "--steps", "1", "--form", "torch").Good();
    }

    [TestMethod]
    public void A_run_is_validated_resumed_and_exported_onto_the_model_it_came_from()
    {
        using TempFolder temp = TestFiles.Temp();
        ForeignModel model = ForeignModel.WithLoss("CrossEntropyLoss");
        model.Write(temp["artifacts"]);
        Graph inference = model.Forward.Clone();
        inference.Nodes.RemoveAt(inference.Nodes.Count - 1);
        inference.Outputs.RemoveAt(0);
        inference.Inputs.RemoveAll(i => i.Name == "labels");
        OnnxFile.Write(inference, temp["model.onnx"]);
        LiftRun run = Train(temp, model, "--steps", "3", "--selection", "full", "--validation", temp["rows.jsonl"]).Good();
        Assert.IsTrue((double)run.Json["validation_loss"]! > 0);
        LiftRun.Here("export", temp["run"], "-o", temp["out.onnx"], "--base", temp["model.onnx"]).Good();
        Assert.IsTrue(OnnxFile.Read(temp["out.onnx"]).Initializers.Any(i => !i.Value.AsSpan<byte>().SequenceEqual(inference.Initializers[i.Key].AsSpan<byte>())));
        StringAssert.Contains(LiftRun.Here("export", temp["run"], "-o", temp["out2.onnx"]).Refused(), "--base");
        model.Batch["labels"] = Tensor.From<long>("labels", [0, 1, 7, 2, 0, 1], 6);
        StringAssert.Contains(Train(temp, model, "--steps", "1", "--force", "--quiet").Refused(), "classes 0 to 2");
    }

    [TestMethod]
    public void The_golden_folder_of_the_real_runtime_trains_to_its_losses()
    {
        using TempFolder temp = TestFiles.Temp();
        string golden = TestFiles.Shared("golden/ort-artifacts/minimal-mlp");
        JsonNode inputs = JsonNode.Parse(File.ReadAllText(Path.Combine(golden, "inputs.json")))!["train"]!;
        float[] x = [.. inputs["x"]!["data"]!.AsArray().Select(v => (float)v!)];
        File.WriteAllLines(temp["rows.jsonl"], Enumerable.Range(0, 6).Select(r => FormattableString.Invariant($"{{\"x\": [{string.Join(", ", x[(r * 4)..((r * 4) + 4)].Select(v => v.ToString("R", CultureInfo.InvariantCulture)))}], \"labels\": {(int)inputs["labels"]!["data"]![r]!}}}")));
        LiftRun.Here("train", golden, "--data", temp["rows.jsonl"], "-o", temp["run"], "--batch", "6", "--no-shuffle", "--steps", "8", "--lr", "0.001", "--schedule", "constant", "--warmup", "0", "--selection", "full").Good();
        double[] expected = [.. JsonNode.Parse(File.ReadAllText(Path.Combine(golden, "expected.json")))!["train_losses"]!.AsArray().Select(v => (double)v!)];
        float[] losses = [.. RunLog.Read(Path.Combine(temp["run"], RunFolder.LogName)).OfType<StepDone>().Select(s => s.Loss)];
        Assert.HasCount(expected.Length, losses);
        for (int i = 0; i < losses.Length; i++) Assert.AreEqual(expected[i], losses[i], 1e-5, $"step {i + 1}");
    }

    [TestMethod]
    public void A_loss_of_many_numbers_and_a_checkpoint_without_values_are_explained()
    {
        using TempFolder temp = TestFiles.Temp();
        ForeignModel model = ForeignModel.WithLoss("MSELoss");
        model.Write(temp["artifacts"]);
        string training = Path.Combine(temp["artifacts"], ArtifactNames.TrainingModel);
        ModelProto many = ModelProto.Parser.ParseFrom(File.ReadAllBytes(training));
        many.Graph.Output[0].Type.TensorType.Shape.Dim[0].DimValue = 6;
        File.WriteAllBytes(training, many.ToByteArray());
        StringAssert.Contains(Train(temp, model, "--steps", "1").Refused(), "reduction mean or sum");

        model.Write(temp["artifacts"]);
        File.Move(Path.Combine(temp["artifacts"], "checkpoint"), Path.Combine(temp["artifacts"], "nominal_checkpoint"));
        StringAssert.Contains(Train(temp, model, "--steps", "1").Refused(), "only a nominal checkpoint");
    }

    /// <summary>The model's batch as rows of a file, in their order and whole in each step.</summary>
    private static LiftRun Train(TempFolder temp, ForeignModel model, params string[] options)
    {
        int rows = (int)model.Batch["x"].Dims[0];
        File.WriteAllLines(temp["rows.jsonl"], Enumerable.Range(0, rows).Select(r => $"{{{string.Join(", ", model.Batch.Values.Select(t => $"\"{t.Name}\": {Row(t, r)}"))}}}"));
        return LiftRun.Here(["train", temp["artifacts"], "--data", temp["rows.jsonl"], "-o", temp["run"], "--batch", $"{rows}", "--no-shuffle", "--filter-rank", "1", "--json", .. options]);
    }

    private static string Row(Tensor t, int row)
    {
        int width = (int)(t.Count / t.Dims[0]);
        string[] numbers = [.. (t.Type == ElementType.Int64 ? t.ToLongs().Select(v => $"{v}") : t.ToFloats().Select(v => v.ToString("R", CultureInfo.InvariantCulture))).Skip(row * width).Take(width)];
        return t.Dims.Length == 1 ? numbers[0] : $"[{string.Join(", ", numbers)}]";
    }

    private static ModelProto Clipped(ModelProto model, float maxNorm)
    {
        ForeignOptimizers.Clip(model, maxNorm);
        return model;
    }
}
