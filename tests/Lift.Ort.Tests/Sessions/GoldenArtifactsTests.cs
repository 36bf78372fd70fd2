using System.Text.Json;
using Lift.Ort.Artifacts;
using Lift.Ort.Devices;
using Lift.Ort.Onnx;
using Lift.Ort.Sessions;

namespace Lift.Ort.Tests.Sessions;

/// <summary>Runs artifacts that ONNX Runtime's own training build accepted, and gets its losses and weights.</summary>
[TestClass]
public sealed class GoldenArtifactsTests
{
    private const string Golden = "golden/ort-artifacts/minimal-mlp";

    [TestMethod]
    [DataRow("", "")]
    [DataRow("masked", "")]
    [DataRow("", "dual/training_model.onnx")]
    public void Losses_and_final_weights_are_the_recorded_ones(string folder, string trainingModel)
    {
        using TempFolder temp = TestFiles.Temp();
        ArtifactFolder artifacts = Open(folder, trainingModel, temp);
        using var session = TrainingSession.Open(artifacts, Device.Open());
        var adam = new PlainAdamW(session, learningRate: 0.001);
        JsonElement expected = Expected(folder);
        var batch = Inputs(folder);
        foreach (JsonElement loss in expected.GetProperty("train_losses").EnumerateArray())
        {
            Assert.AreEqual(loss.GetDouble(), session.Step(batch), 3e-6);
            adam.Step();
        }
        foreach (SessionWeight weight in session.Weights)
        {
            float[] final = [.. expected.GetProperty("final_parameters").GetProperty(weight.Name).EnumerateArray().Select(v => v.GetSingle())];
            foreach (var (e, a) in final.Zip(weight.Value.ToFloats())) Assert.AreEqual(e, a, 3e-6f, weight.Name);
        }
        using var evaluation = EvaluationSession.Open(artifacts, Device.Open(), session.Weights);
        Assert.AreEqual(expected.GetProperty("eval_after").GetDouble(), evaluation.Run(batch).Loss, 3e-6);
        using var before = EvaluationSession.Open(artifacts, Device.Open());
        Assert.AreEqual(expected.GetProperty("eval_before").GetDouble(), before.MeanLoss([(batch, 2), (batch, 1)]), 3e-6);
    }

    [TestMethod]
    public void Training_goes_on_from_a_genuine_checkpoint_with_its_moments()
    {
        using TempFolder temp = TestFiles.Temp();
        File.Copy(TestFiles.Shared($"{Golden}/training_model.onnx"), temp["training_model.onnx"]);
        File.Copy(TestFiles.Shared($"{Golden}/checkpoint_after_3_steps"), temp["checkpoint"]);
        ArtifactFolder folder = ArtifactFolder.Open(temp.Path);
        using var session = TrainingSession.Open(folder, Device.Open());
        OptimizerGroup group = folder.Checkpoint.Groups.Single();
        var adam = new PlainAdamW(session, group.InitialLearningRate).From(group.States.Select(s => (s.Parameter, s.Moments[0], s.Moments[1])), group.Step);
        foreach (JsonElement loss in Expected("").GetProperty("train_losses").EnumerateArray().Skip(3))
        {
            Assert.AreEqual(loss.GetDouble(), session.Step(Inputs("")), 3e-6);
            adam.Step();
        }
    }

    internal static ArtifactFolder Open(string folder, string trainingModel, TempFolder temp)
    {
        string golden = TestFiles.Shared(Path.Combine(Golden, folder));
        if (trainingModel.Length == 0) return ArtifactFolder.Open(golden);
        foreach (string file in (string[])["checkpoint", "eval_model.onnx"]) File.Copy(Path.Combine(golden, file), temp[file], true);
        File.Copy(Path.Combine(golden, trainingModel), temp["training_model.onnx"], true);
        return ArtifactFolder.Open(temp.Path);
    }

    internal static JsonElement Expected(string folder) =>
        JsonDocument.Parse(File.ReadAllText(TestFiles.Shared(Path.Combine(Golden, folder, "expected.json")))).RootElement;

    internal static Dictionary<string, Tensor> Inputs(string folder = "")
    {
        JsonElement inputs = JsonDocument.Parse(File.ReadAllText(TestFiles.Shared(Path.Combine(Golden, folder, "inputs.json")))).RootElement.GetProperty("train");
        return inputs.EnumerateObject().ToDictionary(p => p.Name, p =>
        {
            long[] dims = [.. p.Value.GetProperty("dims").EnumerateArray().Select(d => d.GetInt64())];
            var data = p.Value.GetProperty("data").EnumerateArray();
            return p.Value.GetProperty("type").GetString() == "int64"
                ? Tensor.From<long>(p.Name, [.. data.Select(v => v.GetInt64())], dims)
                : Tensor.From<float>(p.Name, [.. data.Select(v => v.GetSingle())], dims);
        });
    }
}
