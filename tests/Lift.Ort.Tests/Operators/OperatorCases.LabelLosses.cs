using Lift.Ort.Onnx;

namespace Lift.Ort.Tests.Operators;

/// <summary>Cases of the losses of older trainers.</summary>
internal static partial class OperatorCases
{
    private static readonly bool[] bothReductions = [true, false];

    private static Grid LogSoftmax(Grid x, long classes)
    {
        Grid log = Grid.Zeros(x.Dims);
        for (long i = 0; i < x.Values.Length; i++)
        {
            long first = i / classes * classes;
            log.Values[i] = x.Values[i] - Math.Log(Enumerable.Range(0, (int)classes).Sum(k => Math.Exp(x.Values[first + k])));
        }
        return log;
    }

    private static IEnumerable<OperatorCase> DenseLoss(bool forward)
    {
        foreach (bool mean in bothReductions)
        {
            Grid x = Grid.Normal(1, 4, 3), label = Grid.Normal(2, 4, 3).Map(v => Math.Abs(v) / 3), log = LogSoftmax(x, 3);
            (string, object) reduction = ("reduction", mean ? "mean" : "sum");
            double rows = mean ? 4 : 1;
            if (forward) yield return Without(new OneNode("SoftmaxCrossEntropy", reduction) { Outputs = 2 }, [x, label], TestTensor.Of(-log.Values.Zip(label.Values, (l, t) => l * t).Sum() / rows), log);
            Grid rounded = log.Map(v => v);
            if (!forward) yield return Without(new OneNode("SoftmaxCrossEntropyGrad", reduction), [TestTensor.Of(1.5), rounded, label], rounded.Zip(label, (l, t) => (Math.Exp(l) - t) * 1.5 / rows));
        }
    }

    private static IEnumerable<OperatorCase> SparseLoss(bool forward)
    {
        long[] labels = [2, 0, 1, 2];
        foreach (bool mean in bothReductions)
            foreach (bool weighted in bothReductions)
            {
                Grid x = Grid.Normal(1, 2, 2, 3), log = LogSoftmax(x, 3), weight = new([2, 2], [1, 0.5, 2, 0]), rounded = log.Map(v => v), dx = Grid.Zeros(2, 2, 3);
                double W(long r) => weighted ? weight.Values[r] : 1;
                double total = mean ? Enumerable.Range(0, 4).Sum(r => W(r)) : 1;
                var node = new OneNode(forward ? "SparseSoftmaxCrossEntropy" : "SparseSoftmaxCrossEntropyGrad", ("reduction", mean ? "mean" : "sum")) { Domain = "", Outputs = forward ? 2 : 1 };
                TestTensor label = new(ElementType.Int64, [2, 2], [.. labels.Select(l => (double)l)]);
                TestTensor?[] rest = weighted ? [label, weight] : [label];
                if (forward) yield return Without(node, [x, .. rest], TestTensor.Of(-labels.Select((l, r) => W(r) * log.Values[r * 3 + l]).Sum() / total), log);
                for (int i = 0; i < 12; i++) dx.Values[i] = (Math.Exp(rounded.Values[i]) - (labels[i / 3] == i % 3 ? 1 : 0)) * W(i / 3) * 1.5 / total;
                if (!forward) yield return Without(node, [TestTensor.Of(1.5), rounded, .. rest], dx);
            }
    }

    private static IEnumerable<OperatorCase> LogLikelihood(string op)
    {
        long[] labels = [2, 0, -100, 1];
        foreach (string reduction in new[] { "none", "sum", "mean" })
            foreach (bool weighted in bothReductions)
            {
                Grid x = Grid.Normal(1, 2, 3, 2), weight = new([3], [1, 0.5, 2]), each = Grid.Zeros(2, 2);
                double W(long label) => label < 0 ? 0 : weighted ? weight.Values[label] : 1;
                foreach (long[] at in each.Positions())
                {
                    long label = labels[at[0] * 2 + at[1]];
                    if (label >= 0) each[at] = -W(label) * x[at[0], label, at[1]];
                }
                double sum = each.Values.Sum();
                TestTensor target = new(ElementType.Int64, [2, 2], [.. labels.Select(l => (double)l)]);
                yield return Without(new(op, ("reduction", reduction)), [x, target, weighted ? weight : null, TestTensor.Of(-100, ElementType.Int64)],
                    reduction == "none" ? each : TestTensor.Of(reduction == "sum" ? sum : sum / labels.Sum(W)));
            }
    }
}
