using Lift.Ort.Artifacts;
using Lift.Ort.Devices;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;
using Lift.Ort.Sessions;

namespace Lift.Ort.Tests.Gradients;

/// <summary>Every loss of the table against PyTorch's value and gradient, and its gradient against differences of its own value.</summary>
[TestClass]
public sealed class LossTableTests
{
    public static IEnumerable<object[]> Losses => Ort.Gradients.Losses.Names.Select(n => new object[] { n });

    [TestMethod, DynamicData(nameof(Losses))]
    public void Value_and_gradient_are_those_of_PyTorch(string name)
    {
        LossCase[] cases = [.. LossCase.All.Where(c => c.Loss == name)];
        Assert.IsNotEmpty(cases, $"The loss {name} has no case in losses.json.");
        foreach (LossCase c in cases)
        {
            foreach (bool named in new[] { false, true })
            {
                using var model = new ScoreModel(c, named);
                Assert.AreEqual(c.Value, model.Step(c.Scores.Floats), 2e-6 * Math.Max(1, Math.Abs(c.Value)), $"{c}");
                double largest = c.Gradient.Max(Math.Abs);
                foreach (var (expected, actual) in c.Gradient.Zip(model.Gradient())) Assert.AreEqual(expected, actual, (2e-5 * largest) + 1e-9, $"{c}: gradient");
            }
        }
    }

    [TestMethod, DynamicData(nameof(Losses))]
    public void Gradient_matches_differences_of_the_value(string name)
    {
        foreach (LossCase c in LossCase.All.Where(c => c.Loss == name))
        {
            using var model = new ScoreModel(c, true);
            float[] x = c.Scores.Floats;
            model.Step(x);
            float[] gradient = model.Gradient();
            for (int direction = 0; direction < 3; direction++)
            {
                var random = new Random(direction);
                float[] d = [.. x.Select(_ => random.NextSingle() < 0.5f ? -1f : 1f)];
                double Along(float step) => model.Step([.. x.Zip(d, (a, b) => a + (step * b))]);
                double numeric = (Along(2e-3f) - Along(-2e-3f)) / 4e-3, analytic = d.Zip(gradient, (a, b) => (double)a * b).Sum();
                Assert.AreEqual(numeric, analytic, 5e-3 * Math.Max(1, gradient.Sum(g => Math.Abs((double)g))), $"{c}");
            }
        }
    }

    /// <summary>Losses stay in the vocabulary of ONNX Runtime's own training runtime.</summary>
    [TestMethod, DynamicData(nameof(Losses))]
    public void The_training_runtime_has_the_same_losses(string name)
    {
        LossCase c = LossCase.All.Last(c => c.Loss == name);
        using var model = new ScoreModel(c, true);
        System.Text.Json.JsonElement theirs = Artifacts.TrainingRuntime.Train(model.Folder, [model.Batch, model.Batch]);
        var adam = new Sessions.PlainAdamW(model.Session, 0.001);
        foreach (var loss in theirs.GetProperty("losses").EnumerateArray())
        {
            Assert.AreEqual(model.Session.Step(model.Batch), loss.GetDouble(), 1e-5 * Math.Max(1, Math.Abs(c.Value)), $"{c}");
            adam.Step();
        }
        Assert.AreEqual(c.Value, theirs.GetProperty("before").GetDouble(), 1e-5 * Math.Max(1, Math.Abs(c.Value)), $"{c}");
    }

    [TestMethod]
    public void Every_case_belongs_to_a_loss() => Assert.AreEqual("", string.Join(", ", LossCase.All.Select(c => c.Loss).Except(Ort.Gradients.Losses.Names)));

    [TestMethod]
    [DataRow("mse,bce", "asks for 2")]
    [DataRow("mean", "There is no loss 'mean'")]
    public void A_name_that_is_no_loss_is_refused(string name, string said) => StringAssert.Contains(Refused(name, new(), 2, 3), said);

    [TestMethod]
    public void Options_of_other_losses_and_numbers_out_of_range_are_refused()
    {
        StringAssert.Contains(Refused("mse", new() { LabelSmoothing = 0.1 }, 2, 3), "The mse loss does not read --label-smoothing");
        StringAssert.Contains(Refused("contrastive", new() { Delta = 2 }, 2, 3), "it reads: --temperature, --scale, --group, --symmetric, --pooling, --normalize");
        StringAssert.Contains(Refused("cross-entropy", new() { LabelSmoothing = 1.5, ClassWeights = [-1] }, 2, 3), "--label-smoothing is 1.5; give 0 to below 1. --class-weights is -1");
        StringAssert.Contains(Refused("cross-entropy", new() { ClassWeights = [1, 2] }, 2, 3), "--class-weights has 2 numbers, but 'scores' float[2, 3] has 3 classes");
        StringAssert.Contains(Refused("bce", new() { PositiveWeights = [1, 2] }, 2, 3), "--positive-weights has 2 numbers");
        StringAssert.Contains(Refused("ctc", new() { Blank = 9 }, 2, 3, 4), "--blank is 9");
    }

