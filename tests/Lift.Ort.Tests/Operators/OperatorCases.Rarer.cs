using Lift.Ort.Onnx;

namespace Lift.Ort.Tests.Operators;

/// <summary>Operators that the gradient builder emits for rarer forms, and those of older or larger trainers.</summary>
internal static partial class OperatorCases
{
    private static readonly long[][] someShapes = [[], [1], [0, 3], [5], [2, 3, 4]];

    private static Dictionary<string, Func<IEnumerable<OperatorCase>>> Rarer => new()
    {
        ["ScaledSum"] = ScaledSum,
        ["BatchScale"] = BatchScale,
        ["Scale"] = Scale,
        ["MixedPrecisionScale"] = MixedPrecisionScale,
        ["DivGrad"] = DivGrad,
        ["SinGrad"] = () => Plain(Activation("SinGrad", x => x, (dy, x) => dy * Math.Cos(x))).Select(c => c with { Node = c.Node with { Domain = "" } }),
        ["FakeQuant"] = FakeQuant,
        ["FakeQuantGrad"] = FakeQuantGrad,
        ["ConvTransposeGrad"] = ConvTransposeGrad,
        ["IsFinite"] = IsFinite,
        ["IsAllFinite"] = IsAllFinite,
        ["ReduceAllL2"] = ReduceAllL2,
        ["ShrunkenGather"] = ShrunkenGather,
        ["PadAndUnflatten"] = PadAndUnflatten,
        ["FlattenAndUnpad"] = FlattenAndUnpad,
        ["GatherNDGrad"] = GatherNDGrad,
        ["View"] = View,
        ["PassThrough"] = PassThrough,
        ["SoftmaxCrossEntropy"] = () => DenseLoss(forward: true),
        ["SoftmaxCrossEntropyGrad"] = () => DenseLoss(forward: false),
        ["SparseSoftmaxCrossEntropy"] = () => SparseLoss(forward: true),
        ["SparseSoftmaxCrossEntropyGrad"] = () => SparseLoss(forward: false),
        ["NegativeLogLikelihoodLossInternal"] = () => LogLikelihood("NegativeLogLikelihoodLossInternal"),
        ["NegativeLogLikelihoodLossInternal2"] = () => LogLikelihood("NegativeLogLikelihoodLossInternal2"),
        ["InPlaceAccumulator"] = FirstAccumulator,
        ["GradientAccumulator"] = () => FirstAccumulator().Where(c => c.Inputs.Length == 2).Select(c => c with { Node = new OneNode("GradientAccumulator") }),
    };

    private static IEnumerable<OperatorCase> Plain(IEnumerable<OperatorCase> cases) => cases.Select(c => c with { HasFallback = false });

    private static OperatorCase Without(OneNode node, TestTensor?[] inputs, params TestTensor[] expected) => new(node, inputs, expected) { HasFallback = false };

    private static IEnumerable<OperatorCase> ScaledSum()
    {
        foreach (long[] dims in someShapes)
        {
            Grid a = Grid.Normal(1, dims), b = Grid.Normal(2, dims), c = Grid.Normal(3, dims);
            yield return Without(new("ScaledSum", ("scale_0", 0.5f), ("scale_1", -2f)), [a, b], a.Zip(b, (x, y) => 0.5 * x - 2 * y));
            yield return Without(new("ScaledSum", ("scale_0", 1f), ("scale_1", 2f), ("scale_2", 4f)), [a, b, c], a.Zip(b, (x, y) => x + 2 * y).Zip(c, (x, y) => x + 4 * y));
        }
    }

    private static IEnumerable<OperatorCase> BatchScale()
    {
        foreach (long[] dims in someShapes)
        {
            Grid x = Grid.Normal(1, dims);
            Grid Times(double s) => x.Zip(x, (v, _) => s * v);
            yield return Without(new("BatchScale", ("scale_0", 0.5f), ("scale_1", -2f)) { Outputs = 2 }, [x], Times(0.5), Times(-2));
            yield return Without(new("BatchScale", ("scale_0", 1f), ("scale_1", 2f), ("scale_2", 4f)) { Outputs = 3 }, [x], Times(1), Times(2), Times(4));
        }
    }

