using Google.Protobuf;
using Lift.Ort.Gradients;
using Lift.Ort.Lowering;
using Lift.Ort.Onnx;
using Lift.Ort.Onnx.Checks;
using Lift.Ort.Onnx.Opsets;
using Lift.Ort.Operators;
using Microsoft.ML.OnnxRuntime;

namespace Lift.Ort.Tests.Gradients;

/// <summary>Compares a rule's gradient with central differences of the same node run in ONNX Runtime, along random directions.</summary>
internal static class GradientCheck
{
    private const string Wide = "loss64", Size = "size of output 0";

    public static void Run(string op, GradientCase c)
    {
        try
        {
            Compare(op, c, c.Step, 6e-3);
        }
        catch (OnnxRuntimeException e)
        {
            throw new AssertFailedException($"{op} ({c.Note}{(c.Dynamic ? ", dynamic" : "")}): {e.Message}", e);
        }
    }

    /// <summary>The same in float64, with small steps; answers false where ONNX Runtime has no kernel for it.</summary>
    public static bool RunDouble(string op, GradientCase c)
    {
        try
        {
            Compare(op, c with { Inputs = [.. c.Inputs.Select(t => t?.Type == ElementType.Float ? Widen(t) : t)] }, Math.Min(c.Step, 1e-4f), 2e-6);
            return true;
        }
        catch (OnnxRuntimeException e) when (e.Message.Contains("[ErrorCode:NotImplemented]") || e.Message.Contains("Type Error") || e.Message.Contains("does not match expected type") || e.Message.Contains("Type parameter"))
        {
            return false;
        }
    }

    /// <summary>The gradients of the varied inputs; inputs that <paramref name="symbolic"/> chooses are declared with symbols for all their dimensions.</summary>
    public static float[][] Gradients(string op, GradientCase c, Func<int, bool> symbolic)
    {
        var (graph, weights, _) = Build(op, c, symbolic);
        string[] names = [.. Varied(c).Select(TrainingGraph.GradientOf)];
        using var session = Open(graph, names, ElementType.Float);
        return [.. Evaluate(session, weights, weights.ToDictionary(w => w.Key, w => Values(w.Value)), names).Select(g => Array.ConvertAll(g, v => (float)v))];
    }

    /// <summary>Where the gradient graph of a case whose floats are of <paramref name="type"/> mixes types; empty where it does not.</summary>
    public static string TypesClash(string op, GradientCase c, ElementType type)
    {
        GradientCase typed = c with { Inputs = [.. c.Inputs.Select((t, i) => t?.Type == ElementType.Float && !(op == "Resize" && i > 1) ? Typed(t, type) : t)] }; // scales are float32 always
        var (graph, _, _) = Build(op, typed);
        IEnumerable<string> clashes = graph.Nodes.Select(n => TypeRules.Clash(graph, n) is { } clash ? $"{n} {clash}" : "").Where(t => t.Length > 0);
        IEnumerable<string> wrong = Varied(c).Select(w => (w, Type: graph.TypeOf(graph.Nodes.Single(n => n.Outputs[0] == TrainingGraph.GradientOf(w)).Inputs[0]).Element)).Where(g => g.Type != type && g.Type != ElementType.Undefined).Select(g => $"the gradient of {g.w} is {g.Type}");
        return string.Join('\n', clashes.Concat(wrong).Distinct().Take(3));
    }

    /// <summary>The gradients of the varied inputs for a dy of one's own, given its size.</summary>
    public static float[][] WithDy(string op, GradientCase c, float[] dy)
    {
        var (graph, weights, _) = Build(op, c, weigh: w => w.Graph.Constant<float>(dy));
        string[] names = [.. Varied(c).Select(TrainingGraph.GradientOf)];
        using var session = Open(graph, names, ElementType.Float);
        return [.. Evaluate(session, weights, weights.ToDictionary(w => w.Key, w => Values(w.Value)), names).Select(g => Array.ConvertAll(g, v => (float)v))];
    }

    /// <summary>The gradients of the varied inputs as a function of what is added to dy.</summary>
    public static GradientProbe Probe(string op, GradientCase c)
    {
        var (graph, weights, _) = Build(op, c, weigh: w =>
        {
            w.Graph.Inputs.Add(new(GradientProbe.Added, new(ElementType.Float, new Shape("added"))));
            ShapeInference.InferInputs(w.Graph);
            return w + w.Graph.Var(GradientProbe.Added);
        });
        return new(Open(graph, [.. Varied(c).Select(TrainingGraph.GradientOf), Size], ElementType.Float), weights, Varied(c), Size);
    }

    /// <summary>The loss that the case's node alone gives in ONNX Runtime; null where its kernel does not take the case, or computes what is no number.</summary>
    public static double? Loss(string op, GradientCase c)
    {
        try
        {
            var (graph, _) = Forward(op, c);
            var weights = Floats(c);
            using var session = Open(graph, [Wide], ElementType.Float);
            return Evaluate(session, weights, weights.ToDictionary(w => w.Key, w => Values(w.Value)), [Wide])[0] is [var loss] && double.IsFinite(loss) ? loss : null;
        }
        catch (Exception e) when (e is OnnxRuntimeException or LiftException)
        {
            return null;
        }
    }

