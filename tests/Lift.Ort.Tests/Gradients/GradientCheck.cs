using Google.Protobuf;
using Lift.Ort.Gradients;
using Lift.Ort.Lowering;
using Lift.Ort.Onnx;
using Lift.Ort.Operators;
using Microsoft.ML.OnnxRuntime;

namespace Lift.Ort.Tests.Gradients;

/// <summary>Compares a rule's gradient with central differences of the same node run in ONNX Runtime, along random directions.</summary>
internal static class GradientCheck
{
    public static void Run(string op, GradientCase c)
    {
        var (graph, weights, loss) = Build(op, c);
        string[] compared = [.. (c.Vary ?? [.. Enumerable.Range(0, c.Inputs.Length)]).Where(i => c.Inputs[i]?.Type == ElementType.Float).Select(i => $"x{i}")];
        using var session = Open(graph, [loss, .. compared.Select(TrainingGraph.GradientOf)]);
        var values = weights.ToDictionary(w => w.Key, w => w.Value.ToFloats());
        var names = compared.Select(TrainingGraph.GradientOf).Prepend(loss).ToArray();
        float[][] analytic = Evaluate(session, weights, values, names);
        for (int i = 0; i < compared.Length; i++)
        {
            float[] x = values[compared[i]];
            if (x.Length == 0) continue;
            Assert.AreEqual(x.Length, analytic[i + 1].Length, $"{op} ({c.Note}): size of the gradient of input {compared[i]}");
            for (int direction = 0; direction < 3; direction++)
            {
                var random = new Random(direction + 11);
                float[] d = [.. x.Select(_ => random.NextSingle() < 0.5f ? -1f : 1f)];
                double Loss(float step)
                {
                    values[compared[i]] = [.. x.Zip(d, (a, b) => a + step * b)];
                    double sum = Evaluate(session, weights, values, [loss])[0][0];
                    values[compared[i]] = x;
                    return sum;
                }
                double numeric = (Loss(c.Step) - Loss(-c.Step)) / (2 * c.Step);
                double analyticAlong = d.Zip(analytic[i + 1], (a, b) => (double)a * b).Sum();
                double scale = Math.Max(1, analytic[i + 1].Sum(g => Math.Abs((double)g)));
                Assert.AreEqual(numeric, analyticAlong, 6e-3 * scale, $"{op} ({c.Note}{(c.Dynamic ? ", dynamic" : "")}): input {compared[i]}, direction {direction}");
            }
        }
    }

    /// <summary>A graph of the case's node and a scalar loss over all its float outputs; the inputs are the initializers x0, x1, …</summary>
    public static (Graph Graph, string Loss) Forward(string op, GradientCase c)
    {
        var graph = new Graph { Opset = c.Opset, IrVersion = 8, Domains = { ["com.microsoft"] = 1 } };
        var inputs = new List<Var?>();
        for (int i = 0; i < c.Inputs.Length; i++)
        {
            Tensor? t = c.Inputs[i]?.Rename($"x{i}");
            inputs.Add(t is null ? null : graph.Var(t.Name));
            if (t is not null) graph.Initializers.Add(t.Name, t);
        }
        if (c.Dynamic) graph.Types["x0"] = new(ElementType.Float, new Shape([.. c.Inputs[0]!.Dims.Select((_, i) => (Dim)$"n{i}")]));
        string domain = op.Contains('.') ? op[..op.LastIndexOf('.')] : "";
        Var[] outputs = graph.AddMany(op[(op.LastIndexOf('.') + 1)..], c.Outputs, inputs, c.Attributes, domain, "y");
        foreach (int absent in c.Absent) graph.Nodes[0].Outputs[absent] = "";
        outputs = [.. outputs.Where(o => graph.Nodes[0].Outputs.Contains(o.Name))];
        // A weighted sum of all float outputs, each element with a weight of its own, so that no element's gradient can hide.
        var loss = outputs.Where((o, i) => i == 0 || o.Element == ElementType.Float).Select((y, n) =>
        {
            Var flat = (y.Element is ElementType.Float or ElementType.Undefined ? y : y.Cast(ElementType.Float)).Reshape(-1);
            Var count = flat.ShapeOf();
            Var ramp = graph.Add("Range", [graph.Scalar(0, ElementType.Int64), count.Squeeze(0), graph.Scalar(1, ElementType.Int64)]).Cast(ElementType.Float);
            Var weight = graph.Add("Sin", [ramp * 1.7 + (n + 1)]);
            return (flat * weight).ReduceSum([0], keepDims: false);
        }).Aggregate((a, b) => a + b);
        return (graph, loss.Name);
    }

    private static (Graph Graph, Dictionary<string, Tensor> Weights, string Loss) Build(string op, GradientCase c)
    {
        var (graph, loss) = Forward(op, c);
        if (Lowerings.Has(op)) graph = LoweredGraph.Of(graph);
        graph.Opset = Math.Min(graph.Opset, 21);
        var weights = graph.Initializers.Values.Where(t => t.Type == ElementType.Float && t.Name.StartsWith('x')).ToDictionary(t => t.Name);
        string[] varied = [.. (c.Vary ?? [.. Enumerable.Range(0, c.Inputs.Length)]).Select(i => $"x{i}").Where(weights.ContainsKey)];
        var gradients = BackwardPass.Run(graph, loss, varied);
        foreach (string w in varied) graph.Nodes.Add(new Node("Identity", "", [gradients[w].Name], [TrainingGraph.GradientOf(w)]));
        return (graph, weights, loss);
    }

    private static InferenceSession Open(Graph graph, string[] outputs)
    {
        var model = graph.Clone();
        model.Outputs.Clear();
        model.Outputs.AddRange(outputs.Select(o => new GraphValue(o, new(ElementType.Float, null))));
        foreach (var t in graph.Initializers.Values.Where(t => t.Type == ElementType.Float && t.Name.StartsWith('x')))
        {
            model.Initializers.Remove(t.Name);
            model.Inputs.Add(new(t.Name, t.TensorType));
        }
        Prune.Run(model);
        using var folder = TestFiles.Temp();
        OnnxFile.Write(model, folder["case.onnx"]);
        using var options = new SessionOptions { IntraOpNumThreads = 1 };
        TrainingOperators.AddTo(options);
        return new InferenceSession(folder["case.onnx"], options);
    }

    private static float[][] Evaluate(InferenceSession session, Dictionary<string, Tensor> weights, Dictionary<string, float[]> values, string[] outputs)
    {
        var names = weights.Keys.Where(session.InputMetadata.ContainsKey).ToArray();
        var feeds = names.Select(n => OrtValue.CreateTensorValueFromMemory(values[n], weights[n].Dims)).ToArray();
        using var options = new RunOptions();
        using var results = session.Run(options, names, feeds, outputs);
        foreach (var feed in feeds) feed.Dispose();
        return [.. results.Select(r => r.GetTensorDataAsSpan<float>().ToArray())];
    }
}
