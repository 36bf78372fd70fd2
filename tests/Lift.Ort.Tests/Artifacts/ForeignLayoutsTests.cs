using Google.Protobuf;
using Lift.Ort.Artifacts;
using Lift.Ort.Devices;
using Lift.Ort.Onnx;
using Lift.Ort.Sessions;
using Lift.Ort.Sparse;

namespace Lift.Ort.Tests.Artifacts;

/// <summary>Optimizer models as they are, prefixes, older layouts.</summary>
[TestClass]
public sealed class ForeignLayoutsTests
{
    [TestMethod]
    [DataRow("")]
    [DataRow("phi_")]
    public void A_prefix_of_all_names_is_found(string prefix)
    {
        using TempFolder temp = TestFiles.Temp();
        ForeignModel.Mlp().Write(temp.Path, prefix: prefix);
        ArtifactFolder folder = ArtifactFolder.Open(temp.Path);
        Assert.IsNotNull(folder.EvalModel);
        Assert.AreEqual(OptimizerKind.AdamW, OptimizerRecipe.Of(folder).Kind);
    }

    [TestMethod]
    public void The_accumulator_of_older_artifacts_is_known()
    {
        using TempFolder temp = TestFiles.Temp();
        ForeignModel model = ForeignModel.Mlp();
        model.Write(temp["new"]);
        model.Write(temp["old"], accumulator: "InPlaceAccumulator");
        Assert.AreEqual(Loss(temp["new"], model), Loss(temp["old"], model));
    }

    [TestMethod]
    [DataRow(0, 0.01f, 0f, true)]
    [DataRow(0, 0.1f, 0.05f, true)]
    [DataRow(1, 0f, 0.05f, true)]
    [DataRow(1, 0.1f, 0f, false)]
    public void AdamW_is_obeyed(int mode, float decay, float maxNorm, bool correctBias)
    {
        const double rate = 0.01, alpha = 0.8, beta = 0.9, epsilon = 1e-3;
        ModelProto optimizer = OptimizerModel.Make(new((float)alpha, (float)beta, (float)epsilon, decay));
        NodeProto node = optimizer.Graph.Node.Single();
        node.Attribute.Single(a => a.Name == "adam_mode").I = mode;
        node.Attribute.Single(a => a.Name == "correct_bias").I = correctBias ? 1 : 0;
        if (maxNorm > 0) ForeignOptimizers.Clip(optimizer, maxNorm);
        Dictionary<string, double[]> m = [], v = [];
        Trains(optimizer, rate, (name, w, g, step) =>
        {
            double[] first = m.TryGetValue(name, out var a) ? a : m[name] = new double[g.Length], second = v.TryGetValue(name, out var b) ? b : v[name] = new double[g.Length];
            double c1 = correctBias ? 1 - Math.Pow(alpha, step) : 1, c2 = correctBias ? 1 - Math.Pow(beta, step) : 1;
            for (int i = 0; i < g.Length; i++)
            {
                first[i] = alpha * first[i] + (1 - alpha) * g[i];
                second[i] = beta * second[i] + (1 - beta) * g[i] * g[i];
                if (mode == 0) w[i] = w[i] * (1 - rate * decay) - rate * (first[i] / c1) / (Math.Sqrt(second[i] / c2) + epsilon);
                else w[i] = (w[i] - rate * Math.Sqrt(c2) / c1 * first[i] / (Math.Sqrt(second[i]) + epsilon)) * (1 - rate * decay);
            }
        }, maxNorm);
    }

    [TestMethod]
    [DataRow(0f)]
    [DataRow(0.05f)]
    public void Gradient_descent_is_obeyed(float maxNorm)
    {
        ModelProto optimizer = ForeignOptimizers.Sgd();
        if (maxNorm > 0) ForeignOptimizers.Clip(optimizer, maxNorm);
        Trains(optimizer, 0.1, (_, w, g, _) =>
        {
            for (int i = 0; i < g.Length; i++) w[i] -= 0.1 * g[i];
        }, maxNorm);
    }

    [TestMethod]
    public void A_saved_state_goes_on()
    {
        using TempFolder temp = TestFiles.Temp();
        ForeignModel model = ForeignModel.Mlp();
        model.Write(temp["first"]);
        ArtifactFolder folder = ArtifactFolder.Open(temp["first"]);
        using var session = TrainingSession.Open(folder, Device.Open());
        using var optimizer = new FolderOptimizer(folder, session, Device.Open());
        for (int i = 0; i < 3; i++) Step(session, optimizer, model);
        ArtifactFolder saved = folder.Save(session.Weights.Select(w => w.Value), temp["second"], optimizer.State(0.01));
        using var later = TrainingSession.Open(saved, Device.Open());
        using var goesOn = new FolderOptimizer(saved, later, Device.Open());
        Assert.AreEqual(3, goesOn.Steps);
        for (int i = 0; i < 3; i++) Assert.AreEqual(Step(session, optimizer, model), Step(later, goesOn, model));
    }