    [TestMethod]
    public void Outputs_that_do_not_fit_the_loss_are_refused()
    {
        StringAssert.Contains(Refused("causal-lm", new(), 2, 3), "[batch, sequence, vocabulary]");
        StringAssert.Contains(Refused("ctc", new(), 2, 3), "[batch, time, classes]");
        StringAssert.Contains(Refused("contrastive", new() { Pooling = Pooling.Mean }, 2, 3), "--pooling mean needs");
        StringAssert.Contains(Refused("triplet", new() { Pooling = Pooling.None }, 3, 3, 2), "[batch, width]");
        StringAssert.Contains(Refused("triplet", new(), 8, 4), "reads 3 rows for each example, but the model's batch is fixed at 8");
    }

    private static string Refused(string loss, LossOptions options, params long[] dims)
    {
        Graph graph = ScoreModel.Graph(dims, [], false);
        return Assert.ThrowsExactly<LiftException>(() => TrainingGraph.Build(graph, new() { Loss = loss, LossOptions = options, Train = ["*"] })).Message;
    }
}

/// <summary>scores = x + w, with x = 0 and w the scores: the gradient of the weight is that of the scores.</summary>
internal sealed unsafe class ScoreModel : IDisposable
{
    private readonly TempFolder folder = TestFiles.Temp();
    private readonly IDevice device = Device.Open("cpu");
    private readonly Dictionary<string, Tensor> batch;

    /// <param name="named">True leaves every dimension but the last one open.</param>
    public ScoreModel(LossCase c, bool named)
    {
        Graph graph = Graph(c.Scores.Shape, c.Inputs.ToDictionary(i => i.Key, i => i.Value.Shape), named);
        c.Scores.Floats.CopyTo(graph.Initializers["w"].AsSpan<float>());
        OnnxFile.Write(graph, folder["m.onnx"]);
        Folder = ArtifactFolder.Create(TrainingGraph.Build(OnnxFile.Read(folder["m.onnx"]), new() { Loss = c.Loss, LossOptions = c.Options, Train = ["*"] }), folder["m.onnx"], folder["a"]);
        Session = TrainingSession.Open(Folder, device);
        batch = c.Batch();
        batch["x"] = Tensor.Empty("x", ElementType.Float, c.Scores.Shape);
    }

    public ArtifactFolder Folder { get; }

    public TrainingSession Session { get; }

    public IReadOnlyDictionary<string, Tensor> Batch => batch;

    public static Graph Graph(long[] dims, Dictionary<string, long[]> inputs, bool named)
    {
        var shape = named ? new Shape([.. dims.Select((d, i) => i == dims.Length - 1 ? d : (Dim)$"d{i}")]) : Shape.Of(dims);
        var graph = new Graph { Inputs = { new("x", new(ElementType.Float, shape)) }, Initializers = { ["w"] = Tensor.Empty("w", ElementType.Float, dims) } };
        foreach (var (name, other) in inputs) graph.Inputs.Add(new(name, new(ElementType.Int64, named ? new Shape([.. other.Select((_, i) => (Dim)$"d{i}")]) : Shape.Of(other))));
        foreach (var (name, _) in inputs) graph.Nodes.Add(new Node("Cast", "", [name], [$"{name}.float"]).With("to", 1L)); // an input has to be read to stay
        ShapeInference.Infer(graph);
        Var scores = graph.Add("Add", [graph.Var("x"), graph.Var("w")], output: "scores");
        graph.Outputs.Add(new(scores.Name, scores.Type));
        return graph;
    }

    public float Step(float[] scores)
    {
        scores.CopyTo(Session.Weights[0].Value.AsSpan<float>());
        return Session.Step(batch);
    }

    public float[] Gradient()
    {
        var gradient = new float[Session.Gradients.Length];
        Session.Gradients.CopyTo(gradient);
        return gradient;
    }

    public void Dispose()
    {
        Session.Dispose();
        device.Dispose();
        folder.Dispose();
    }
}
