using Lift.Ort.Gradients;
using Lift.Ort.Lowering;
using Lift.Ort.Onnx;
using Lift.Ort.Onnx.Opsets;
using static Lift.Ort.Tests.Gradients.CaseData;

namespace Lift.Ort.Tests.Gradients;

/// <summary>
/// Every operator that ONNX Runtime's own gradient builder registers, and those beyond it that exported models hold, has a rule, a lowering, or is declared
/// to stop gradients. The lists are data of their own, from the design page on gradient operators; nothing here is derived from the rules.
/// </summary>
[TestClass]
public sealed class ParityTests
{
    private const string Microsoft = "com.microsoft.";

    /// <summary>Registered in ONNX Runtime's gradient builder (1.19, the last release with training), by group.</summary>
    private static readonly (string Group, string Prefix, string Operators)[] registered =
    [
        ("element-wise, unary", "", "Cast Sin Cos Log Exp Tanh Sqrt Erf Neg Abs Reciprocal Sigmoid Relu LeakyRelu Clip Identity"),
        ("activations", Microsoft, "Gelu BiasGelu FastGelu QuickGelu"),
        ("element-wise, binary and variadic", "", "Add Sub Mul Div Pow Min Max Where com.microsoft.ScaledSum"),
        ("matrix", "", "MatMul Gemm com.microsoft.FusedMatMul"),
        ("reductions", "", "ReduceMean ReduceSum ReduceLogSumExp ReduceL2"),
        ("shape", "", "Reshape Flatten Transpose Squeeze Unsqueeze Concat com.microsoft.ConcatTraining Split Slice Expand Tile Pad Trilu"),
        ("indexing", "", "Gather GatherElements GatherND ScatterElements ScatterND TopK com.microsoft.PadAndUnflatten com.microsoft.ShrunkenGather"),
        ("normalisation, probability", "", "LayerNormalization SimplifiedLayerNormalization com.microsoft.BatchNormInternal Softmax LogSoftmax Dropout"),
        ("losses", "", "com.microsoft.SoftmaxCrossEntropy SparseSoftmaxCrossEntropy SoftmaxCrossEntropyLoss com.microsoft.SoftmaxCrossEntropyLossInternal"),
        ("convolution, pooling", "", "Conv ConvTranspose MaxPool AveragePool GlobalAveragePool"),
        ("recurrent", Microsoft, "LSTMTraining GRUTraining"),
    ];

    /// <summary>Not registered there, and met in exported models.</summary>
    private static readonly (string Group, string Prefix, string Operators)[] beyond =
    [
        ("first", "", "com.microsoft.GroupQueryAttention com.microsoft.MultiHeadAttention com.microsoft.Attention Attention"),
        ("first", "", "com.microsoft.RotaryEmbedding RotaryEmbedding SkipLayerNormalization SkipSimplifiedLayerNormalization RMSNormalization"),
        ("second", "", "com.microsoft.MatMulNBits DequantizeLinear QuantizeLinear"),
        ("second", "", "Einsum CumSum ReduceMax ReduceMin ReduceProd OneHot"),
        ("third", "", "Softplus Elu Selu Celu HardSigmoid HardSwish Mish PRelu ThresholdedRelu Softsign Atan Asin Acos Sinh Cosh Round Floor Ceil Sign"),
        ("third", "", "BatchNormalization InstanceNormalization GroupNormalization LpNormalization Resize GridSample ConvTranspose GlobalMaxPool LSTM GRU"),
    ];

    /// <summary>What is missing still.</summary>
    private static readonly HashSet<string> notYet = [];