    private static IEnumerable<OperatorCase> Scale()
    {
        foreach (ElementType type in new[] { ElementType.Float, ElementType.Int64, ElementType.Int32 })
            foreach (long[] dims in someShapes)
            {
                Grid x = Grid.Normal(1, dims);
                TestTensor four = new(type, [], [4]);
                yield return Without(new("Scale", ("scale_down", 1L)), [x, four], x.Zip(x, (v, _) => v / 4));
                yield return Without(new("Scale"), [x, four], x.Zip(x, (v, _) => v * 4));
            }
    }

    private static IEnumerable<OperatorCase> MixedPrecisionScale()
    {
        Grid a = Grid.Normal(1, 2, 3), b = Grid.Normal(2, 4);
        yield return Without(new("MixedPrecisionScale") { Outputs = 2 }, [TestTensor.Of(0.5), a, b], a.Zip(a, (v, _) => v / 2), b.Zip(b, (v, _) => v / 2));
        yield return Without(new("MixedPrecisionScale", ("fuse_outputs", 1L)), [TestTensor.Of(2), a, b], new Grid([10], [.. a.Values.Concat(b.Values).Select(v => v * 2)]));
    }

    private static IEnumerable<OperatorCase> DivGrad()
    {
        foreach (var (a, b) in new (long[], long[])[] { ([2, 3], [2, 3]), ([2, 3], [3]), ([2, 1], [2, 3]), ([], [4]), ([3], []), ([3], [2, 1, 3]), ([4, 1], [1, 3]), ([0, 3], [3]), ([2, 300], []) })
        {
            int rank = Math.Max(a.Length, b.Length);
            long[] Full(long[] d) => [.. Enumerable.Repeat(1L, rank - d.Length), .. d];
            long[] wide = [.. Full(a).Zip(Full(b), (x, y) => x == 1 ? y : x)];
            Grid dy = Grid.Normal(1, wide), x = Grid.Normal(2, a), c = Grid.Normal(3, b).Map(v => Math.Abs(v) + 0.5), dx = Grid.Zeros(a), dc = Grid.Zeros(b);
            foreach (long[] at in dy.Positions())
            {
                long[] pa = [.. at[(rank - a.Length)..].Zip(a, (i, d) => d == 1 ? 0 : i)], pb = [.. at[(rank - b.Length)..].Zip(b, (i, d) => d == 1 ? 0 : i)];
                dx[pa] += dy[at] / c[pb];
                dc[pb] -= dy[at] * x[pa] / (c[pb] * c[pb]);
            }
            yield return Without(new OneNode("DivGrad") { Outputs = 2 }, [dy, x, c], dx, dc);
            yield return Without(new OneNode("DivGrad") { Outputs = 2, Absent = [0] }, [dy, x, c], dc);
        }
    }

    private static IEnumerable<OperatorCase> FakeQuant()
    {
        Grid x = new([7], [-9, -1, -0.26, 0, 0.25, 1, 99]), y = new([7], [-1, -1, -0.5, 0, 0, 1, 62.75 + 63.5]);
        yield return Without(new OneNode("FakeQuant", ("quant_min", 0L), ("quant_max", 255L)) { Outputs = 2 }, [x, TestTensor.Of(0.5), TestTensor.Of(2)],
            new Grid([7], [-1, -1, -0.5, 0, 0, 1, 99]), new TestTensor(ElementType.Bool, [7], [0, 1, 1, 1, 1, 1, 1]));
        yield return Without(new OneNode("FakeQuant", ("quant_min", -8L), ("quant_max", 7L)) { Outputs = 2 }, [x, TestTensor.Of(1), TestTensor.Of(0)],
            new Grid([7], [-8, -1, 0, 0, 0, 1, 7]), new TestTensor(ElementType.Bool, [7], [0, 1, 1, 1, 1, 1, 0]));
    }

