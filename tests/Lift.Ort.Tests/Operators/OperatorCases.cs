using System.Collections.Concurrent;
using System.Diagnostics;
using Lift.Ort.Onnx;

namespace Lift.Ort.Tests.Operators;

/// <summary>Cases of every operator, by name; the loops here are as plain as they can be.</summary>
internal static partial class OperatorCases
{
    private static readonly Dictionary<string, Func<IEnumerable<OperatorCase>>> table = new()
    {
        ["InPlaceAccumulatorV2"] = Accumulator,
        ["SoftmaxGrad_13"] = () => Softmax("SoftmaxGrad_13", false),
        ["LogSoftmaxGrad_13"] = () => Softmax("LogSoftmaxGrad_13", true),
        ["SoftmaxGrad"] = () => FlatSoftmax("SoftmaxGrad", false),
        ["LogSoftmaxGrad"] = () => FlatSoftmax("LogSoftmaxGrad", true),
        ["SoftmaxCrossEntropyLossInternal"] = Loss,
        ["SoftmaxCrossEntropyLossInternalGrad"] = LossGrad,
        ["SoftmaxCrossEntropyLossGrad"] = LossGradWithAttribute,
        ["GatherGrad"] = GatherGrad,
        ["GatherElementsGrad"] = GatherElementsGrad,
        ["LayerNormalizationGrad"] = LayerNorm,
        ["SimplifiedLayerNormalizationGrad"] = RmsNorm,
        ["InvertibleLayerNormalizationGrad"] = InvertibleLayerNorm,
        ["SigmoidGrad"] = () => Activation("SigmoidGrad", Sigmoid, (dy, y) => dy * y * (1 - y)),
        ["TanhGrad"] = () => Activation("TanhGrad", Math.Tanh, (dy, y) => dy * (1 - y * y)),
        ["ReluGrad"] = () => Activation("ReluGrad", x => x, (dy, x) => x > 0 ? dy : 0),
        ["LeakyReluGrad"] = () => Activation("LeakyReluGrad", x => x, (dy, y) => y > 0 ? dy : 0.01f * dy)
            .Concat(Activation("LeakyReluGrad", x => x, (dy, y) => y > 0 ? dy : 0.25 * dy, ("alpha", 0.25f))),
        ["GeluGrad"] = () => Activation("GeluGrad", x => x, Gelu),
        ["FastGeluGrad"] = () => Activation("FastGeluGrad", x => x, FastGelu),
        ["QuickGeluGrad"] = () => Activation("QuickGeluGrad", x => x, (dy, x) => QuickGelu(dy, x, 1.702f))
            .Concat(Activation("QuickGeluGrad", x => x, (dy, x) => QuickGelu(dy, x, 0.5), ("alpha", 0.5f))),
        ["BiasGeluGrad_dX"] = () => BiasActivation("BiasGeluGrad_dX", Gelu),
        ["BiasFastGeluGrad_dX"] = () => BiasActivation("BiasFastGeluGrad_dX", FastGelu),
        ["DropoutGrad"] = Dropout,
        ["ConvGrad"] = Convolution,
        ["MaxPoolGrad"] = MaxPoolGradient,
        ["AveragePoolGrad"] = AveragePoolGradient,
        ["BatchNormInternal"] = BatchNorm,
        ["LSTMTraining"] = () => RecurrentForward("LSTMTraining", 4),
        ["LSTMGrad"] = () => RecurrentBackward("LSTMGrad", 4),
        ["GRUTraining"] = () => RecurrentForward("GRUTraining", 3),
        ["GRUGrad"] = () => RecurrentBackward("GRUGrad", 3),
        ["BatchNormalizationGrad"] = BatchNormGrad,
        ["ConcatTraining"] = Concat,
        ["SplitTraining"] = Split,
        ["SliceGrad"] = Slice,
        ["ReduceSumTraining"] = ReduceSum,
        ["BroadcastGradientArgs"] = BroadcastArgs,
        ["ZeroGradient"] = Zero,
        ["Group"] = Groups,
        ["CrossEntropyStep"] = CrossEntropyStep,
        ["LinearCrossEntropyStep"] = LinearCrossEntropyStep,
        ["GatedUnit"] = GatedUnit,
        ["GatedUnitGrad"] = GatedUnitGrad,
        ["Rotary"] = Rotary,
        ["Attention"] = Attention,
        ["AttentionGrad"] = AttentionGrad,
        ["Widen"] = Widen,
        ["DequantizeNBits"] = DequantizeNBits,
    };

