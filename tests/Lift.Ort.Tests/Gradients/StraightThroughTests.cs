using Lift.Ort.Gradients;
using Lift.Ort.Lowering;
using Lift.Ort.Onnx;
using Lift.Ort.Operators;
using Microsoft.ML.OnnxRuntime;
using static Lift.Ort.Tests.Gradients.CaseData;
using Tensor = Lift.Ort.Onnx.Tensor;

namespace Lift.Ort.Tests.Gradients;

/// <summary>
/// Gradients through operators on 8-bit numbers. z = a W with a trained float W is quantized, and the operator works on that. Rounding counts as the identity, so that the gradient is
/// that of the float operator at the rounded z: at z + c, where the constant c is what rounding added. The loss is linear in the output, whose rounding has no part in it then.
/// </summary>
[TestClass]
public sealed class StraightThroughTests
{
    private const float Scale = 0.05f;
    private const byte Zero = 128;
    private static readonly Tensor a = F([8, 5]), w = F([5, 6], -0.5f, 0.5f, 2);

    /// <summary>An operator between quantized z and a float, and the same in float.</summary>
    private sealed record Layer(string Name, Func<Net, Var, Var> Quantized, Func<Net, Var, Var> Float)
    {
        /// <summary>True where the operator quantizes z itself, with a scale of its range.</summary>
        public bool Dynamic { get; init; }

        /// <summary>Added to what rounding added: takes z off a kink at 0, on the side that the rule takes.</summary>
        public float Shift { get; init; }
    }

    private static readonly Tensor weight = I8([6, 7], 3), kernel = I8([3, 2, 2, 2], 4), projection = I8([6, 18], 5), bias = F([7], seed: 6), wide = F([18], seed: 7), other = U8([8, 6], 8);

