using static Lift.Ort.Tests.Gradients.CaseData;

namespace Lift.Ort.Tests.Gradients;

/// <summary>Cases for every gradient rule: plain, broadcast, other ranks and edges. Further groups are classes of this namespace marked <see cref="GradientCaseGroupAttribute"/>.</summary>
internal static class GradientCases
{
    private static readonly Dictionary<string, GradientCase[]> plain = new()
    {
        ["Add"] = Binary(),
        ["Sub"] = Binary(),
        ["Mul"] = Binary(),
        ["Div"] = [.. Binary(b => F(b, 0.6f, 2))],
        ["Mod"] = [new("plain", [F([2, 3], 0.1f, 2), F([3], 2.5f, 3)], n => n.With("fmod", 1L))],
        ["Pow"] = [new("square", [F([2, 3]), S(2f)]) { Vary = [0] }, new("cube", [F([2, 3]), S(3f)]) { Vary = [0] }, new("both", [F([2, 3], 0.5f, 2), F([3], 0.5f, 2, 2)])],
        ["Max"] = [new("three", [F([2, 3]), F([3], seed: 2), F([2, 1], seed: 3)]) { Step = 1e-3f }],
        ["Min"] = [new("two", [F([2, 3]), F([2, 3], seed: 2)]) { Step = 1e-3f }],
        ["Sum"] = [new("three", [F([2, 3]), F([3]), F([2, 1])])],
        ["Mean"] = [new("two", [F([2, 3]), F([3])])],
        ["Where"] = [new("broadcast", [B([2, 1], true, false), F([2, 3]), F([3])])],
        ["Neg"] = Unary(),
        ["Exp"] = Unary(),
        ["Sin"] = Unary(),
        ["Cos"] = Unary(),
        ["Erf"] = Unary(),
        ["Identity"] = Unary(),
        ["Sinh"] = Unary(),
        ["Cosh"] = Unary(),
        ["Asinh"] = Unary(),
        ["Atan"] = Unary(),
        ["Dropout"] = Unary(),
        ["Sigmoid"] = Unary(),
        ["Tanh"] = Unary(),
        ["Softplus"] = Unary(),
        ["Mish"] = [new("plain", [F([2, 5])], Opset: 18)],
        ["Cast"] = [new("same", [F([2, 3])], n => n.With("to", 1L))],
        ["CastLike"] = [new("same", [F([2, 3]), F([1])]) { Vary = [0] }],
        ["Abs"] = Kinked(),
        ["Relu"] = Kinked(),
        ["LeakyRelu"] = Kinked(),
        ["Softsign"] = Kinked(),
        ["Elu"] = Kinked(),
        ["Selu"] = Kinked(),
        ["Celu"] = Kinked(),
        ["HardSigmoid"] = Kinked(),
        ["HardSwish"] = Kinked(),
        ["ThresholdedRelu"] = [new("plain", [F([2, 4], -1, 3)], n => n.With("alpha", 0.97f)) { Step = 1e-3f }],
        ["PRelu"] = [new("per channel", [F([2, 3]), F([3], 0.1f, 0.4f)]) { Step = 1e-3f }],
        ["Log"] = Unary(0.5f, 2),
        ["Sqrt"] = Unary(0.5f, 2),
        ["Reciprocal"] = Unary(0.6f, 2),
        ["Tan"] = Unary(-0.8f, 0.8f),
        ["Asin"] = Unary(-0.7f, 0.7f),
        ["Acos"] = Unary(-0.7f, 0.7f),
        ["Acosh"] = Unary(1.5f, 3),
        ["Atanh"] = Unary(-0.7f, 0.7f),
        ["Clip"] = [new("both", [F([2, 5]), S(-0.52f), S(0.93f)]) { Vary = [0], Step = 1e-3f }, new("low only", [F([2, 5]), S(0.11f)]) { Vary = [0], Step = 1e-3f }, new("high only", [F([7]), null, S(0.2f)]) { Vary = [0], Step = 1e-3f }],
        ["Gelu"] = [new("erf", [F([2, 5])], Opset: 20), new("tanh", [F([2, 5])], n => n.With("approximate", "tanh"), Opset: 20)],
        ["com.microsoft.Gelu"] = Unary(),
        ["com.microsoft.FastGelu"] = [new("plain", [F([2, 5])]), new("bias", [F([2, 5]), F([5], seed: 2)])],
        ["com.microsoft.BiasGelu"] = [new("bias", [F([2, 5]), F([5], seed: 2)])],
        ["com.microsoft.QuickGelu"] = [new("alpha", [F([2, 5])], n => n.With("alpha", 1.3f)), new("default", [F([2, 5])])],

        ["MatMul"] =
        [
            new("2d", [F([2, 3]), F([3, 4])]), new("batch x 2d", [F([2, 3, 4]), F([4, 5])]), new("batch", [F([2, 3, 4]), F([2, 4, 5])]), new("broadcast batch", [F([2, 1, 3, 4]), F([5, 4, 2])]),
            new("2d x batch", [F([3, 4]), F([2, 4, 5])]), new("vector x 2d", [F([3]), F([3, 4])]), new("2d x vector", [F([2, 3]), F([3])]), new("vectors", [F([3]), F([3], seed: 2)]),
            new("batch x vector", [F([2, 3, 4]), F([4])]), new("vector x batch", [F([3]), F([2, 3, 4])]),
        ],
        ["Gemm"] = [.. from ta in new[] { 0L, 1L } from tb in new[] { 0L, 1L } select new GradientCase($"{ta}{tb}", [F(ta == 0 ? [2, 3] : [3, 2]), F(tb == 0 ? [3, 4] : [4, 3]), F([4])], n => n.With("transA", ta).With("transB", tb).With("alpha", 0.7f).With("beta", 1.3f)),
            new("no c", [F([2, 3]), F([3, 4])]), new("column c", [F([2, 3]), F([3, 4]), F([2, 1])]), new("scalar c", [F([2, 3]), F([3, 4]), S(0.5f)])],
        ["com.microsoft.FusedMatMul"] = [.. from ta in new[] { 0L, 1L } from tb in new[] { 0L, 1L } select new GradientCase($"{ta}{tb}", [F(ta == 0 ? [2, 2, 3] : [2, 3, 2]), F(tb == 0 ? [3, 4] : [4, 3])], n => n.With("transA", ta).With("transB", tb).With("alpha", 0.7f))],

        ["Einsum"] =
        [
            new("product", [F([2, 3]), F([3, 4])], n => n.With("equation", "ij,jk->ik")), new("attention", [F([2, 3, 2, 4]), F([2, 5, 2, 4])], n => n.With("equation", "bqhd,bkhd->bhqk")),
            new("implicit", [F([2, 3]), F([3])], n => n.With("equation", "ij,j")), new("summed away", [F([2, 3])], n => n.With("equation", "ij->j")), new("three", [F([2, 3]), F([3, 2]), F([2])], n => n.With("equation", "ij,jk,k->i")),
        ],

        ["ReduceSum"] = [new("axes", [F([2, 3, 4]), L(1)]), new("no keep", [F([2, 3, 4]), L(0, -1)], n => n.With("keepdims", 0L)), new("all", [F([2, 3])]), new("no-op", [F([2, 3])], n => n.With("noop_with_empty_axes", 1L))],
        ["ReduceMean"] = [new("attribute", [F([2, 3, 4])], n => n.With("axes", [-1L])), new("input", [F([2, 3, 4]), L(1, 2)], n => n.With("keepdims", 0L), Opset: 18), new("all", [F([2, 3])])],
        ["ReduceMax"] = Reduction(1e-3f),
        ["ReduceMin"] = Reduction(1e-3f),
        ["ReduceProd"] = Reduction(low: 0.5f),
        ["ReduceL1"] = Reduction(1e-3f),
        ["ReduceL2"] = Reduction(),
        ["ReduceSumSquare"] = Reduction(),
        ["ReduceLogSum"] = Reduction(low: 0.5f),
        ["ReduceLogSumExp"] = Reduction(),
        ["CumSum"] = [new("plain", [F([2, 3]), S(1L)]) { Vary = [0] }, new("exclusive reverse", [F([2, 3]), S(0L)], n => n.With("exclusive", 1L).With("reverse", 1L)) { Vary = [0] }],

        ["Reshape"] = [new("plain", [F([2, 6]), L(3, -1)])],
        ["Flatten"] = [new("axis 1", [F([2, 3, 4])]), new("axis 2", [F([2, 3, 4])], n => n.With("axis", 2L))],
        ["Squeeze"] = [new("axes", [F([2, 1, 3]), L(1)]), new("all", [F([2, 1, 3])])],
        ["Unsqueeze"] = [new("axes", [F([2, 3]), L(0, -1)])],
        ["Transpose"] = [new("perm", [F([2, 3, 4])], n => n.With("perm", [2L, 0, 1])), new("default", [F([2, 3, 4])])],
        ["Expand"] = [new("rank", [F([3, 1]), L(2, 3, 4)]), new("same", [F([3]), L(1)])],
        ["Concat"] = [new("axis 1", [F([2, 3]), F([2, 1]), F([2, 2])], n => n.With("axis", 1L)), new("negative", [F([2, 3]), F([2, 1])], n => n.With("axis", -1L)), new("one", [F([2, 3])], n => n.With("axis", 0L))],
        ["Split"] = [new("sizes", [F([2, 5]), L(2, 3)], n => n.With("axis", 1L), 2), new("even", [F([4, 3])], n => n.With("axis", 0L), 2), new("outputs", [F([2, 6])], n => n.With("axis", -1L).With("num_outputs", 3L), 3, 18)],
        ["Slice"] =
        [
            new("plain", [F([4, 5]), L(1), L(3), L(0)]), new("two axes", [F([4, 5]), L(1, 0), L(3, 4), L(0, 1)]), new("to the end", [F([4, 5]), L(2), L(long.MaxValue), L(-1)]), new("negative start", [F([4, 5]), L(-2), L(5), L(1)]),
            new("step 2", [F([4, 5]), L(0), L(5), L(1), L(2)]), new("backwards", [F([4, 5]), L(-1), L(-6), L(1), L(-1)]), new("no axes", [F([4, 5]), L(1, 2), L(3, 4)]),
        ],
        ["Tile"] = [new("plain", [F([2, 3]), L(2, 1)]), new("both", [F([2, 1]), L(3, 2)])],
        ["Trilu"] = [new("upper", [F([3, 3])]), new("lower k", [F([2, 3, 4]), S(1L)], n => n.With("upper", 0L))],
        ["DepthToSpace"] = [new("DCR", [F([1, 8, 2, 3])], n => n.With("blocksize", 2L)), new("CRD", [F([1, 8, 2, 3])], n => n.With("blocksize", 2L).With("mode", "CRD"))],
        ["SpaceToDepth"] = [new("plain", [F([1, 2, 4, 6])], n => n.With("blocksize", 2L))],

        ["Gather"] = [new("axis 0 repeated", [F([4, 3]), L([2, 2], 1, 3, 1, 0)]), new("axis 1", [F([2, 4, 3]), L([3], 2, 0, 2)], n => n.With("axis", 1L)), new("scalar", [F([2, 4, 3]), S(1L)], n => n.With("axis", 1L)), new("first", [F([4, 12, 64]), S(0L)], n => n.With("axis", 1L)), new("negative", [F([4, 3]), L(-1, 0)]), new("last axis", [F([2, 3]), L([2, 2], 0, 1, 1, 2)], n => n.With("axis", -1L))],
        ["GatherElements"] = [new("repeated", [F([3, 3]), L([2, 3], 0, 1, 2, 0, 0, 2)])],
        ["GatherND"] = [new("rows", [F([2, 3, 2]), L([2, 2], 0, 1, 1, 2)]), new("repeated", [F([3, 2]), L([3, 1], 1, 1, 0)])],
        ["ScatterElements"] = [new("replace", [F([3, 3]), L([2, 3], 0, 1, 2, 1, 2, 0), F([2, 3])]), new("add", [F([3, 3]), L([2, 3], 0, 1, 2, 0, 1, 0), F([2, 3])], n => n.With("reduction", "add"))],
        ["ScatterND"] = [new("replace", [F([4, 2]), L([2, 1], 1, 3), F([2, 2])]), new("add", [F([4, 2]), L([2, 1], 1, 1), F([2, 2])], n => n.With("reduction", "add"))],
        ["TopK"] = [new("largest", [F([2, 5]), L(2)], Outputs: 2) { Step = 1e-3f }],

        ["Softmax"] = [new("last", [F([2, 5])]), new("axis 1", [F([2, 3, 4])], n => n.With("axis", 1L))],
        ["LogSoftmax"] = [new("last", [F([2, 5])]), new("axis 0", [F([3, 4])], n => n.With("axis", 0L))],
        ["SoftmaxCrossEntropyLoss"] = [new("mean", [F([4, 5]), L([4], 1, -100, 0, 4)], n => n.With("ignore_index", -100L)), new("no ignore", [F([3, 4]), L([3], 1, 0, 3)])],
        ["LayerNormalization"] = [new("bias", [F([2, 3, 5]), F([5], 0.5f, 1.5f), F([5])]), new("no bias", [F([4, 5]), F([5], 0.5f, 1.5f)]), new("two axes", [F([2, 3, 4]), F([3, 4], 0.5f, 1.5f), F([3, 4])], n => n.With("axis", 1L))],
        ["SimplifiedLayerNormalization"] = [new("plain", [F([2, 3, 5]), F([5], 0.5f, 1.5f)]), new("two axes", [F([2, 3, 4]), F([3, 4], 0.5f, 1.5f)], n => n.With("axis", 1L))],
    };