    /// <summary>Inputs at which the gradient stops: the node, and the index of the input.</summary>
    private static readonly (string Operator, GradientCase Case, int[] Inputs)[] edges =
    [
        ("Gather", new("", [F([4, 3]), L(1, 2)]), [1]),
        ("Reshape", new("", [F([4, 3]), L(3, 4)]), [1]),
        ("Expand", new("", [F([1, 3]), L(2, 3)]), [1]),
        ("Dropout", new("", [F([4]), S(0.25f)]), [1]),
        ("Slice", new("", [F([4, 3]), L(1), L(3), L(0), L(1)]), [1, 2, 3, 4]),
        ("SoftmaxCrossEntropyLoss", new("", [F([3, 4]), L(0, 1, 3), F([4], 0.5f, 2)]), [1, 2]),
        ("com.microsoft.SoftmaxCrossEntropyLossInternal", new("", [F([3, 4]), L(0, 1, 3), F([4], 0.5f, 2)], Outputs: 2), [1, 2]),
        ("com.microsoft.SoftmaxCrossEntropy", new("", [F([2, 3]), F([2, 3], 0, 1)]), [1]),
        ("SparseSoftmaxCrossEntropy", new("", [F([3, 4]), L(0, 1, 3), F([3], 0.5f, 2)]), [1, 2]),
        ("ConstantOfShape", new("", [L(2, 3)]), [0]),
        ("OneHot", new("", [L(0, 2), S(3L), F([2])]), [0, 1]),
        ("Where", new("", [B([3], true, false, true), F([3]), F([3], seed: 2)]), [0]),
        ("Range", new("", [S(0f), S(6f), S(2f)]), [0, 1, 2]),
    ];

    public static IEnumerable<object[]> Operators => registered.Concat(beyond)
        .SelectMany(g => g.Operators.Split(' ').Select(op => (g.Group, Operator: g.Prefix + op))).DistinctBy(o => o.Operator).Select(o => new object[] { o.Group, o.Operator });

    public static IEnumerable<object[]> Edges => edges.SelectMany(e => e.Inputs.Select(i => new object[] { e.Operator, i }));

    [TestMethod, DynamicData(nameof(Operators))]
    public void Operator_of_the_parity_table_has_a_gradient(string group, string op)
    {
        if (!notYet.Contains(op)) Assert.IsTrue(HasGradient(op), $"{op} ({group}) has neither a gradient rule nor a lowering");
    }

    [TestMethod]
    public void What_has_come_is_taken_from_the_list_of_what_is_missing() => Assert.AreEqual("", string.Join(", ", notYet.Where(HasGradient)));

    [TestMethod, DynamicData(nameof(Edges))]
    public void Gradient_stops_where_the_table_says(string op, int input)
    {
        GradientCase c = edges.Single(e => e.Operator == op).Case;
        var (graph, loss) = GradientCheck.Forward(op, c);
        Assert.AreEqual("", string.Join(", ", BackwardPass.Run(graph, loss, [$"x{input}"]).Keys), op);
    }

    [TestMethod]
    public void Control_flow_is_refused_in_one_sentence_that_names_the_node_and_the_weight()
    {
        foreach (string op in new[] { "Loop", "Scan" })
        {
            var graph = new Graph();
            graph.Initializers.Add("w", F([3]).Rename("w"));
            graph.Nodes.Add(new Node(op, "", ["w"], ["y"], "layer/7"));
            graph.Types["y"] = new(ElementType.Float, Shape.Scalar);
            var e = Assert.ThrowsExactly<LiftException>(() => BackwardPass.Run(graph, "y", ["w"]));
            StringAssert.Contains(e.Message, $"{op} 'layer/7'");
            StringAssert.Contains(e.Message, "--freeze 'w'");
        }
    }

    private static bool HasGradient(string op) =>
        GradientRules.Has(op) || GradientRules.IsConstant(op) || Lowerings.Has(op) || Lowerings.Has(Microsoft + op) || HasAfterReading(op);

    /// <summary>True for operators of opset 22 and 23 that reading brings into an older form with a rule.</summary>
    private static bool HasAfterReading(string op)
    {
        var graph = new Graph { Opset = 23 };
        graph.Inputs.AddRange([new("x", new(ElementType.Float, new Shape(2, 3))), new("s", new(ElementType.Float, new Shape(3)))]);
        graph.Nodes.Add(new Node(op, "", ["x", "s"], ["y"]));
        try
        {
            OpsetConverter.Normalise(graph, "parity");
        }
        catch (LiftException)
        {
            return false;
        }
        return graph.Nodes.All(n => GradientRules.Has(n.Operator));
    }
}
