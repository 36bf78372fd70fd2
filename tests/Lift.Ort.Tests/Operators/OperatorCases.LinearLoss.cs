using Lift.Ort.Onnx;

namespace Lift.Ort.Tests.Operators;

internal static partial class OperatorCases
{
    private static IEnumerable<OperatorCase> LinearCrossEntropyStep()
    {
        foreach (var (dims, classes, turned, hasBias, scale, cap, ignored) in new (long[], long, bool, bool, float, float, Func<int, bool>)[]
        {
            ([1, 1], 1, false, false, 1, 0, _ => false),
            ([2, 3, 5], 7, false, false, 1, 0, i => i % 3 == 1),
            ([2, 3, 5], 8, true, false, 1, 0, i => i == 5),
            ([4, 6], 33, true, true, 0.5f, 0, _ => false),
            ([4, 6], 33, true, true, 0.1f, 3, i => i == 2),
            ([2, 40, 16], 301, false, false, 0.25f, 2, i => i == 2),
            ([3, 4], 5, false, true, 1, 0, _ => true),
            ([0, 4], 5, false, true, 1, 0, _ => false),
            ([2, 150, 16], 300, false, true, 0.25f, 0, i => i % 150 > 100 && i % 2 == 1),
            ([2, 150, 16], 1100, true, false, 1, 0, i => i is > 3 and < 90),
        })
        {
            LinearExample e = LinearExample.Of(dims, classes, turned, hasBias, scale, cap, ignored);
            foreach (ElementType type in new[] { ElementType.Int64, ElementType.Int32 })
            {
                if (type == ElementType.Int32 && dims is [2, 150, ..]) continue;
                yield return e.Case(type, outputs: 4);
            }
            yield return e.Case(ElementType.Int64, outputs: 2);
            yield return e.Case(ElementType.Int64, outputs: 3, absent: [1], flat: true);
            yield return e.Case(ElementType.Int64, outputs: 4, flat: true);
            yield return e.Case(ElementType.Int64, outputs: 1);
        }
    }

    /// <summary>A linear layer with labels, and what plain loops make of them.</summary>
    private sealed record LinearExample(Grid Hidden, Grid Weight, Grid? Bias, bool Turned, float Scale, float Cap, double[] Labels, double Loss, Grid HiddenGradient, Grid WeightGradient, Grid BiasGradient)
    {
        private const double Dy = 0.75;

        public static LinearExample Of(long[] dims, long classes, bool turned, bool hasBias, float scale, float cap, Func<int, bool> ignored)
        {
            long width = dims[^1], rows = dims[..^1].Aggregate(1L, (a, b) => a * b);
            Grid hidden = Grid.Normal(71, dims), weight = Grid.Normal(72, turned ? [classes, width] : [width, classes]), bias = Grid.Normal(73, classes), z = Grid.Zeros(rows, classes);
            double W(long k, long c) => turned ? weight[c, k] : weight[k, c];
            var random = new Random(74);
            double[] labels = [.. Enumerable.Range(0, (int)rows).Select(i => ignored(i) ? -100.0 : random.Next((int)classes))];
            for (long n = 0; n < rows; n++)
                for (long c = 0; c < classes; c++)
                {
                    double sum = hasBias ? bias[c] : 0;
                    for (long k = 0; k < width; k++) sum += hidden.Values[n * width + k] * W(k, c);
                    z[n, c] = cap != 0 ? cap * Math.Tanh(scale * sum) : scale * sum;
                }
            var scores = new LossExample(z, labels, [rows], null, -100);
            var (_, losses, total, _) = PlainLoss(scores, _ => 1);
            Grid dz = PlainLoss(scores, _ => Dy * scale / total).Gradient, dx = Grid.Zeros(dims), dw = Grid.Zeros(weight.Dims), db = Grid.Zeros(classes);
            for (long n = 0; n < rows; n++)
                for (long c = 0; c < classes; c++)
                {
                    if (cap != 0) dz[n, c] *= cap - z[n, c] * z[n, c] / cap;
                    db[c] += dz[n, c];
                    for (long k = 0; k < width; k++)
                    {
                        dx.Values[n * width + k] += dz[n, c] * W(k, c);
                        (turned ? ref dw[c, k] : ref dw[k, c]) += dz[n, c] * hidden.Values[n * width + k];
                    }
                }
            return new(hidden, weight, hasBias ? bias : null, turned, scale, cap, labels, LossOf(losses, total, "mean")[0].Values[0], dx, dw, db);
        }

        public OperatorCase Case(ElementType labels, int outputs, int[]? absent = null, bool flat = false)
        {
            (string, object)[] attributes = [("ignore_index", -100L), ("turned", Turned ? 1L : 0L), ("flat", flat ? 1L : 0L), ("scale", Scale), ("softcap", Cap)];
            TestTensor dx = new(ElementType.Float, flat ? [Labels.Length, Hidden.Dims[^1]] : Hidden.Dims, HiddenGradient.Values);
            TestTensor[] all = [TestTensor.Of(Loss), dx, WeightGradient, BiasGradient];
            int[] without = [.. absent ?? [], .. outputs == 4 && Bias is null ? new[] { 3 } : []];
            TestTensor?[] inputs = [Hidden, Weight, new(labels, [Labels.Length], Labels), outputs > 1 ? TestTensor.Of(Dy) : null, Bias];
            return new(Own("LinearCrossEntropyStep", attributes) with { Outputs = outputs, Absent = without }, inputs[..(Array.FindLastIndex(inputs, i => i is not null) + 1)],
                [.. all[..outputs].Where((_, i) => !without.Contains(i))])
            { HasFallback = false, Tolerance = 5e-6 };
        }
    }
}
