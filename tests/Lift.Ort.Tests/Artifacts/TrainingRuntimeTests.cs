using System.Text.Json;
using Lift.Ort.Artifacts;
using Lift.Ort.Devices;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;
using Lift.Ort.Sessions;
using Lift.Ort.Tests.Sessions;

namespace Lift.Ort.Tests.Artifacts;

/// <summary>What we write, run by ONNX Runtime's own training runtime (1.19.2, WebAssembly in Node) with its own AdamW.</summary>
[TestClass]
public sealed class TrainingRuntimeTests
{
    private const double LearningRate = 0.001; // what a new session of the training runtime starts with

    public static IEnumerable<object[]> Models => new[] { "mlp", "llama-tiny", "gpt2-tiny", "bert-tiny", "mobilenetv2-tiny", "mobilenetv2-bn-tiny", "densenet-bn-tiny", "stories260k" }.Select(m => new object[] { m });

    [TestMethod]
    [DynamicData(nameof(Models))]
    public void Its_losses_over_three_steps_equal_ours(string name)
    {
        var golden = new GoldenModel(name);
        using TempFolder temp = TestFiles.Temp();
        ArtifactFolder folder = golden.Prepare(temp["artifacts"]);
        Dictionary<string, Tensor>[] batches = [golden.Batch(0), golden.Batch(1), golden.Batch(0)];
        JsonElement theirs = TrainingRuntime.Train(folder, batches);
        CollectionAssert.AreEqual(folder.Record.Inputs.ToArray(), theirs.GetProperty("inputs").EnumerateArray().Select(i => i.GetString()).ToArray());
        CollectionAssert.AreEqual((string[])["loss", "logits"], theirs.GetProperty("outputs").EnumerateArray().Select(i => i.GetString()).ToArray());

        using var session = TrainingSession.Open(folder, Device.Open());
        var adam = new PlainAdamW(session, LearningRate);
        Near(golden.LossOf(0), theirs.GetProperty("before").GetDouble());
        foreach (var (batch, loss) in batches.Zip(theirs.GetProperty("losses").EnumerateArray()))
        {
            Near(session.Step(batch), loss.GetDouble());
            adam.Step();
        }
        Near(session.Step(batches[0]), theirs.GetProperty("after").GetDouble());
        Assert.IsLessThan(golden.LossOf(0), theirs.GetProperty("after").GetDouble(), "three steps lower the loss");
        Assert.AreEqual(session.Weights.Sum(w => w.Count), theirs.GetProperty("parameters").GetArrayLength());
    }

    [TestMethod]
    public void A_saved_state_goes_on_there_with_its_moments_and_another_rate()
    {
        var golden = new GoldenModel("mlp");
        using TempFolder temp = TestFiles.Temp();
        ArtifactFolder folder = golden.Prepare(temp["artifacts"], new() { Optimizer = new() { LearningRate = 0.01f } });
        Dictionary<string, Tensor>[] batches = [golden.Batch(0), golden.Batch(1), golden.Batch(0), golden.Batch(1)];
        using var session = TrainingSession.Open(folder, Device.Open());
        var adam = new PlainAdamW(session, 0.01);
        foreach (var batch in batches[..2])
        {
            session.Step(batch);
            adam.Step();
        }
        ArtifactFolder saved = folder.Save(session.Weights.Select(w => w.Value), temp["saved ü"], adam.State());
        JsonElement theirs = TrainingRuntime.Train(saved, batches[2..]);
        foreach (var (batch, loss) in batches[2..].Zip(theirs.GetProperty("losses").EnumerateArray()))
        {
            Near(session.Step(batch), loss.GetDouble());
            adam.Step();
        }
        Near(session.Step(batches[2]), theirs.GetProperty("after").GetDouble());
    }

    /// <summary>Operators that ONNX Runtime has for training only: convolution's gradient, statistics of the batch, recurrent layers.</summary>
    [TestMethod]
    [DataRow("batch-norm")]
    [DataRow("lstm")]
    [DataRow("gru")]
    [DataRow("gru-linear")]
    public void It_runs_batch_statistics_and_recurrent_layers_as_we_do(string name)
    {
        using TempFolder temp = TestFiles.Temp();
        OnnxFile.Write(SmallModels.Make(name), temp["model.onnx"]);
        TrainingGraph graph = TrainingGraph.Build(OnnxFile.Read(temp["model.onnx"]), new() { Loss = "cross-entropy", Train = ["*"] });
        ArtifactFolder folder = ArtifactFolder.Create(graph, temp["model.onnx"], temp["artifacts"]);
        Dictionary<string, Tensor>[] batches = [SmallModels.Batch(name, 1), SmallModels.Batch(name, 2), SmallModels.Batch(name, 1)];
        JsonElement theirs = TrainingRuntime.Train(folder, batches);
        using var session = TrainingSession.Open(folder, Device.Open());
        var adam = new PlainAdamW(session, LearningRate);
        foreach (var (batch, loss) in batches.Zip(theirs.GetProperty("losses").EnumerateArray()))
        {
            Near(session.Step(batch), loss.GetDouble());
            adam.Step();
        }
    }

    private static void Near(double expected, double actual) => Assert.AreEqual(expected, actual, 1e-4 * Math.Abs(expected));
}