    private static readonly Layer[] layers =
    [
        new("QLinearMatMul", (n, q) => n.Real(n.Op("QLinearMatMul", q, n.Scale, n.Zero, n.Of(weight), n.Of(S(0.01f)), n.Of(S((sbyte)3)), n.Of(S(0.1f)), n.Zero), 0.1f), (n, z) => z.MatMul(n.Weight(weight, 0.01f, 3))),
        new("QGemm", (n, q) => n.Op("com.microsoft.QGemm", q, n.Scale, n.Zero, n.Of(weight), n.Of(S(0.01f)), n.Of(S((sbyte)0))), (n, z) => z.MatMul(n.Weight(weight, 0.01f, 0))),
        new("MatMulIntegerToFloat", (n, q) => n.Op("com.microsoft.MatMulIntegerToFloat", q, n.Of(weight), n.Scale, n.Of(S(0.01f)), n.Zero, n.Of(S((sbyte)0)), n.Of(bias)), (n, z) => z.MatMul(n.Weight(weight, 0.01f, 0))),
        new("DynamicQuantizeMatMul", (n, z) => n.Op("com.microsoft.DynamicQuantizeMatMul", z, n.Of(weight), n.Of(S(0.01f)), n.Of(S((sbyte)0)), n.Of(bias)), (n, z) => z.MatMul(n.Weight(weight, 0.01f, 0))) { Dynamic = true },
        new("QLinearConv", (n, q) => n.Real(n.Op("QLinearConv", q.Reshape(2, 2, 4, 3), n.Scale, n.Zero, n.Of(kernel), n.Of(S(0.01f)), n.Of(S((sbyte)0)), n.Of(S(0.1f)), n.Zero), 0.1f), (n, z) => n.Graph.Add("Conv", [z.Reshape(2, 2, 4, 3), n.Weight(kernel, 0.01f, 0)])),
        new("ConvInteger", (n, z) =>
        {
            Var[] x = n.Graph.AddMany("DynamicQuantizeLinear", 3, [z.Reshape(2, 2, 4, 3)]);
            return n.Op("ConvInteger", x[0], n.Of(kernel), x[2], n.Of(S((sbyte)0))).Cast(ElementType.Float) * (x[1] * n.Of(S(0.01f)));
        }, (n, z) => n.Graph.Add("Conv", [z.Reshape(2, 2, 4, 3), n.Weight(kernel, 0.01f, 0)])) { Dynamic = true },
        new("QLinearAdd", (n, q) => n.Real(n.Op("com.microsoft.QLinearAdd", q, n.Scale, n.Zero, n.Of(other), n.Of(S(0.01f)), n.Of(S((byte)100)), n.Of(S(0.1f)), n.Zero), 0.1f), (_, z) => z),
        new("QLinearMul", (n, q) => n.Real(n.Op("com.microsoft.QLinearMul", q, n.Scale, n.Zero, n.Of(other), n.Of(S(0.01f)), n.Of(S((byte)100)), n.Of(S(0.1f)), n.Zero), 0.1f), (n, z) => z * n.Weight(other, 0.01f, 100)),
        new("QLinearSigmoid", (n, q) => n.Real(n.Op("com.microsoft.QLinearSigmoid", q, n.Scale, n.Zero, n.Of(S(0.01f)), n.Of(S((byte)0))), 0.01f), (n, z) => n.Graph.Add("Sigmoid", [z])),
        new("QLinearLeakyRelu", (n, q) => n.Real(n.Op("com.microsoft.QLinearLeakyRelu", q, n.Scale, n.Zero, n.Scale, n.Zero), Scale), (n, z) => n.Graph.Add("LeakyRelu", [z])) { Shift = -1e-4f },
        new("QLinearSoftmax", (n, q) => n.Real(n.Op("com.microsoft.QLinearSoftmax", a => a.With("opset", 13L).With("axis", -1L), q, n.Scale, n.Zero, n.Of(S(0.01f)), n.Of(S((byte)0))), 0.01f), (n, z) => n.Graph.Add("Softmax", [z])),
        new("QLinearAveragePool", (n, q) => n.Real(n.Op("com.microsoft.QLinearAveragePool", Pool, q.Reshape(2, 2, 4, 3), n.Scale, n.Zero, n.Scale, n.Zero), Scale), (n, z) => n.Graph.Add("AveragePool", [z.Reshape(2, 2, 4, 3)], Pool)),
        new("QLinearGlobalAveragePool", (n, q) => n.Real(n.Op("com.microsoft.QLinearGlobalAveragePool", q.Reshape(2, 2, 4, 3), n.Scale, n.Zero, n.Scale, n.Zero), Scale), (n, z) => n.Graph.Add("GlobalAveragePool", [z.Reshape(2, 2, 4, 3)])),
        new("QLinearConcat", (n, q) => n.Real(n.Op("com.microsoft.QLinearConcat", a => a.With("axis", 1L), n.Scale, n.Zero, q, n.Scale, n.Zero, n.Of(other), n.Of(S(0.01f)), n.Of(S((byte)100)), q, n.Scale, n.Zero), Scale), (n, z) => n.Graph.Concat(1, z, n.Weight(other, 0.01f, 100), z)),
        new("QLinearWhere", (n, q) => n.Real(n.Op("com.microsoft.QLinearWhere", n.Of(B([6], true, false, true, true, false, true)), q, n.Scale, n.Zero, n.Of(other), n.Of(S(0.01f)), n.Of(S((byte)100)), n.Scale, n.Zero), Scale), (n, z) => n.Of(B([6], true, false, true, true, false, true)).Where(z, n.Weight(other, 0.01f, 100))),
        new("QAttention", (n, q) => n.Op("com.microsoft.QAttention", a => a.With("num_heads", 2L), q.Reshape(2, 4, 6), n.Of(projection), n.Of(wide), n.Scale, n.Of(S(0.01f)), null, n.Zero, n.Of(S((sbyte)0))),
            (n, z) => n.Op("com.microsoft.Attention", a => a.With("num_heads", 2L), z.Reshape(2, 4, 6), n.Weight(projection, 0.01f, 0), n.Of(wide))),
        new("MaxPool of bytes", (n, q) => n.Real(n.Op("MaxPool", Pool, q.Reshape(2, 2, 4, 3)), Scale), (n, z) => n.Graph.Add("MaxPool", [z.Reshape(2, 2, 4, 3)], Pool)),
        new("Gather of bytes", (n, q) => n.Real(q.Gather(n.Graph.Longs(3, 1, 1)), Scale), (n, z) => z.Gather(n.Graph.Longs(3, 1, 1))),
        new("Split of bytes", (n, q) => n.Real(n.Graph.AddMany("Split", 2, [q, n.Graph.Longs(2, 4)], a => a.With("axis", 1L))[1], Scale), (n, z) => n.Graph.AddMany("Split", 2, [z, n.Graph.Longs(2, 4)], a => a.With("axis", 1L))[1]),
        new("Pad of bytes", (n, q) => n.Real(n.Graph.Add("Pad", [q, n.Graph.Longs(0, 1, 0, 1), n.Zero]), Scale), (n, z) => n.Graph.Add("Pad", [z, n.Graph.Longs(0, 1, 0, 1)])),
        new("Concat of bytes", (n, q) => n.Real(n.Graph.Concat(1, q, q), Scale), (n, z) => n.Graph.Concat(1, z, z)),
    ];

    public static IEnumerable<object[]> Names => layers.Select(l => new object[] { l.Name });

