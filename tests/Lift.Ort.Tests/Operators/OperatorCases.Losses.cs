using Lift.Ort.Onnx;

namespace Lift.Ort.Tests.Operators;

internal static partial class OperatorCases
{
    private sealed record LossExample(Grid Scores, double[] Labels, long[] LabelDims, Grid? Weights, long? Ignored);

    private static IEnumerable<LossExample> LossExamples()
    {
        foreach (var (n, c, d) in new (long, long, long[])[] { (1, 1, []), (4, 5, []), (3, 33, []), (0, 5, []), (2, 5, [3]), (2, 3, [2, 2]), (200, 500, []) })
        {
            var random = new Random(11);
            long count = n * d.Aggregate(1L, (a, b) => a * b);
            Grid scores = Grid.Normal(12, [n, c, .. d]).Map(v => 2 * v);
            double[] labels = [.. Enumerable.Range(0, (int)count).Select(_ => (double)random.Next((int)c))];
            double[] some = [.. labels.Index().Select(l => l.Index % 3 == 1 ? -100 : l.Item)], none = [.. labels.Select(_ => -100.0)];
            Grid weights = Grid.Normal(13, c).Map(v => Math.Abs(v) + 0.1);
            yield return new(scores, labels, [n, .. d], null, null);
            yield return new(scores, labels, [n, .. d], null, -100);
            yield return new(scores, some, [n, .. d], null, -100);
            yield return new(scores, some, [n, .. d], weights, -100);
            yield return new(scores, none, [n, .. d], null, -100);
        }
    }

    /// <summary>log softmax along axis 1, each label's loss, the gradient of the loss, all in double.</summary>
    private static (Grid LogProb, Grid Losses, double Weight, Grid Gradient) PlainLoss(LossExample e, Func<int, double> dy)
    {
        Grid logProb = Grid.Zeros(e.Scores.Dims), gradient = Grid.Zeros(e.Scores.Dims), losses = Grid.Zeros(e.LabelDims);
        double total = 0;
        foreach (var (i, slice) in e.Scores.SlicesAlong(1).Index())
        {
            double norm = Math.Log(slice.Sum(k => Math.Exp(e.Scores.Values[k])));
            foreach (int k in slice) logProb.Values[k] = e.Scores.Values[k] - norm;
            if (e.Labels[i] == e.Ignored) continue;
            int label = (int)e.Labels[i];
            double weight = e.Weights?.Values[label] ?? 1;
            total += weight;
            losses.Values[i] = -weight * logProb.Values[slice[label]];
            foreach (var (c, k) in slice.Index()) gradient.Values[k] = dy(i) * weight * (Math.Exp(logProb.Values[k]) - (c == label ? 1 : 0));
        }
        return (logProb, losses, total, gradient);
    }

    private static TestTensor[] LossOf(Grid losses, double weight, string reduction) => reduction switch
    {
        "none" => [losses],
        "sum" => [TestTensor.Of(losses.Values.Sum())],
        _ => [TestTensor.Of(weight == 0 ? 0 : losses.Values.Sum() / weight)],
    };

    private static IEnumerable<OperatorCase> Loss()
    {
        foreach (LossExample e in LossExamples())
            foreach (string reduction in new[] { "mean", "sum", "none" })
                foreach (ElementType type in new[] { ElementType.Int64, ElementType.Int32 })
                {
                    var (logProb, losses, weight, _) = PlainLoss(e, _ => 1);
                    TestTensor? ignored = e.Ignored is { } index ? TestTensor.Of(index, ElementType.Int64) : null;
                    yield return new(
                        new OneNode("SoftmaxCrossEntropyLossInternal", ("reduction", reduction)) { Outputs = 2 },
                        [e.Scores, new(type, e.LabelDims, e.Labels), e.Weights, ignored],
                        [.. LossOf(losses, weight, reduction), logProb])
                    { HasFallback = false };
                }
    }

    private static IEnumerable<OperatorCase> LossGrad()
    {
        foreach (LossExample e in LossExamples())
            foreach (string reduction in new[] { "mean", "sum", "none" })
            {
                foreach (ElementType type in new[] { ElementType.Int64, ElementType.Int32 })
                {
                    var (dy, logProb, dx) = Gradient(e, reduction);
                    TestTensor? ignored = e.Ignored is { } index ? TestTensor.Of(index, ElementType.Int64) : null;
                    TestTensor?[] inputs = ignored is null && e.Weights is null ? [dy, logProb, new(type, e.LabelDims, e.Labels)]
                        : [dy, logProb, new(type, e.LabelDims, e.Labels), e.Weights, ignored];
                    yield return new(new OneNode("SoftmaxCrossEntropyLossInternalGrad", ("reduction", reduction)), inputs, dx)
                    {
                        HasFallback = reduction == "mean" && e.Weights is null && e.Ignored is not null && e.LabelDims.Length == 1,
                    };
                }
            }
        LossExample first = LossExamples().ElementAt(6);
        var (g, l, d) = Gradient(first, "mean");
        Grid bias = Grid.Normal(15, d.Dims);
        yield return new(
            new OneNode("SoftmaxCrossEntropyLossInternalGrad"),
            [g, l, new(ElementType.Int64, first.LabelDims, first.Labels), null, TestTensor.Of(-100, ElementType.Int64), bias],
            d.Zip(bias, (a, b) => a + b))
        { HasFallback = false };
    }

    private static IEnumerable<OperatorCase> LossGradWithAttribute()
    {
        foreach (LossExample e in LossExamples())
            foreach (string reduction in new[] { "mean", "none" })
            {
                var (dy, logProb, dx) = Gradient(e, reduction);
                (string, object)[] attributes = e.Ignored is { } index ? [("reduction", reduction), ("ignore_index", index)] : [("reduction", reduction)];
                yield return new(new OneNode("SoftmaxCrossEntropyLossGrad", attributes), [dy, logProb, new(ElementType.Int64, e.LabelDims, e.Labels), e.Weights], dx) { HasFallback = false };
            }
    }

    private static (TestTensor Dy, Grid LogProb, Grid Dx) Gradient(LossExample e, string reduction)
    {
        Grid each = Grid.Normal(14, e.LabelDims);
        double one = 0.75, total = PlainLoss(e, _ => 1).Weight;
        var (logProb, _, _, dx) = PlainLoss(e, i => reduction switch { "none" => each.Values[i], "sum" => one, _ => one / total });
        return (reduction == "none" ? each : TestTensor.Of(one), logProb, dx);
    }
}