    /// <summary>All cases of each operator.</summary>
    public static readonly Dictionary<string, GradientCase[]> Table = typeof(GradientCases).Assembly.GetTypes()
        .Where(t => t.IsDefined(typeof(GradientCaseGroupAttribute), false))
        .SelectMany(t => (Dictionary<string, GradientCase[]>)t.GetProperty("Cases")!.GetValue(null)!)
        .Concat(plain).GroupBy(c => c.Key, c => c.Value).ToDictionary(g => g.Key, g => g.SelectMany(c => c).ToArray());

    private static GradientCase[] Unary(float low = -1.5f, float high = 1.5f) => [new("matrix", [F([2, 5], low, high)]), new("scalar", [F([], low, high)])];

    /// <summary>Steps small enough not to cross the kinks: values lie at odd multiples of their spacing around 0.</summary>
    private static GradientCase[] Kinked() => [new("matrix", [F([2, 4], -2.13f, 2.4f)]) { Step = 1e-3f }];

    private static GradientCase[] Binary(Func<long[], Lift.Ort.Onnx.Tensor>? second = null)
    {
        second ??= d => F(d, seed: 2);
        return [new("same", [F([2, 3]), second([2, 3])]), new("row", [F([2, 3]), second([3])]), new("column", [F([2, 1]), second([2, 3])]), new("scalar", [F([2, 3]), second([])]), new("outer", [F([4, 1]), second([1, 3])]), new("ranks", [F([3]), second([2, 1, 3])])];
    }

    private static GradientCase[] Reduction(float step = 1e-2f, float low = -1.5f) =>
        [new("attribute", [F([2, 3, 4], low)], n => n.With("axes", [1L])) { Step = step }, new("input", [F([2, 3, 4], low), L(-1)], n => n.With("keepdims", 0L), Opset: 18) { Step = step }, new("all", [F([2, 3], low)]) { Step = step }];
}
