namespace Lift.Ort.Tests.Operators;

internal static partial class OperatorCases
{
    private static readonly (long[] Dims, long Axis)[] normalized = [([1, 1], -1), ([4, 5], -1), ([4, 5], 1), ([0, 5], -1), ([2, 3, 33], -1), ([2, 3, 4], 1), ([2, 3, 4], 0), ([130, 300], -1)];

    private static IEnumerable<OperatorCase> LayerNorm()
    {
        foreach (var (dims, axis) in normalized)
        {
            Normalized n = PlainNormalization(dims, axis, true);
            yield return new(new OneNode("LayerNormalizationGrad", ("axis", axis)) { Outputs = 3 }, [n.Dy, n.X, n.Scale, n.Mean, n.InvStd], n.Dx, n.DScale, n.DBias)
            {
                HasFallback = axis == -1,
                Tolerance = 1e-5,
            };
        }
    }

    private static IEnumerable<OperatorCase> RmsNorm()
    {
        foreach (var (dims, axis) in normalized)
        {
            Normalized n = PlainNormalization(dims, axis, false);
            yield return new(new OneNode("SimplifiedLayerNormalizationGrad", ("axis", axis)) { Outputs = 2 }, [n.Dy, n.X, n.Scale, n.InvStd], n.Dx, n.DScale) { HasFallback = axis == -1, Tolerance = 1e-5 };
        }
    }

    private static IEnumerable<OperatorCase> InvertibleLayerNorm()
    {
        foreach (var (dims, axis) in normalized)
        {
            Normalized n = PlainNormalization(dims, axis, true);
            yield return new(new OneNode("InvertibleLayerNormalizationGrad", ("axis", axis)) { Outputs = 3 }, [n.Dy, n.Y, n.Scale, n.Bias, n.InvStd], n.Dx, n.DScale, n.DBias) { HasFallback = false, Tolerance = 1e-5 };
        }
    }

    private sealed record Normalized(Grid Dy, Grid X, Grid Y, Grid Scale, Grid Bias, Grid Mean, Grid InvStd, Grid Dx, Grid DScale, Grid DBias);

    /// <summary>The Jacobian row by row: dx_i = Σ_j dy_j · scale_j · ∂x̂_j/∂x_i with ∂x̂_j/∂x_i = inv · (δ_ij − 1/n [if centred] − x̂_i x̂_j / n).</summary>
    private static Normalized PlainNormalization(long[] dims, long axis, bool centred)
    {
        int a = (int)(axis < 0 ? axis + dims.Length : axis);
        long[] rowDims = dims[a..];
        int rows = (int)dims[..a].Aggregate(1L, (p, d) => p * d), n = (int)rowDims.Aggregate(1L, (p, d) => p * d);
        long[] statDims = [.. dims[..a], .. rowDims.Select(_ => 1L)];
        Grid x = Grid.Normal(21, dims), dy = Grid.Normal(22, dims), scale = Grid.Normal(23, rowDims), bias = Grid.Normal(24, rowDims), y = Grid.Zeros(dims), dx = Grid.Zeros(dims);
        Grid mean = Grid.Zeros(statDims), inv = Grid.Zeros(statDims), dScale = Grid.Zeros(rowDims), dBias = Grid.Zeros(rowDims);
        for (int r = 0; r < rows; r++)
        {
            double[] row = x.Values[(r * n)..((r + 1) * n)];
            double m = centred ? row.Average() : 0, i = 1 / Math.Sqrt(row.Average(v => (v - m) * (v - m)) + 1e-5);
            (mean.Values[r], inv.Values[r]) = (m, i);
            double[] hat = Array.ConvertAll(row, v => (v - m) * i), g = [.. Enumerable.Range(0, n).Select(k => dy.Values[r * n + k] * scale.Values[k])];
            double sumG = g.Sum(), sumGx = g.Zip(hat, (p, q) => p * q).Sum();
            for (int k = 0; k < n; k++)
            {
                y.Values[r * n + k] = hat[k] * scale.Values[k] + bias.Values[k];
                dx.Values[r * n + k] = i * (g[k] - (centred ? sumG / n : 0) - hat[k] * sumGx / n);
                dScale.Values[k] += dy.Values[r * n + k] * hat[k];
                dBias.Values[k] += dy.Values[r * n + k];
            }
        }
        return new(dy, x, y, scale, bias, mean, inv, dx, dScale, dBias);
    }
}