    /// <summary>Cases that took long to compute, for the tests that ask for them again.</summary>
    private static readonly ConcurrentDictionary<string, OperatorCase[]> costly = [];

    /// <summary>The cases of an operator.</summary>
    /// <exception cref="AssertFailedException">It has none.</exception>
    public static OperatorCase[] For(string op)
    {
        if (costly.TryGetValue(op, out OperatorCase[]? known)) return known;
        if (!table.TryGetValue(op, out var cases) && !Rarer.TryGetValue(op, out cases)) Assert.Fail($"the operator {op} has no case: add one to OperatorCases");
        var watch = Stopwatch.StartNew();
        OperatorCase[] made = [.. cases!()];
        return watch.ElapsedMilliseconds > 100 ? costly[op] = made : made;
    }

    private static IEnumerable<OperatorCase> Accumulator()
    {
        foreach (long[] dims in new long[][] { [1], [3, 5], [0, 4], [300, 257] })
        {
            Grid sum = Grid.Normal(1, dims), value = Grid.Normal(2, dims), both = sum.Zip(value, (a, b) => a + b);
            TestTensor yes = new(ElementType.Bool, [1], [1]), no = yes with { Values = [0] };
            var node = new OneNode("InPlaceAccumulatorV2") { Outputs = 2 };
            yield return new(node, [sum, value], yes, both) { HasFallback = false };
            yield return new(node, [sum, value, yes], yes, value) { HasFallback = false };
            yield return new(node with { Outputs = 1 }, [sum, value, no], yes) { HasFallback = false };
            yield return new(node with { Outputs = 1 }, [sum, value, yes], yes);
        }
    }

    private static IEnumerable<OperatorCase> Softmax(string op, bool log)
    {
        foreach (long[] dims in new long[][] { [1, 5], [4], [0, 4], [3, 7], [2, 3, 4], [2, 1, 33, 17], [40, 2000] })
            for (long axis = -dims.Length; axis < dims.Length; axis++)
                yield return SoftmaxCase(op, log, dims, axis, Grid.Zeros(dims).SlicesAlong(axis), axis == -1 && dims.Length == 1);
    }

    private static IEnumerable<OperatorCase> FlatSoftmax(string op, bool log)
    {
        foreach (long[] dims in new long[][] { [1, 5], [3, 7], [2, 3, 4], [2, 5, 16, 17] })
            for (long axis = 0; axis < dims.Length; axis++)
            {
                long rows = dims[..(int)axis].Aggregate(1L, (a, b) => a * b), columns = dims[(int)axis..].Aggregate(1L, (a, b) => a * b);
                yield return SoftmaxCase(op, log, dims, axis, new Grid([rows, columns], new double[rows * columns]).SlicesAlong(1), axis == 1);
            }
    }

    private static OperatorCase SoftmaxCase(string op, bool log, long[] dims, long axis, IEnumerable<int[]> slices, bool byDefault)
    {
        Grid x = Grid.Normal(3, dims), dy = Grid.Normal(4, dims), y = Grid.Zeros(dims), dx = Grid.Zeros(dims);
        foreach (int[] slice in slices)
        {
            double norm = slice.Sum(i => Math.Exp(x.Values[i]));
            foreach (int i in slice) y.Values[i] = (float)(log ? x.Values[i] - Math.Log(norm) : Math.Exp(x.Values[i]) / norm);
            double sum = slice.Sum(i => log ? dy.Values[i] : dy.Values[i] * y.Values[i]);
            foreach (int i in slice) dx.Values[i] = log ? dy.Values[i] - Math.Exp(y.Values[i]) * sum : y.Values[i] * (dy.Values[i] - sum);
        }
        return new(byDefault ? new OneNode(op) : new OneNode(op, ("axis", axis)), [dy, y], dx);
    }

