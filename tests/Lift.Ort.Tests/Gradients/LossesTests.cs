using Lift.Ort.Artifacts;
using Lift.Ort.Devices;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;
using Lift.Ort.Sessions;
using static Lift.Ort.Tests.Gradients.CaseData;

namespace Lift.Ort.Tests.Gradients;

/// <summary>Losses and their gradients against formulae in double precision: the model is scores = x · w.</summary>
[TestClass]
public sealed class LossesTests
{
    private static readonly Tensor x = F([2, 3, 4], seed: 3), w = F([4, 5], seed: 4);

    [TestMethod]
    public void Mse_is_the_mean_square()
    {
        Tensor labels = F([2, 3, 5], seed: 5);
        Check("mse", labels, null, scores => scores.Zip(labels.ToFloats(), (s, y) => Math.Pow(s - y, 2)).Average());
    }

    [TestMethod]
    [DataRow(null)]
    [DataRow("Sigmoid")]
    public void Bce_takes_the_scores_before_a_final_sigmoid(string? last)
    {
        Tensor labels = Tensor.From<float>("labels", [.. Enumerable.Range(0, 30).Select(i => (float)(i % 3 == 0 ? 1 : i % 3 == 1 ? 0 : 0.25))], 2, 3, 5);
        Check("bce", labels, last, scores => scores.Zip(labels.ToFloats(), (z, y) => Math.Log(1 + Math.Exp(z)) - z * y).Average());
    }

    [TestMethod]
    [DataRow(null)]
    [DataRow("Softmax")]
    public void Cross_entropy_takes_the_scores_before_a_final_softmax(string? last)
    {
        long[] y = [1, -100, 0, 4, 2, -100];
        Check("cross-entropy", L([2, 3], y), last, scores => Mean(scores, y));
    }

    [TestMethod]
    public void Causal_lm_scores_each_position_against_the_next_label()
    {
        long[] y = [3, 1, 4, 0, -100, 2];
        Check("causal-lm", L([2, 3], y), null, scores => Mean(scores, [1, 4, -100, -100, 2, -100]));
    }

    private static double Mean(double[] scores, long[] labels) => labels.Select((y, row) => (y, row)).Where(p => p.y >= 0).Average(p =>
    {
        double[] z = scores[(p.row * 5)..(p.row * 5 + 5)];
        return Math.Log(z.Sum(Math.Exp)) - z[p.y];
    });

    private static double[] Scores(float[] weight)
    {
        float[] input = x.ToFloats();
        return [.. from row in Enumerable.Range(0, 6) from column in Enumerable.Range(0, 5) select Enumerable.Range(0, 4).Sum(k => (double)input[row * 4 + k] * weight[k * 5 + column])];
    }

    private static void Check(string loss, Tensor labels, string? last, Func<double[], double> formula)
    {
        using var folder = TestFiles.Temp();
        var graph = new Graph { Inputs = { new("x", new(ElementType.Float, new("batch", "sequence", 4))) }, Initializers = { ["layer.w"] = w.Rename("layer.w") } };
        ShapeInference.Infer(graph);
        Var scores = graph.Var("x").MatMul(graph.Var("layer.w"));
        if (last is not null) scores = graph.Add(last, [scores]);
        graph.Outputs.Add(new(scores.Name, scores.Type));
        OnnxFile.Write(graph, folder["m.onnx"]);
        var artifacts = ArtifactFolder.Create(TrainingGraph.Build(OnnxFile.Read(folder["m.onnx"]), new() { Loss = loss, Train = ["*"] }), folder["m.onnx"], folder["a"]);
        using IDevice device = Device.Open("cpu");
        using var session = TrainingSession.Open(artifacts, device);
        float got = session.Step(new Dictionary<string, Tensor> { ["x"] = x.Rename("x"), ["labels"] = labels.Rename("labels") });
        float[] weight = w.ToFloats(), gradient = new float[20];
        session.Gradients.CopyTo(gradient);
        Assert.AreEqual(formula(Scores(weight)), got, 1e-5);
        for (int i = 0; i < weight.Length; i++)
        {
            float[] up = [.. weight], down = [.. weight];
            (up[i], down[i]) = (up[i] + 1e-3f, down[i] - 1e-3f);
            Assert.AreEqual((formula(Scores(up)) - formula(Scores(down))) / ((double)up[i] - down[i]), gradient[i], 1e-5, $"{loss}: gradient {i}");
        }
    }
}
