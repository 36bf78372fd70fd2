using System.Diagnostics;
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
        JsonElement theirs = Train(folder, batches, temp["batches.json"]);
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
        JsonElement theirs = Train(saved, batches[2..], temp["batches.json"]);
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
        JsonElement theirs = Train(folder, batches, temp["batches.json"]);
        using var session = TrainingSession.Open(folder, Device.Open());
        var adam = new PlainAdamW(session, LearningRate);
        foreach (var (batch, loss) in batches.Zip(theirs.GetProperty("losses").EnumerateArray()))
        {
            Near(session.Step(batch), loss.GetDouble());
            adam.Step();
        }
    }

    private static void Near(double expected, double actual) => Assert.AreEqual(expected, actual, 1e-4 * Math.Abs(expected));

    /// <summary>Runs train.mjs and answers its JSON.</summary>
    internal static JsonElement Train(ArtifactFolder folder, IEnumerable<IReadOnlyDictionary<string, Tensor>> batches, string file)
    {
        if (!Directory.Exists(Path.Combine(TestFiles.Root, "node_modules/onnxruntime-web"))) Assert.Inconclusive("onnxruntime-web is absent: npm ci --ignore-scripts");
        File.WriteAllText(file, JsonSerializer.Serialize(batches.Select(b => b.ToDictionary(p => p.Key, p => new
        {
            dtype = p.Value.Type == ElementType.Int64 ? "int64" : "float32",
            shape = p.Value.Dims,
            data = p.Value.Type == ElementType.Int64 ? p.Value.ToLongs().Select(v => (double)v) : p.Value.ToFloats().Select(v => (double)v),
        }))));
        var start = new ProcessStartInfo("node", [Path.Combine(TestFiles.Root, "tests/Lift.Ort.Tests/Artifacts/train.mjs"), folder.Directory, file])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using Process node = Process.Start(start)!;
        Task<string> errors = node.StandardError.ReadToEndAsync();
        string output = node.StandardOutput.ReadToEnd();
        node.WaitForExit();
        Assert.AreEqual(0, node.ExitCode, errors.Result);
        return JsonDocument.Parse(output).RootElement;
    }
}