    private static IEnumerable<OperatorCase> GatherGrad()
    {
        foreach (var (dims, axis, indexDims) in new (long[], long, long[])[]
            { ([5, 3], 0, [4]), ([5, 3], 0, [2, 3]), ([7, 1], 0, [0]), ([5], 0, []), ([300, 70], 0, [4, 60]), ([2, 5, 3], 1, [4]), ([2, 5, 3], -1, [2, 2]), ([3, 5, 3], -3, [7]) })
        {
            long a = axis < 0 ? axis + dims.Length : axis, length = dims[a];
            int count = (int)indexDims.Aggregate(1L, (p, d) => p * d);
            var random = new Random(5);
            double[] indices = [.. Enumerable.Range(0, count).Select(_ => (double)random.Next(-(int)length, (int)length))];
            Grid dy = Grid.Normal(6, [.. dims[..(int)a], .. indexDims, .. dims[(int)(a + 1)..]]), dx = Grid.Zeros(dims);
            Grid flat = new([.. dims[..(int)a], count, .. dims[(int)(a + 1)..]], dy.Values);
            foreach (long[] at in flat.Positions())
            {
                long[] target = [.. at];
                target[a] = (long)indices[at[a]] + (indices[at[a]] < 0 ? length : 0);
                dx[target] += flat[at];
            }
            foreach (ElementType type in new[] { ElementType.Int64, ElementType.Int32 })
                yield return new(new OneNode("GatherGrad", ("axis", axis)), [TestTensor.Longs(dims), new(type, indexDims, indices), dy], dx) { HasFallback = axis == 0 };
        }
    }

    private static IEnumerable<OperatorCase> GatherElementsGrad()
    {
        foreach (var (dims, axis, indexDims) in new (long[], long, long[])[] { ([5, 3], 0, [4, 3]), ([5, 3], -1, [5, 9]), ([2, 3, 4], 1, [1, 5, 2]), ([4], 0, [0]) })
        {
            long a = axis < 0 ? axis + dims.Length : axis;
            var random = new Random(5);
            Grid dy = Grid.Normal(6, indexDims), dx = Grid.Zeros(dims), index = Grid.Zeros(indexDims);
            foreach (long[] at in dy.Positions())
            {
                index[at] = random.Next(-(int)dims[a], (int)dims[a]);
                long[] target = [.. at];
                target[a] = (long)index[at] + (index[at] < 0 ? dims[a] : 0);
                dx[target] += dy[at];
            }
            foreach (ElementType type in new[] { ElementType.Int64, ElementType.Int32 })
                yield return new(new OneNode("GatherElementsGrad", ("axis", axis)), [dy, TestTensor.Longs(dims), new(type, indexDims, index.Values)], dx) { HasFallback = false };
        }
    }

    private static IEnumerable<OperatorCase> Activation(string op, Func<double, double> second, Func<double, double, double> f, params (string, object)[] attributes)
    {
        foreach (long[] dims in new long[][] { [], [1], [0, 3], [7], [3, 5, 2], [100, 700] })
        {
            Grid dy = Grid.Normal(7, dims), x = Grid.Normal(8, dims).Map(v => second(3 * v));
            yield return new(new OneNode(op, attributes), [dy, x], dy.Zip(x, f));
        }
        Grid extreme = new([6], [-100, -20, -0.0, 0, 20, 100]), one = new([6], [1, 1, 1, 1, 1, 1]);
        Grid special = extreme.Map(second);
        yield return new(new OneNode(op, attributes), [one, special], one.Zip(special, f));
    }

    private static IEnumerable<OperatorCase> BiasActivation(string op, Func<double, double, double> f)
    {
        foreach (long[] dims in new long[][] { [1], [0, 3], [3, 5, 2], [100, 700] })
        {
            Grid dy = Grid.Normal(7, dims), x = Grid.Normal(8, dims), bias = Grid.Normal(9, dims[^1]), dx = Grid.Zeros(dims);
            foreach (long[] at in dy.Positions()) dx[at] = f(dy[at], x[at] + bias[at[^1]]);
            yield return new(new OneNode(op), [dy, x, bias], dx) { HasFallback = false };
        }
    }

    private static double Sigmoid(double x) => 1 / (1 + Math.Exp(-x));

    private static double QuickGelu(double dy, double x, double alpha) => dy * (Sigmoid(alpha * x) + alpha * x * Sigmoid(alpha * x) * (1 - Sigmoid(alpha * x)));

    private static double FastGelu(double dy, double x)
    {
        double c = Math.Sqrt(2 / Math.PI), t = Math.Tanh(c * (x + 0.044715 * x * x * x));
        return dy * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * c * (1 + 3 * 0.044715 * x * x));
    }

    private static double Gelu(double dy, double x) =>
        dy * (0.5 * (1 + MathNet.Numerics.SpecialFunctions.Erf(x / Math.Sqrt(2))) + x * Math.Exp(-x * x / 2) / Math.Sqrt(2 * Math.PI));
}