    [TestMethod, DynamicData(nameof(Names))]
    public void The_gradient_is_that_of_the_float_operator_at_the_rounded_numbers(string name)
    {
        Layer layer = layers.Single(l => l.Name == name);
        float[] expected = Gradient(n => layer.Float(n, n.Z() + n.Of(Rounding(layer)))), actual = Gradient(n => layer.Quantized(n, layer.Dynamic ? n.Z() : n.Graph.Add("QuantizeLinear", [n.Z(), n.Scale, n.Zero])));
        Assert.IsTrue(expected.Max(Math.Abs) > 0.05, "the expected gradient is no zero");
        for (int i = 0; i < expected.Length; i++) Assert.AreEqual(expected[i], actual[i], 2e-4f * expected.Max(Math.Abs), $"{name}: entry {i}");
    }

    private static void Pool(Node node) => node.With("kernel_shape", [2L, 2]);

    /// <summary>What rounding adds to z.</summary>
    private static Tensor Rounding(Layer layer)
    {
        float[] x = a.ToFloats(), v = w.ToFloats();
        float[] z = [.. from row in Enumerable.Range(0, 8) from column in Enumerable.Range(0, 6) select Enumerable.Range(0, 5).Sum(i => x[(row * 5) + i] * v[(i * 6) + column])];
        bool dynamic = layer.Dynamic;
        float low = Math.Min(0, z.Min()), high = Math.Max(0, z.Max()), scale = dynamic ? (high - low) / 255 : Scale, zero = dynamic ? MathF.Round(-low / scale) : Zero;
        return Tensor.From<float>("rounding", [.. z.Select(value => ((Math.Clamp(MathF.Round(value / scale) + zero, 0, 255) - zero) * scale) - value + layer.Shift)], 8, 6);
    }

    private static float[] Gradient(Func<Net, Var> layer)
    {
        var net = new Net();
        Var y = layer(net).Reshape(-1);
        Var ramp = net.Graph.Add("Range", [net.Graph.Scalar(0, ElementType.Int64), y.ShapeOf().Squeeze(0), net.Graph.Scalar(1, ElementType.Int64)]).Cast(ElementType.Float);
        string loss = (y * net.Graph.Add("Sin", [(ramp * 1.7) + 1])).ReduceSum([0], keepDims: false).Name;
        Graph graph = LoweredGraph.Of(net.Graph);
        string gradient = BackwardPass.Run(graph, loss, ["w"])["w"].Name;
        graph.Outputs.Add(new(gradient, new(ElementType.Float, null)));
        using var folder = TestFiles.Temp();
        OnnxFile.Write(graph, folder["graph.onnx"]);
        using var options = new SessionOptions { IntraOpNumThreads = 1, LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL };
        TrainingOperators.AddTo(options);
        using var session = new InferenceSession(folder["graph.onnx"], options);
        using var run = new RunOptions();
        using var results = session.Run(run, [], [], [gradient]);
        return results[0].GetTensorDataAsSpan<float>().ToArray();
    }

    /// <summary>The graph with its trained weight.</summary>
    private sealed class Net
    {
        public Graph Graph { get; } = new() { Opset = 21, IrVersion = 10, Domains = { ["com.microsoft"] = 1 } };

        public Net()
        {
            Graph.Initializers.Add("w", w.Rename("w"));
            Graph.Types["w"] = w.TensorType;
        }

        public Var Scale => Of(S(StraightThroughTests.Scale));

        public Var Zero => Of(S(StraightThroughTests.Zero));

        public Var Z() => Of(a).MatMul(Graph.Var("w"));

        public Var Of(Tensor tensor)
        {
            string name = Graph.NewName(tensor.Name + "_const");
            Graph.Initializers.Add(name, tensor.Rename(name));
            Graph.Types[name] = tensor.TensorType;
            return Graph.Var(name);
        }

        public Var Op(string op, params Var?[] inputs) => Op(op, _ => { }, inputs);

        public Var Op(string op, Action<Node> attributes, params Var?[] inputs) => Graph.Add(op[(op.LastIndexOf('.') + 1)..], inputs, attributes, op.Contains('.') ? "com.microsoft" : "");

        /// <summary>What bytes with this scale stand for; the zero point of sigmoid and softmax outputs does not matter to a gradient.</summary>
        public Var Real(Var q, float scale) => Graph.Add("DequantizeLinear", [q, Of(S(scale)), Zero]);

        /// <summary>The numbers of a quantized weight as floats.</summary>
        public Var Weight(Tensor q, float scale, int zero) => Of(Tensor.From<float>("float", [.. (q.Type == ElementType.Int8 ? q.AsSpan<sbyte>().ToArray().Select(v => (int)v) : q.AsSpan<byte>().ToArray().Select(v => (int)v)).Select(v => (v - zero) * scale)], q.Dims));
    }
}