    private static IEnumerable<OperatorCase> FakeQuantGrad()
    {
        yield return Without(new("FakeQuantGrad"), [new Grid([3], [1, 2, 3]), new TestTensor(ElementType.Bool, [3], [0, 1, 0])], new Grid([3], [0, 2, 0]));
    }

    private static IEnumerable<OperatorCase> IsFinite()
    {
        double[] x = [1, double.NaN, 0, double.PositiveInfinity, -3, double.NegativeInfinity];
        yield return Without(new("IsFinite"), [new Grid([2, 3], x)], new TestTensor(ElementType.Bool, [2, 3], [1, 0, 1, 0, 1, 0]));
    }

    private static IEnumerable<OperatorCase> IsAllFinite()
    {
        Grid good = Grid.Normal(1, 2, 3), nan = new([2], [1, double.NaN]), infinite = new([2], [double.NegativeInfinity, 1]);
        OperatorCase Case(bool expected, Grid[] inputs, params (string, object)[] attributes) =>
            Without(new("IsAllFinite", attributes), [.. inputs.Select(i => (TestTensor?)i)], new TestTensor(ElementType.Bool, [], [expected ? 1 : 0]));
        yield return Case(true, [good, good]);
        yield return Case(false, [good, nan]);
        yield return Case(false, [infinite, good]);
        yield return Case(true, [nan], ("isinf_only", 1L));
        yield return Case(false, [nan], ("isnan_only", 1L));
        yield return Case(true, [infinite], ("isnan_only", 1L));
    }

    private static IEnumerable<OperatorCase> ReduceAllL2()
    {
        Grid a = Grid.Normal(1, 2, 3), b = Grid.Normal(2, 4);
        yield return Without(new("ReduceAllL2"), [a, b], TestTensor.Of(Math.Sqrt(a.Values.Concat(b.Values).Sum(v => v * v))));
    }

    private static IEnumerable<OperatorCase> ShrunkenGather()
    {
        Grid x = new([3, 2], [1, 2, 3, 4, 5, 6]);
        yield return Without(new("ShrunkenGather"), [x, TestTensor.Longs(2, 0, -1, 1)], new Grid([4, 2], [5, 6, 1, 2, 5, 6, 3, 4]));
        yield return Without(new("ShrunkenGather", ("axis", 1L)), [x, TestTensor.Longs(1)], new Grid([3, 1], [2, 4, 6]));
    }

    private static IEnumerable<OperatorCase> PadAndUnflatten()
    {
        Grid x = new([3, 2], [1, 2, 3, 4, 5, 6]);
        yield return Without(new("PadAndUnflatten"), [x, TestTensor.Longs(0, 3, 1), TestTensor.Longs(2, 2)], new Grid([2, 2, 2], [1, 2, 5, 6, 0, 0, 3, 4]));
        yield return Without(new("PadAndUnflatten"), [new Grid([1], [7]), TestTensor.Longs(5), TestTensor.Longs(2, 3)], new Grid([2, 3], [0, 0, 0, 0, 0, 7]));
    }

    private static IEnumerable<OperatorCase> FlattenAndUnpad()
    {
        Grid x = new([2, 2, 2], [1, 2, 5, 6, 0, 0, 3, 4]);
        yield return Without(new OneNode("FlattenAndUnpad") { Outputs = 2 }, [x, TestTensor.Longs(0, 3, 1)], new Grid([3, 2], [1, 2, 3, 4, 5, 6]), TestTensor.Longs(2, 2));
    }

    private static IEnumerable<OperatorCase> GatherNDGrad()
    {
        Grid dy = new([3, 2], [1, 2, 3, 4, 5, 6]);
        yield return Without(new("GatherNDGrad"), [TestTensor.Longs(2, 2, 2), new(ElementType.Int64, [3, 2], [0, 1, 1, 0, 0, -1]), dy], new Grid([2, 2, 2], [0, 0, 6, 8, 3, 4, 0, 0]));
        yield return Without(new("GatherNDGrad", ("batch_dims", 1L)), [TestTensor.Longs(3, 2, 2), new(ElementType.Int64, [3, 1], [1, 0, 1]), dy], new Grid([3, 2, 2], [0, 0, 1, 2, 3, 4, 0, 0, 0, 0, 5, 6]));
        yield return Without(new("GatherNDGrad", ("batch_dims", 1L)), [TestTensor.Longs(2, 3), new(ElementType.Int64, [2, 2, 1], [1, 1, 0, 2]), new Grid([2, 2], [1, 2, 3, 4])], new Grid([2, 3], [0, 3, 0, 3, 0, 4]));
    }

