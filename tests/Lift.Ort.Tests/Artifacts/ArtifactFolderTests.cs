using Lift.Ort.Artifacts;
using Lift.Ort.Devices;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;
using Lift.Ort.Sessions;
using Lift.Ort.Tests.Sessions;

namespace Lift.Ort.Tests.Artifacts;

[TestClass]
public sealed class ArtifactFolderTests
{
    private readonly GoldenModel mlp = new("mlp");

    [TestMethod]
    public void The_training_model_has_the_inputs_and_outputs_of_the_format_in_order()
    {
        using TempFolder temp = TestFiles.Temp();
        ArtifactFolder folder = mlp.Prepare(temp["a"], null, "fc1.*", "fc3.*");
        string[] trained = ["fc1.weight", "fc1.bias", "fc3.weight", "fc3.bias"];
        GraphProto graph = folder.TrainingModel.Graph;
        CollectionAssert.AreEqual((string[])["x", "labels", .. trained, "fc2.weight", "fc2.bias", .. trained.Select(ArtifactNames.Buffer), "lazy_reset_grad"],
            graph.Input.Select(i => i.Name).ToArray(), string.Join(" ", graph.Input.Select(i => i.Name)));
        CollectionAssert.AreEqual((string[])["loss", "logits", .. trained.Select(ArtifactNames.Updated), .. trained.Select(ArtifactNames.Gradient)],
            graph.Output.Select(o => o.Name).ToArray());
        CollectionAssert.AreEqual(trained, graph.Node.Where(n => n.OpType == "InPlaceAccumulatorV2").Select(n => n.Input[1].Replace("_grad", "")).ToArray());
        CollectionAssert.AreEqual((string[])["x", "labels", .. trained, "fc2.weight", "fc2.bias"], folder.EvalModel!.Graph.Input.Select(i => i.Name).ToArray());
        CollectionAssert.AreEqual((string[])["loss", "logits"], folder.EvalModel.Graph.Output.Select(o => o.Name).ToArray());
        CollectionAssert.AreEqual(trained, folder.Checkpoint.Trainable.Select(t => t.Name).ToArray());
        Assert.IsTrue(folder.EvalModel.Graph.Node.All(n => n.Domain.Length == 0), "the eval model runs everywhere");
        foreach (ModelProto model in (ModelProto[])[folder.TrainingModel, folder.EvalModel])
        {
            Assert.IsTrue(model.IrVersion is >= 8 and <= 10);
            Assert.IsTrue(model.OpsetImport.First(o => o.Domain.Length == 0).Version is >= 17 and <= 21);
        }
        CollectionAssert.AreEquivalent(graph.Node.Where(n => n.Domain == "com.microsoft").Select(n => n.OpType).Distinct().ToArray(),
            folder.TrainingModel.Functions.Select(f => f.Name).ToArray(), "a fallback function for every training operator");
    }

