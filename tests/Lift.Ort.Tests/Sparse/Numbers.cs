using Lift.Ort.Onnx;

namespace Lift.Ort.Tests.Sparse;

/// <summary>Seeded matrices for the tests of this folder.</summary>
internal static class Numbers
{
    public static float[] Normal(int count, int seed, double deviation = 1)
    {
        var random = new Random(seed);
        var x = new float[count];
        for (int i = 0; i < count; i++)
        {
            x[i] = (float)(deviation * Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble()));
        }
        return x;
    }

    /// <summary>rows×columns with singular values about as <paramref name="spectrum"/>(0), (1), …: a product of two normal matrices with the spectrum between.</summary>
    public static float[] WithSpectrum(int rows, int columns, int seed, Func<int, double> spectrum)
    {
        int inner = Math.Min(rows, columns);
        float[] a = Normal(rows * inner, seed), b = Normal(inner * columns, seed + 1), w = new float[rows * columns];
        Parallel.For(0, rows, i =>
        {
            var row = new double[columns];
            for (int l = 0; l < inner; l++)
            {
                double factor = a[i * inner + l] * spectrum(l) / inner;
                for (int j = 0; j < columns; j++) row[j] += factor * b[l * columns + j];
            }
            for (int j = 0; j < columns; j++) w[i * columns + j] = (float)row[j];
        });
        return w;
    }

    public static double PowerLaw(int i) => 1 / (1 + i / 32.0);

    /// <summary>Best rank-r approximation by a float64 singular value decomposition that is not ours.</summary>
    public static float[] Oracle(float[] w, int rows, int columns, int rank)
    {
        var matrix = MathNet.Numerics.LinearAlgebra.Matrix<double>.Build.Dense(rows, columns, (i, j) => w[i * columns + j]);
        var svd = matrix.Svd();
        var cut = MathNet.Numerics.LinearAlgebra.Matrix<double>.Build.DenseDiagonal(rank, rank, i => svd.S[i]);
        var a = svd.U.SubMatrix(0, rows, 0, rank) * cut * svd.VT.SubMatrix(0, rank, 0, columns);
        return [.. a.ToRowMajorArray().Select(x => (float)x)];
    }

    /// <summary>Plain sort: the k positions of largest score, of equal ones the lowest, ascending.</summary>
    public static int[] Top(IEnumerable<double> scores, int k) =>
        [.. scores.Select((s, i) => (s, i)).OrderByDescending(p => p.s).ThenBy(p => p.i).Take(k).Select(p => p.i).Order()];

    public static double RelativeError(float[] expected, ReadOnlySpan<float> actual)
    {
        double difference = 0, size = 0;
        for (int i = 0; i < expected.Length; i++)
        {
            difference += Math.Pow((double)expected[i] - actual[i], 2);
            size += (double)expected[i] * expected[i];
        }
        return Math.Sqrt(difference / size);
    }

    public static Tensor Weight(float[] values, params long[] dims) => Tensor.From<float>("w", values, dims);
}
