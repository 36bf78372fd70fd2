using Lift.Ort.Devices.Cpu;
using Lift.Ort.Sparse.LinearAlgebra;

namespace Lift.Ort.Tests.Sparse;

[TestClass]
public sealed unsafe class SymmetricEigenTests
{
    [TestMethod]
    [DataRow(1)]
    [DataRow(2)]
    [DataRow(3)]
    [DataRow(31)]
    [DataRow(96)]
    [DataRow(193)]
    public void Agrees_with_MathNet_and_rebuilds_the_matrix(int n)
    {
        double[] a = Symmetric(n, n);
        var (values, vectors) = Decompose(a, n);

        var oracle = MathNet.Numerics.LinearAlgebra.Matrix<double>.Build.DenseOfRowMajor(n, n, a).Evd(MathNet.Numerics.LinearAlgebra.Symmetricity.Symmetric);
        double[] expected = [.. oracle.EigenValues.Select(v => v.Real).OrderDescending()];
        double scale = expected.Max(Math.Abs);
        for (int i = 0; i < n; i++) Assert.AreEqual(expected[i], values[i], 1e-13 * n * scale);
        Check(a, n, values, vectors, 1e-14 * n * scale);
    }

    [TestMethod]
    public void Special_matrices_are_decomposed()
    {
        const int N = 40;
        double[] Of(Func<int, int, double> f) => [.. Enumerable.Range(0, N * N).Select(p => f(p / N, p % N))];
        (string Name, double[] Matrix)[] cases =
        [
            ("zero", new double[N * N]), ("identity", Of((i, j) => i == j ? 1 : 0)), ("ones", Of((_, _) => 1)), ("diagonal", Of((i, j) => i == j ? i - 20 : 0)),
            ("rank 2", Of((i, j) => i * j + 5 * Math.Cos(i) * Math.Cos(j))), ("blocks", Of((i, j) => i / 10 == j / 10 ? 1.0 / (1 + i + j) : 0)),
            ("tiny", Of((i, j) => 1e-200 / (1 + i + j))), ("graded", Of((i, j) => Math.Pow(10, -(i + j) / 4.0))),
        ];
        foreach (var (name, matrix) in cases)
        {
            var (values, vectors) = Decompose(matrix, N);
            Check(matrix, N, values, vectors, 1e-13 * Math.Max(matrix.Max(Math.Abs) * N, 1e-300), name);
        }
    }

    [TestMethod]
    public void Result_does_not_depend_on_the_threads()
    {
        double[] a = Symmetric(150, 1);
        CollectionAssert.AreEqual(Decompose(a, 150, 1).Vectors, Decompose(a, 150, 4).Vectors);
    }

    [TestMethod]
    public void NaN_is_reported() => Assert.ThrowsExactly<ArithmeticException>(() => Decompose([1, double.NaN, double.NaN, 1], 2));

    private static double[] Symmetric(int n, int seed)
    {
        float[] x = Numbers.Normal(n * n, seed);
        return [.. Enumerable.Range(0, n * n).Select(p => (double)x[p] + x[p % n * n + p / n])];
    }

    private static (double[] Values, double[] Vectors) Decompose(double[] a, int n, int threads = 2)
    {
        double[] copy = [.. a], values = new double[n], vectors = new double[n * n];
        fixed (double* pa = copy, pv = vectors) SymmetricEigen.Decompose(new CpuDevice { Threads = threads }, pa, n, values, pv);
        return (values, vectors);
    }

    /// <summary>Orthonormal rows, descending values, A·v = θ·v.</summary>
    private static void Check(double[] a, int n, double[] values, double[] v, double tolerance, string what = "")
    {
        for (int i = 0; i < n; i++)
        {
            Assert.IsTrue(i == 0 || values[i] <= values[i - 1], what);
            for (int j = 0; j < n; j++)
            {
                double dot = 0, product = 0;
                for (int l = 0; l < n; l++)
                {
                    dot += v[i * n + l] * v[j * n + l];
                    product += a[j * n + l] * v[i * n + l];
                }
                Assert.AreEqual(i == j ? 1 : 0, dot, 1e-13 * n, $"{what}: rows {i} and {j}");
                Assert.AreEqual(values[i] * v[i * n + j], product, tolerance, $"{what}: vector {i}");
            }
        }
    }
}
