using Lift.Ort.Onnx;

namespace Lift.Ort.Tests.Operators;

internal static partial class OperatorCases
{
    private static readonly long[][] batches = [[1, 1], [4, 3], [2, 3, 5], [3, 2, 9, 7], [2, 2, 2, 3, 2], [16, 24, 13, 11]];

    private static IEnumerable<OperatorCase> BatchNorm()
    {
        foreach (long[] dims in batches)
            foreach (bool training in new[] { true, false })
            {
                long channels = dims[1];
                Grid x = Grid.Normal(61, dims).Map(v => v + 3), scale = Grid.Normal(62, channels), bias = Grid.Normal(63, channels), mean = Grid.Normal(64, channels), variance = Grid.Normal(65, channels).Map(v => v * v + 0.1);
                var (batchMean, batchVariance, _) = BatchStatistics(x);
                Grid usedMean = training ? batchMean : mean, usedVariance = training ? batchVariance : variance, inverse = new([channels], Array.ConvertAll(usedVariance.Values, v => 1 / Math.Sqrt(v + 1e-3f))), y = Grid.Zeros(dims);
                foreach (long[] at in x.Positions()) y[at] = (x[at] - usedMean[at[1]]) * inverse[at[1]] * scale[at[1]] + bias[at[1]];
                double m = 0.75f;
                Grid newMean = training ? mean.Zip(batchMean, (a, b) => m * a + (1 - m) * b) : mean, newVariance = training ? variance.Zip(batchVariance, (a, b) => m * a + (1 - m) * b) : variance;
                OneNode node = new("BatchNormInternal", ("epsilon", 1e-3f), ("momentum", 0.75f), ("training_mode", training ? 1L : 0L)) { Outputs = 5 };
                yield return new(node, [x, scale, bias, mean, variance], y, newMean, newVariance, usedMean, inverse) { HasFallback = false, Tolerance = 2e-5 };
                yield return new(node with { Outputs = 1 }, [x, scale, bias, mean, variance], y) { HasFallback = false, Tolerance = 2e-5 };
            }
    }

    private static IEnumerable<OperatorCase> BatchNormGrad()
    {
        foreach (long[] dims in batches)
        {
            Grid x = Grid.Normal(61, dims).Map(v => v + 3), dy = Grid.Normal(66, dims), scale = Grid.Normal(62, dims[1]), dx = Grid.Zeros(dims), dScale = Grid.Zeros(dims[1]), dBias = Grid.Zeros(dims[1]);
            var (mean, variance, count) = BatchStatistics(x);
            Grid m = mean.Map(v => v), inverse = variance.Map(v => 1 / Math.Sqrt(v + 1e-5));
            foreach (long[] at in x.Positions())
            {
                dScale[at[1]] += dy[at] * (x[at] - m[at[1]]) * inverse[at[1]];
                dBias[at[1]] += dy[at];
            }
            foreach (long[] at in x.Positions())
            {
                long c = at[1];
                dx[at] = scale[c] * inverse[c] * (dy[at] - dBias[c] / count - (x[at] - m[c]) * inverse[c] * dScale[c] / count);
            }
            yield return new(new OneNode("BatchNormalizationGrad") { Outputs = 3 }, [dy, x, scale, m, inverse], dx, dScale, dBias) { HasFallback = false, Tolerance = 2e-5 };
            yield return new(new OneNode("BatchNormalizationGrad") { Outputs = 3, Absent = [0, 1] }, [dy, x, scale, m, inverse], dBias) { HasFallback = false, Tolerance = 2e-5 };
        }
    }

    private static (Grid Mean, Grid Variance, double Count) BatchStatistics(Grid x)
    {
        Grid mean = Grid.Zeros(x.Dims[1]), variance = Grid.Zeros(x.Dims[1]);
        double count = (double)x.Values.Length / x.Dims[1];
        foreach (long[] at in x.Positions()) mean[at[1]] += x[at] / count;
        foreach (long[] at in x.Positions()) variance[at[1]] += (x[at] - mean[at[1]]) * (x[at] - mean[at[1]]) / count;
        return (mean, variance, count);
    }

    private static IEnumerable<OperatorCase> MaxPoolGradient()
    {
        foreach (var (dims, places) in new (long[], long[])[] { ([2, 3, 4, 5], [2, 3, 2, 2]), ([1, 1, 6], [1, 1, 3]), ([3, 2, 2, 3, 4], [3, 2, 1, 2, 2]), ([9, 8, 16, 16], [9, 8, 8, 8]) })
        {
            var random = new Random(7);
            Grid dy = Grid.Normal(67, places), at = Grid.Zeros(places), dx = Grid.Zeros(dims);
            int perImage = dx.Values.Length / (int)dims[0], count = at.Values.Length;
            for (int i = 0; i < count; i++)
            {
                at.Values[i] = i % 11 == 10 ? -5 : (int)(i * dims[0] / count) * perImage + random.Next(perImage);
                if (at.Values[i] >= 0) dx.Values[(int)at.Values[i]] += dy.Values[i];
            }
            yield return new(new OneNode("MaxPoolGrad") { Domain = "", OutputDims = dims }, [dy, new(ElementType.Int64, places, at.Values)], dx) { HasFallback = false };
        }
    }

    private static IEnumerable<OperatorCase> AveragePoolGradient()
    {
        foreach (var (dims, places, kernel, strides, pads) in new (long[], long[], long[], long[], long[])[]
            { ([2, 3, 4, 5], [2, 3, 3, 2], [2, 2], [1, 2], [0, 0, 0, 0]), ([1, 2, 7], [1, 2, 4], [3], [2], [1, 1]), ([1, 2, 4, 3, 4], [1, 2, 2, 2, 3], [2, 2, 2], [2, 1, 1], [0, 0, 0, 0, 0, 0]), ([4, 8, 14, 14], [4, 8, 7, 7], [3, 3], [2, 2], [1, 1, 1, 1]) })
            foreach (bool all in new[] { false, true })
            {
                Grid dy = Grid.Normal(68, places), dx = Grid.Zeros(dims);
                foreach (long[] at in dy.Positions())
                {
                    long[][] under = [.. Grid.Zeros(kernel).Positions().Select(k => (long[])[at[0], at[1], .. k.Select((o, d) => at[d + 2] * strides[d] + o - pads[d])]).Where(p => p.Index().All(i => i.Item >= 0 && i.Item < dims[i.Index]))];
                    double share = dy[at] / (all ? kernel.Aggregate(1L, (a, b) => a * b) : under.Length);
                    foreach (long[] p in under) dx[p] += share;
                }
                yield return new(new OneNode("AveragePoolGrad", ("kernel_shape", kernel), ("strides", strides), ("pads", pads), ("count_include_pad", all ? 1L : 0L)) { Domain = "", OutputDims = dims }, [dy], dx) { HasFallback = false };
            }
    }
}