    [TestMethod]
    public void The_record_says_where_the_folder_comes_from()
    {
        using TempFolder temp = TestFiles.Temp();
        ArtifactRecord record = mlp.Prepare(temp["ordner ü"], null, "fc2.*").Record;
        Assert.AreEqual(Path.GetFullPath(mlp.ModelPath), record.Source);
        Assert.AreEqual(Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(File.ReadAllBytes(mlp.ModelPath))), record.SourceSha256);
        Assert.AreEqual("cross-entropy", record.Loss);
        Assert.AreEqual("logits", record.Scored);
        Assert.AreEqual(5L, record.Classes);
        CollectionAssert.AreEqual((string[])["x", "labels"], record.Inputs.ToArray());
        Assert.AreEqual("fc2.weight fc2 64x64 Float, fc2.bias fc2 64 Float", string.Join(", ", record.Weights.Select(w => $"{w.Name} {w.Layer} {string.Join('x', w.Dims)} {w.Type}")));
        Assert.AreEqual(ParameterStorage.Checkpoint, record.Storage);
    }

    /// <summary>Wherever the values lie, the step is the same.</summary>
    [TestMethod]
    [DataRow(ParameterStorage.Checkpoint)]
    [DataRow(ParameterStorage.Data)]
    [DataRow(ParameterStorage.Source)]
    public void Every_storage_gives_the_same_step(ParameterStorage storage)
    {
        using TempFolder temp = TestFiles.Temp();
        ArtifactFolder folder = mlp.Prepare(temp["a"], new() { Storage = storage });
        Assert.AreEqual(storage == ParameterStorage.Data, File.Exists(temp["a/checkpoint.data"]));
        Assert.AreEqual(storage == ParameterStorage.Source, folder.Checkpoint.IsNominal);
        using var session = TrainingSession.Open(folder, Device.Open());
        Assert.AreEqual(mlp.LossOf(0), session.Step(mlp.Batch(0)), 1e-5);
        Assert.IsLessThan(1e-4, mlp.Errors(0, GoldenModelsTests.Gradients(session)).Values.Max());

        session.Weights[0].Value.AsSpan<float>()[0] = 42;
        var state = new OptimizerGroup("group0", 7, 0.5f, [.. session.Weights.Select(w => new ParameterMoments(w.Name,
            [w.ToTensor().Rename("momentum0"), w.ToTensor().Rename("momentum1")]))]);
        ArtifactFolder saved = folder.Save(session.Weights.Select(w => w.Value), temp["saved"], state, new Dictionary<string, object> { ["epoch"] = 3L });
        Assert.AreEqual(42, saved.Parameters[session.Weights[0].Name].ToFloats()[0]);
        Assert.AreNotEqual(42, folder.Parameters[session.Weights[0].Name].ToFloats()[0], "the first folder keeps its values");
        Assert.AreEqual(7L, saved.Checkpoint.Groups.Single().Step);
        Assert.AreEqual(3L, saved.Checkpoint.Properties["epoch"]);
        using var evaluation = EvaluationSession.Open(saved, Device.Open());
        Assert.AreEqual(session.Step(mlp.Batch(1)), evaluation.Run(mlp.Batch(1)).Loss, 1e-6);
    }

    [TestMethod]
    public void Large_or_16_bit_parameters_stay_in_the_source_model()
    {
        using TempFolder temp = TestFiles.Temp();
        Assert.AreEqual(ParameterStorage.Source, mlp.Prepare(temp["a"], new() { CheckpointLimit = 1000 }).Record.Storage);
        string moved = temp["moved.onnx"];
        File.Copy(mlp.ModelPath, moved);
        ArtifactFolder created = ArtifactFolder.Create(TrainingGraph.Build(OnnxFile.Read(moved), new() { Loss = "cross-entropy", Train = ["*"] }), moved, temp["b"], new() { Storage = ParameterStorage.Source });
        File.Delete(moved);
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => ArtifactFolder.Open(temp["b"]).Parameters.Count).Message, "--base");
        Assert.HasCount(6, ArtifactFolder.Open(temp["b"], mlp.ModelPath).Parameters);
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => ArtifactFolder.Open(temp["b"], new GoldenModel("llama-tiny").ModelPath).Parameters.Count).Message, "not the model");
    }

    [TestMethod]
    public void Damaged_folders_are_refused_in_one_sentence()
    {
        using TempFolder temp = TestFiles.Temp();
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => ArtifactFolder.Open(temp["none"])).Message, "does not exist");
        mlp.Prepare(temp["good"], null, "fc1.*");
        mlp.Prepare(temp["other"], null, "fc2.*");
        ArtifactFolder.Open(temp["good"]);
        Case("no training_model.onnx", d => File.Delete(Path.Combine(d, "training_model.onnx")));
        Case("no file", d => File.Delete(Path.Combine(d, "checkpoint")));
        Case("training_model.onnx", d => Cut(Path.Combine(d, "training_model.onnx")));
        Case("checkpoint", d => Cut(Path.Combine(d, "checkpoint")));
        Case("lift.json", d => Cut(Path.Combine(d, "lift.json")));
        Case("format 99", d => File.WriteAllText(Path.Combine(d, "lift.json"), "{\"format\": 99}"));
        Case("not of one folder", d => File.Copy(temp["other/checkpoint"], Path.Combine(d, "checkpoint"), true));
        Case("not of one folder", d => File.Copy(temp["other/training_model.onnx"], Path.Combine(d, "training_model.onnx"), true));

        static void Cut(string file) => File.WriteAllBytes(file, File.ReadAllBytes(file)[..^(int)(new FileInfo(file).Length / 2)]);

        void Case(string part, Action<string> damage)
        {
            string directory = temp[Guid.NewGuid().ToString("N")];
            Directory.CreateDirectory(directory);
            foreach (string file in Directory.GetFiles(temp["good"])) File.Copy(file, Path.Combine(directory, Path.GetFileName(file)));
            damage(directory);
            StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => ArtifactFolder.Open(directory)).Message, part);
        }
    }

    [TestMethod]
    public void A_failed_preparation_leaves_an_existing_folder_as_it_was()
    {
        using TempFolder temp = TestFiles.Temp();
        mlp.Prepare(temp["a"], new() { Storage = ParameterStorage.Data });
        var before = Directory.GetFiles(temp["a"]).Order().ToDictionary(f => f, f => Convert.ToHexString(File.ReadAllBytes(f)));
        Assert.ThrowsExactly<LiftException>(() => mlp.Prepare(temp["a"], new() { Storage = ParameterStorage.Data, CheckpointVersion = 1 }));
        Assert.ThrowsExactly<LiftException>(() => ArtifactWriter.WriteWhole(temp["a"], f =>
        {
            File.WriteAllText(Path.Combine(f, "checkpoint"), "half");
            throw new IOException("No space left on device.");
        }));
        CollectionAssert.AreEqual(before.ToArray(), Directory.GetFileSystemEntries(temp["a"]).Order().ToDictionary(f => f, f => Convert.ToHexString(File.ReadAllBytes(f))).ToArray());

        mlp.Prepare(temp["a"], null, "fc3.*");
        Assert.IsFalse(File.Exists(temp["a/checkpoint.data"]), "nothing of the old folder stays");
        Assert.ThrowsExactly<LiftException>(() => mlp.Prepare(temp["a/lift.json/b"]));
    }

    [TestMethod]
    public void Inputs_with_names_of_gradients_are_refused()
    {
        Graph source = OnnxFile.Read(mlp.ModelPath);
        using TempFolder temp = TestFiles.Temp();
        Node first = source.Nodes.First(n => n.Inputs.Contains("x"));
        first.Inputs[first.Inputs.IndexOf("x")] = "x_grad";
        source.Inputs[0] = source.Inputs[0] with { Name = "x_grad" };
        source.Types["x_grad"] = source.Types["x"];
        var graph = TrainingGraph.Build(source, new() { Loss = "cross-entropy", Train = ["*"] });
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => ArtifactFolder.Create(graph, mlp.ModelPath, temp["a"])).Message, "'x_grad'");
        Assert.IsFalse(Directory.Exists(temp["a"]));
    }
}
