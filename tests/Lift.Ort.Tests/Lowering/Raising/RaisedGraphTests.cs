using Lift.Ort.Gradients;
using Lift.Ort.Lowering.Raising;
using Lift.Ort.Onnx;
using Lift.Ort.Operators;
using Microsoft.ML.OnnxRuntime;
using static Lift.Ort.Tests.Gradients.CaseData;

namespace Lift.Ort.Tests.Lowering.Raising;

/// <summary>Chains as exporters spell them become one operator with the same values and gradients; what only looks alike stays.</summary>
[TestClass]
public sealed class RaisedGraphTests
{
    /// <summary>x [2, 3, 8], scale and bias [8] to the chain's result.</summary>
    private delegate Var Spelling(Var x, Var scale, Var bias);

    private static readonly Dictionary<string, (string Operator, Spelling[] Spellings)> table = new()
    {
        ["layer normalization"] = ("LayerNormalization",
        [
            (x, s, b) => Centred(x) / (Mean(Square(Centred(x))) + 1e-5).Sqrt() * s + b, // torch.onnx before opset 17
            (x, s, b) => b + s * Shared(Centred(x), d => d * Op("Reciprocal", (Mean(d * d) + 1e-5).Sqrt())),
            (x, s, _) => Shared(Centred(x), d => d / (Mean(Square(d)) + 1e-5).Sqrt()) * s, // no bias
            (x, s, b) => Shared(Centred(x), d => d / Op("Pow", Mean(Square(d)) + 1e-5, d.Like(0.5))) * s + b,
            (x, s, b) => Shared(Centred(x), d => d / (Mean(Square(Op("Identity", d))) + 1e-5).Sqrt()) * s + b,
        ]),
        ["layer normalization, scaled first"] = ("LayerNormalization",
        [
            (x, s, b) => Shared(Op("Reciprocal", (Mean(Square(Centred(x))) + 1e-3).Sqrt()) * s, a => x * a + (b - Mean(x) * a)), // tf2onnx of Keras
            (x, s, b) => Shared(s * Op("Pow", Mean(Shared(Centred(x), d => d * d)) + 1e-3, x.Like(-0.5)), a => (b - a * Mean(x)) + a * x),
        ]),
        ["RMS normalization"] = ("SimplifiedLayerNormalization",
        [
            (x, s, _) => s * (x * Op("Reciprocal", (Mean(Square(x)) + 1e-6).Sqrt())), // Llama by torch.rsqrt
            (x, s, _) => x / (Mean(x * x) + 1e-6).Sqrt() * s, (x, s, _) => x * (1 / (Mean(Square(x)) + 1e-6).Sqrt()) * s,
            (x, s, _) => x * Op("Pow", Mean(Square(x)) + 1e-6, x.Like(-0.5)) * (s + 1), // Gemma
        ]),
        ["activation"] = ("com.microsoft.Gelu",
        [
            (x, _, _) => x * (Op("Erf", x / 1.4142135623730951) + 1) * 0.5, (x, _, _) => x * 0.5 * (1 + Op("Erf", x / 1.4142135623730951)), // torch.onnx
            (x, _, _) => 0.5 * (x * (1 + Op("Erf", x * 0.7071067690849304))), (x, _, _) => x * (0.5 * (1 + Op("Erf", 0.70710678 * x))), // Paddle, tf2onnx
            (x, _, _) => 0.5 * x + 0.5 * x * Op("Erf", x / Math.Sqrt(2)), (x, _, _) => Shared(x * 3, y => y * 0.5 * (1 + Op("Erf", y / Math.Sqrt(2)))),
        ]),
        ["activation by tanh"] = ("com.microsoft.FastGelu",
        [
            (x, _, _) => 0.5 * x * (1 + Op("Tanh", 0.7978845608028654 * (x + 0.044715 * Op("Pow", x, x.Like(3))))), // GPT-2
            (x, _, _) => x * 0.5 * (Op("Tanh", (x * x * x * 0.044715 + x) * 0.7978845608028654) + 1), (x, _, _) => 0.5 * x * (1 + Op("Tanh", x * 0.7978845608 * (1 + 0.044715 * x * x))), // BLOOM, Keras
        ]),
        ["activation by sigmoid"] = ("com.microsoft.QuickGelu", [(x, _, _) => x * Op("Sigmoid", 1.702 * x), (x, _, _) => Op("Sigmoid", x * 1.702) * x]), // CLIP
    };

    private static readonly Dictionary<string, Spelling> alike = new()
    {
        ["mean over another axis"] = (x, s, b) => Shared(x - x.ReduceMean([1]), d => d / (Square(d).ReduceMean([1]) + 1e-5).Sqrt()) * s + b,
        ["mean of another value"] = (x, s, b) => Centred(x) / (Mean(Square(Centred(x * s))) + 1e-5).Sqrt() * s + b,
        ["a scale for every element"] = (x, s, b) => Shared(Centred(x), d => d / (Mean(Square(d)) + 1e-5).Sqrt()) * x,
        ["no scale"] = (x, _, _) => x / (Mean(Square(x)) + 1e-6).Sqrt(),
        ["another constant in erf"] = (x, _, _) => x * 0.5 * (1 + Op("Erf", x / 1.5)),
        ["another constant in tanh"] = (x, _, _) => 0.5 * x * (1 + Op("Tanh", 0.8 * (x + 0.044715 * Op("Pow", x, x.Like(3))))),
        ["another factor"] = (x, _, _) => x * 0.6 * (1 + Op("Erf", x / 1.4142135623730951)),
        ["erf of another value"] = (x, s, _) => x * 0.5 * (1 + Op("Erf", (x + s) / 1.4142135623730951)),
        ["the gated unit's part"] = (x, _, _) => x * Op("Sigmoid", x),
    };