    [TestMethod]
    [DataRow("pbseq", "checkpoint folder of ONNX Runtime 1.13 to 1.15")]
    [DataRow("loose pbseq", "belongs to a checkpoint of ONNX Runtime 1.13 to 1.15")]
    [DataRow("folder", "is a folder, not a checkpoint file")]
    [DataRow("ckpt", "name it checkpoint")]
    [DataRow("zip", "is a PyTorch (zip) file")]
    [DataRow("hdf5", "is an HDF5 file of ORTTrainer")]
    [DataRow("ort model", "is a model in ORT format")]
    [DataRow("version", "has version 9")]
    [DataRow("no data", "keeps its tensors in 'checkpoint.data', which is missing")]
    [DataRow("ort artifacts", "only training builds of ONNX Runtime read")]
    [DataRow("two sets", "holds 2 sets of artifacts")]
    public void Older_layouts_are_explained_in_one_sentence(string layout, string expected)
    {
        using TempFolder temp = TestFiles.Temp();
        ForeignModel.Mlp().Write(temp.Path);
        string checkpoint = temp["checkpoint"];
        byte[] whole = File.ReadAllBytes(checkpoint);
        if (layout is not ("no data" or "ort artifacts" or "two sets")) File.Delete(checkpoint);
        switch (layout)
        {
            case "pbseq":
                Directory.CreateDirectory(checkpoint);
                File.WriteAllText(Path.Combine(checkpoint, "paramtrain_tensors.pbseq"), "x");
                break;
            case "loose pbseq":
                File.WriteAllText(temp["paramtrain_tensors.pbseq"], "x");
                break;
            case "folder":
                Directory.CreateDirectory(checkpoint);
                break;
            case "ckpt":
                File.WriteAllBytes(temp["model.ckpt"], whole);
                break;
            case "zip":
                File.WriteAllText(checkpoint, "PK\u0003\u0004and more");
                break;
            case "hdf5":
                File.WriteAllBytes(checkpoint, [0x89, (byte)'H', (byte)'D', (byte)'F', 13, 10, 26, 10]);
                break;
            case "ort model":
                File.WriteAllBytes(checkpoint, [.. whole[..4], .. "ORTM"u8, .. whole[8..]]);
                break;
            case "version":
                new CheckpointFile { Version = 9, Trainable = CheckpointOf(whole, temp["copy"]).Trainable }.Write(checkpoint);
                break;
            case "no data":
                CheckpointOf(whole, temp["copy"]).Write(checkpoint, externalData: true);
                File.Delete(checkpoint + ".data");
                break;
            case "ort artifacts":
                File.Move(temp["training_model.onnx"], temp["training_model.ort"]);
                break;
            case "two sets":
                File.Copy(temp["training_model.onnx"], temp["a_training_model.onnx"]);
                File.Move(temp["training_model.onnx"], temp["b_training_model.onnx"]);
                break;
        }
        var e = Assert.ThrowsExactly<LiftException>(() => ArtifactFolder.Open(temp.Path));
        StringAssert.Contains(e.Message, expected);
    }

    [TestMethod]
    public void An_optimizer_that_cannot_be_run_is_named()
    {
        ModelProto optimizer = OptimizerModel.Make(new());
        optimizer.Graph.Node[0].OpType = "LambOptimizer";
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => OptimizerRecipe.Of(optimizer, "optimizer_model.onnx")).Message, "holds LambOptimizer; one AdamWOptimizer or SGDOptimizerV2 can be run");
    }

    private static CheckpointFile CheckpointOf(byte[] bytes, string path)
    {
        File.WriteAllBytes(path, bytes);
        return CheckpointFile.Read(path);
    }

    private static float Loss(string folder, ForeignModel model)
    {
        using var session = TrainingSession.Open(ArtifactFolder.Open(folder), Device.Open());
        return session.Step(model.Batch);
    }

    private static float Step(TrainingSession session, FolderOptimizer optimizer, ForeignModel model)
    {
        float loss = session.Step(model.Batch);
        optimizer.Step(0.01);
        return loss;
    }

    /// <summary>Three steps with an optimizer model beside the same steps in a plain loop of doubles.</summary>
    private static void Trains(ModelProto optimizerModel, double rate, Action<string, double[], double[], int> update, float maxNorm)
    {
        using TempFolder temp = TestFiles.Temp();
        ForeignModel model = ForeignModel.Mlp();
        model.Write(temp.Path, optimizerModel);
        ArtifactFolder folder = ArtifactFolder.Open(temp.Path);
        using var session = TrainingSession.Open(folder, Device.Open());
        using var optimizer = new FolderOptimizer(folder, session, Device.Open());
        var weights = session.Weights.ToDictionary(w => w.Name, w => Array.ConvertAll(w.Value.ToFloats(), x => (double)x));
        for (int step = 1; step <= 3; step++)
        {
            session.Step(model.Batch);
            var gradient = new float[session.Gradients.Length];
            session.Gradients.CopyTo(gradient);
            double norm = Math.Sqrt(gradient.Sum(g => (double)g * g)), factor = maxNorm > 0 ? Math.Min(1, maxNorm / (norm + 1e-6)) : 1;
            if (maxNorm > 0) Assert.IsLessThan(1, factor, "clipping is tried");
            foreach (GradientSlice s in session.Slices) update(s.Weight.Name, weights[s.Weight.Name], [.. gradient.Skip((int)s.Offset).Take((int)s.Count).Select(g => g * factor)], step);
            optimizer.Step(rate);
        }
        foreach (SessionWeight w in session.Weights)
        {
            float[] own = w.Value.ToFloats();
            for (int i = 0; i < own.Length; i++) Assert.AreEqual(weights[w.Name][i], own[i], 2e-5, $"{w.Name}[{i}]");
        }
    }
}