    /// <summary>A graph of the case's node and a scalar float32 loss over all its float outputs; the inputs are x0, x1, …: initializers, or graph inputs with symbols for dimensions.</summary>
    /// <param name="weigh">Changes the weights of output 0's sum, which are its dy.</param>
    public static (Graph Graph, string Loss) Forward(string op, GradientCase c, Func<int, bool>? symbolic = null, Func<Var, Var>? weigh = null)
    {
        var graph = new Graph { Opset = c.Opset, IrVersion = 8, Domains = { ["com.microsoft"] = 1 } };
        var inputs = new List<Var?>();
        for (int i = 0; i < c.Inputs.Length; i++)
        {
            Tensor? t = c.Inputs[i]?.Rename($"x{i}");
            inputs.Add(t is null ? null : graph.Var(c.Twice is { } twice && twice.Input == i ? $"x{twice.Of}" : t.Name));
            if (t is null || c.Twice?.Input == i) continue;
            if (symbolic?.Invoke(i) != true || !t.Type.IsFloat()) graph.Initializers.Add(t.Name, t);
            else graph.Inputs.Add(new(t.Name, new(t.Type, new Shape([.. t.Dims.Select((_, axis) => c.Known.Contains((i, axis)) ? t.Dims[axis] : (Dim)$"{t.Name}_{axis}")]))));
        }
        ShapeInference.InferInputs(graph);
        if (c.Dynamic) graph.Types["x0"] = new(c.Inputs[0]!.Type, new Shape([.. c.Inputs[0]!.Dims.Select((_, i) => (Dim)$"n{i}")]));
        string domain = op.Contains('.') ? op[..op.LastIndexOf('.')] : "";
        Var[] outputs = graph.AddMany(op[(op.LastIndexOf('.') + 1)..], c.Outputs, inputs, c.Attributes, domain, "y");
        foreach (int absent in c.Absent) graph.Nodes[0].Outputs[absent] = "";
        outputs = [.. outputs.Where(o => graph.Nodes[0].Outputs.Contains(o.Name))];
        if (c.Opset is < OpsetConverter.Lowest or > OpsetConverter.Highest && !Lowerings.Has(op)) OpsetConverter.Normalise(graph, "case");
        // A weighted sum of all float outputs, each element with a weight of its own, so that no element's gradient can hide.
        Var loss = outputs.Where((o, i) => i == 0 || o.Element.IsFloat()).Select((y, n) =>
        {
            bool plain = !c.Inputs.Any(t => t?.Type.IsFloat() == true && t.Type != ElementType.Float);
            Var flat = (y.Element.IsFloat() || (y.Element == ElementType.Undefined && plain) ? y : y.Cast(ElementType.Float)).Reshape(-1);
            Var count = flat.ShapeOf();
            Var ramp = graph.Add("Range", [graph.Scalar(0, ElementType.Int64), count.Squeeze(0), graph.Scalar(1, ElementType.Int64)]).Cast(ElementType.Float);
            Var weight = graph.Add("Sin", [ramp * 1.7 + (n + 1)]);
            if (n == 0 && weigh is not null) weight = weigh(weight);
            if (n == 0 && weigh is not null) count.Cast(ElementType.Float).Identity(Size);
            if (y.Element.IsFloat()) weight = weight.Cast(y.Element);
            return (flat * weight).ReduceSum([0], keepDims: false);
        }).Aggregate((a, b) => a + (a.Element == ElementType.Undefined || b.Element == ElementType.Undefined ? b : b.Cast(a.Element)));
        return (graph, loss.Identity(Wide).Cast(ElementType.Float).Name);
    }

    private static void Compare(string op, GradientCase c, float step, double tolerance)
    {
        var (graph, weights, _) = Build(op, c);
        string[] compared = Varied(c);
        ElementType type = compared.Length > 0 ? weights[compared[0]].Type : ElementType.Float;
        string[] names = [.. compared.Select(TrainingGraph.GradientOf).Prepend(Wide)];
        using var session = Open(graph, names, type);
        var values = weights.ToDictionary(w => w.Key, w => Values(w.Value));
        double[][] analytic = Evaluate(session, weights, values, names);
        for (int i = 0; i < compared.Length; i++)
        {
            double[] x = values[compared[i]];
            Assert.AreEqual(x.Length, analytic[i + 1].Length, $"{op} ({c.Note}): size of the gradient of input {compared[i]}");
            for (int direction = 0; direction < 3 && x.Length > 0; direction++)
            {
                var random = new Random(direction + 11);
                double[] d = [.. x.Select(_ => random.NextSingle() < 0.5f ? -1.0 : 1)];
                double Loss(double step)
                {
                    values[compared[i]] = [.. x.Zip(d, (a, b) => a + step * b)];
                    double sum = Evaluate(session, weights, values, [Wide])[0][0];
                    values[compared[i]] = x;
                    return sum;
                }
                double numeric = (Loss(step) - Loss(-step)) / (2 * step);
                double analyticAlong = d.Zip(analytic[i + 1], (a, b) => a * b).Sum();
                double scale = Math.Max(1, analytic[i + 1].Sum(Math.Abs));
                Assert.AreEqual(numeric, analyticAlong, tolerance * scale, $"{op} ({c.Note}{(c.Dynamic ? ", dynamic" : "")}): input {compared[i]}, direction {direction}");
            }
        }
    }