    private static IEnumerable<OperatorCase> View()
    {
        Grid x = new([7], [1, 2, 3, 4, 5, 6, 7]);
        yield return Without(new OneNode("View") { Outputs = 2 }, [x, TestTensor.Longs(2, 2), TestTensor.Longs(3)], new Grid([2, 2], [1, 2, 3, 4]), new Grid([3], [5, 6, 7]));
    }

    private static IEnumerable<OperatorCase> PassThrough()
    {
        Grid a = Grid.Normal(1, 2, 3), b = Grid.Normal(2, 4);
        yield return Without(new OneNode("PassThrough") { Outputs = 2 }, [a, b], a, b);
    }

    private static IEnumerable<OperatorCase> FirstAccumulator()
    {
        Grid sum = Grid.Normal(1, 3, 5), value = Grid.Normal(2, 3, 5), both = sum.Zip(value, (a, b) => a + b);
        TestTensor Signal(int v) => new(ElementType.Bool, [], [v]);
        yield return Without(new("InPlaceAccumulator"), [sum, value], both);
        yield return Without(new("InPlaceAccumulator"), [sum, value, Signal(1)], both);
        yield return Without(new("InPlaceAccumulator"), [sum, value, Signal(0)], sum);
    }

    private static IEnumerable<OperatorCase> ConvTransposeGrad()
    {
        foreach (var (x, w, groups, strides, dilations, pads, extra) in new (long[], long[], long, long[], long[], long[], long[])[]
        {
            ([1, 1, 3], [1, 1, 2], 1, [1], [1], [0, 0], [0]),
            ([2, 3, 4, 5], [3, 2, 3, 2], 1, [2, 1], [1, 2], [1, 0, 0, 2], [1, 0]),
            ([2, 4, 3, 3], [4, 3, 3, 3], 2, [2, 2], [1, 1], [1, 1, 1, 1], [1, 1]),
            ([1, 2, 2, 3, 2], [2, 2, 2, 2, 2], 1, [1, 2, 1], [1, 1, 1], [0, 0, 0, 0, 0, 0], [0, 1, 0]),
        })
        {
            int rank = x.Length - 2;
            long[] size = [.. Enumerable.Range(0, rank).Select(d => (x[d + 2] - 1) * strides[d] + (w[d + 2] - 1) * dilations[d] + 1 + extra[d] - pads[d] - pads[d + rank])];
            Grid input = Grid.Normal(1, x), weight = Grid.Normal(2, w), dy = Grid.Normal(3, [x[0], w[1] * groups, .. size]), dx = Grid.Zeros(x), dw = Grid.Zeros(w), db = Grid.Zeros(w[1] * groups);
            foreach (long[] at in input.Positions())
                foreach (long[] k in weight.Positions().Where(k => k[0] == at[1]))
                {
                    long[] target = [at[0], at[1] / (x[1] / groups) * w[1] + k[1], .. Enumerable.Range(0, rank).Select(d => at[d + 2] * strides[d] + k[d + 2] * dilations[d] - pads[d])];
                    if (!Enumerable.Range(0, rank).All(d => target[d + 2] >= 0 && target[d + 2] < size[d])) continue;
                    dx[at] += weight[k] * dy[target];
                    dw[k] += input[at] * dy[target];
                }
            foreach (long[] at in dy.Positions()) db[at[1]] += dy[at];
            var node = new OneNode("ConvTransposeGrad", ("group", groups), ("strides", strides), ("dilations", dilations), ("pads", pads), ("output_padding", extra)) { Outputs = 3 };
            yield return Without(node, [dy, input, weight], dx, dw, db);
            yield return Without(node with { Absent = [0] }, [dy, input, weight], dw, db);
        }
    }
}