    public static IEnumerable<object[]> Spellings => from entry in table from i in Enumerable.Range(0, entry.Value.Spellings.Length) select new object[] { entry.Key, i };

    public static IEnumerable<object[]> Alike => alike.Keys.Select(k => new object[] { k });

    [TestMethod]
    public void Every_pattern_has_spellings() => Assert.AreEqual("", string.Join(", ", RaisedGraph.Patterns.Except(table.Keys)));

    [TestMethod, DynamicData(nameof(Spellings))]
    public void A_chain_becomes_one_operator_with_its_values_and_gradients(string pattern, int index)
    {
        var (op, spellings) = table[pattern];
        foreach (bool symbolic in new[] { false, true })
        {
            Graph chain = Build(spellings[index], symbolic), raised = RaisedGraph.Of(chain);
            Prune.Run(raised);
            Assert.AreEqual(1, raised.Nodes.Count(n => n.Operator == op), string.Join(' ', raised.Nodes));
            Assert.IsLessThan(5, raised.Nodes.Count(n => n.OpType is not ("Mul" or "ReduceSum" or "Reshape")), string.Join(' ', raised.Nodes)); // what is left is the loss
            Compare(Run(chain), Run(raised));
        }
    }

    [TestMethod, DynamicData(nameof(Alike))]
    public void What_only_looks_alike_stays(string name)
    {
        Graph chain = Build(alike[name], symbolic: false);
        RaisedGraph.Of(chain, out var counts);
        Assert.AreEqual(0, counts.Values.Sum());
    }

    [TestMethod]
    public void Half_precision_chains_stay()
    {
        var graph = new Graph();
        graph.Inputs.Add(new("x", new(ElementType.Float16, new(2, 3, 8))));
        ShapeInference.InferInputs(graph);
        Var x = graph.Var("x"), y = x * 0.5 * (1 + Op("Erf", x / 1.4142135623730951));
        graph.Outputs.Add(new(y.Name, y.Type));
        RaisedGraph.Of(graph, out var counts);
        Assert.AreEqual(0, counts.Values.Sum());
    }

    /// <summary>x, scale and bias are initializers of the graph; its outputs are the chain's result, a loss and the gradients.</summary>
    private static Graph Build(Spelling spelling, bool symbolic)
    {
        var graph = new Graph { Opset = 17, Domains = { ["com.microsoft"] = 1 } };
        foreach (var (name, tensor) in new[] { ("x", F([2, 3, 8])), ("scale", F([8], 0.5f, 1.5f)), ("bias", F([8])) })
        {
            graph.Inputs.Add(new(name, new(ElementType.Float, symbolic && name == "x" ? new("batch", "sequence", 8) : Shape.Of(tensor.Dims))));
        }
        ShapeInference.InferInputs(graph);
        Var y = spelling(graph.Var("x"), graph.Var("scale"), graph.Var("bias")).Identity("y");
        graph.Outputs.Add(new(y.Name, y.Type));
        return graph;
    }

    /// <summary>The result and the gradients of a weighted sum of it.</summary>
    private static Dictionary<string, float[]> Run(Graph source)
    {
        Graph graph = source.Clone();
        Var weights = graph.Constant<float>(F([2, 3, 8], seed: 4).ToFloats(), [2, 3, 8]);
        Var loss = (graph.Var("y") * weights).Reshape(-1).ReduceSum([0], keepDims: false);
        foreach (var (name, gradient) in BackwardPass.Run(graph, loss.Name, ["x", "scale", "bias"])) graph.Outputs.Add(new(gradient.Identity($"{name}_grad").Name, new(ElementType.Float, null)));
        Prune.Run(graph);
        using var folder = TestFiles.Temp();
        OnnxFile.Write(graph, folder["m.onnx"]);
        using var options = new SessionOptions { IntraOpNumThreads = 1 };
        TrainingOperators.AddTo(options);
        using var session = new InferenceSession(folder["m.onnx"], options);
        Tensor[] fed = [F([2, 3, 8]).Rename("x"), F([8], 0.5f, 1.5f).Rename("scale"), F([8]).Rename("bias")];
        OrtValue[] values = [.. fed.Select(t => OrtValue.CreateTensorValueFromMemory(t.ToFloats(), t.Dims))];
        using var run = new RunOptions();
        string[] names = [.. graph.Outputs.Select(o => o.Name)];
        using var results = session.Run(run, [.. fed.Select(t => t.Name)], values, names);
        foreach (OrtValue value in values) value.Dispose();
        return names.Zip(results).ToDictionary(r => r.First, r => r.Second.GetTensorDataAsSpan<float>().ToArray());
    }

    private static void Compare(Dictionary<string, float[]> expected, Dictionary<string, float[]> actual)
    {
        CollectionAssert.AreEquivalent(expected.Keys, actual.Keys);
        foreach (var (name, values) in expected)
            for (int i = 0; i < values.Length; i++) Assert.AreEqual(values[i], actual[name][i], 1e-5f * (1 + Math.Abs(values[i])), $"{name}[{i}]");
    }

    private static Var Mean(Var x) => x.ReduceMean([-1]);

    private static Var Centred(Var x) => x - Mean(x);

    private static Var Square(Var x) => Op("Pow", x, x.Like(2));

    private static Var Op(string op, params Var[] inputs) => inputs[0].Graph.Add(op, inputs);

    private static Var Shared(Var value, Func<Var, Var> use) => use(value);
}
