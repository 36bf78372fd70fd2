using System.Runtime.InteropServices;
using Lift.Ort.Onnx;
using Lift.Ort.Sparse;

namespace Lift.Ort.Cli.Bench;

/// <summary>The matrices that refreshes are measured on; the same distributions as in the PyTorch baseline.</summary>
internal static class RandomMatrix
{
    private const double Deviation = 0.02;

    /// <summary>N(0, 0.02²), or with <paramref name="decay"/> A diag(1 / (1 + i / 32)) B of normal A and B, scaled to the same deviation.</summary>
    public static Tensor Make(int rows, int columns, bool decay, int seed)
    {
        var random = new Random(seed);
        float[] values = new float[(long)rows * columns];
        if (!decay)
        {
            for (int i = 0; i < values.Length; i++) values[i] = (float)(Deviation * Normal(random));
        }
        else
        {
            int inner = Math.Min(rows, columns);
            float[] a = new float[(long)rows * inner], b = new float[(long)inner * columns];
            for (int i = 0; i < a.Length; i++) a[i] = (float)(Normal(random) / (1 + i % inner / 32.0));
            for (int i = 0; i < b.Length; i++) b[i] = (float)Normal(random);
            Parallel.For(0, rows, r =>
            {
                Span<float> row = values.AsSpan(r * columns, columns);
                for (int k = 0; k < inner; k++) AddScaled(row, b.AsSpan(k * columns, columns), a[r * inner + k]);
            });
            double mean = values.Average(v => (double)v), scale = Deviation / Math.Sqrt(values.Average(v => (v - mean) * (v - mean)));
            for (int i = 0; i < values.Length; i++) values[i] = (float)(values[i] * scale);
        }
        return Tensor.From<float>("matrix", values, rows, columns);
    }

    /// <summary>The weight after a while of training: every selected entry moved up or down by 5 % of the weights' standard deviation.</summary>
    public static Tensor Moved(Tensor weight, Mask mask, int seed)
    {
        Tensor copy = weight.Copy();
        Span<float> values = copy.AsSpan<float>();
        var random = new Random(seed);
        foreach (int position in mask.ToPositions()) values[position] += (float)(0.05 * Deviation * Normal(random));
        return copy;
    }

    private static void AddScaled(Span<float> sum, ReadOnlySpan<float> term, float factor)
    {
        var sums = MemoryMarshal.Cast<float, System.Numerics.Vector<float>>(sum);
        var terms = MemoryMarshal.Cast<float, System.Numerics.Vector<float>>(term);
        for (int i = 0; i < sums.Length; i++) sums[i] += terms[i] * factor;
        for (int i = sums.Length * System.Numerics.Vector<float>.Count; i < sum.Length; i++) sum[i] += term[i] * factor;
    }

    private static double Normal(Random random) => Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
}