    private static string[] Varied(GradientCase c) => [.. (c.Vary ?? [.. Enumerable.Range(0, c.Inputs.Length)]).Where(i => c.Inputs[i]?.Type.IsFloat() == true && i != c.Twice?.Input).Select(i => $"x{i}")];

    private static (Graph Graph, Dictionary<string, Tensor> Weights, string Loss) Build(string op, GradientCase c, Func<int, bool>? symbolic = null, Func<Var, Var>? weigh = null)
    {
        var (graph, loss) = Forward(op, c, symbolic, weigh);
        if (Lowerings.Has(op)) graph = LoweredGraph.Of(graph);
        graph.Opset = Math.Min(graph.Opset, OpsetConverter.Highest);
        var weights = Floats(c);
        string[] varied = Varied(c);
        var gradients = BackwardPass.Run(graph, loss, varied);
        foreach (string w in varied) graph.Nodes.Add(new Node("Identity", "", [gradients[w].Name], [TrainingGraph.GradientOf(w)]));
        return (graph, weights, loss);
    }

    private static Dictionary<string, Tensor> Floats(GradientCase c) => c.Inputs.Select((t, i) => i == c.Twice?.Input ? null : t?.Rename($"x{i}")).OfType<Tensor>().Where(t => t.Type.IsFloat()).ToDictionary(t => t.Name);

    private static InferenceSession Open(Graph graph, string[] outputs, ElementType type)
    {
        var model = graph.Clone();
        model.Outputs.Clear();
        model.Outputs.AddRange(outputs.Select(o => new GraphValue(o, new(type, null))));
        foreach (var t in graph.Initializers.Values.Where(t => t.Type.IsFloat() && t.Name.StartsWith('x')))
        {
            model.Initializers.Remove(t.Name);
            model.Inputs.Add(new(t.Name, t.TensorType));
        }
        Prune.Run(model);
        using var folder = TestFiles.Temp();
        OnnxFile.Write(model, folder["case.onnx"]);
        using var options = new SessionOptions { IntraOpNumThreads = 1, LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL };
        TrainingOperators.AddTo(options);
        return new InferenceSession(folder["case.onnx"], options);
    }

    private static double[][] Evaluate(InferenceSession session, Dictionary<string, Tensor> weights, Dictionary<string, double[]> values, string[] outputs)
    {
        var names = weights.Keys.Where(session.InputMetadata.ContainsKey).ToArray();
        var feeds = names.Select(n => weights[n].Type == ElementType.Double
            ? OrtValue.CreateTensorValueFromMemory(values[n], weights[n].Dims)
            : OrtValue.CreateTensorValueFromMemory(Array.ConvertAll(values[n], v => (float)v), weights[n].Dims)).ToArray();
        using var options = new RunOptions();
        using var results = session.Run(options, names, feeds, outputs);
        foreach (var feed in feeds) feed.Dispose();
        return [.. results.Select(r => (ElementType)r.GetTensorTypeAndShape().ElementDataType == ElementType.Double
            ? r.GetTensorDataAsSpan<double>().ToArray()
            : Array.ConvertAll(r.GetTensorDataAsSpan<float>().ToArray(), v => (double)v))];
    }

    private static double[] Values(Tensor t) => t.Type == ElementType.Double ? t.AsSpan<double>().ToArray() : Array.ConvertAll(t.ToFloats(), v => (double)v);

    private static Tensor Typed(Tensor t, ElementType type) => type switch
    {
        ElementType.Double => Widen(t),
        ElementType.Float16 => Tensor.From<Half>(t.Name, Array.ConvertAll(t.ToFloats(), v => (Half)v), t.Dims),
        _ => Bits(t, type),
    };

    private static Tensor Bits(Tensor t, ElementType type)
    {
        Tensor bits = Tensor.Empty(t.Name, type, t.Dims);
        Array.ConvertAll(t.ToFloats(), v => (ushort)(BitConverter.SingleToUInt32Bits(v) >> 16)).CopyTo(bits.AsSpan<ushort>());
        return bits;
    }

    private static Tensor Widen(Tensor t) => Tensor.From<double>(t.Name, Values(t), t.Dims);
}
