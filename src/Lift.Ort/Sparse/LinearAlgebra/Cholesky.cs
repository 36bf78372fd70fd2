using Lift.Ort.Onnx;

namespace Lift.Ort.Sparse.LinearAlgebra;

/// <summary>The small float64 half of CholeskyQR.</summary>
internal static unsafe class Cholesky
{
    /// <summary>
    /// s (n×n, symmetric positive definite, row-major) = RᵀR; result = R⁻¹ (upper triangular, float32, row-major). If s is not positive
    /// definite, 1e-13 of its trace is added to the diagonal, ten times more with each retry.
    /// </summary>
    /// <exception cref="ArithmeticException">No shift helped: s holds NaN or infinity.</exception>
    public static void InverseFactor(double* s, int n, float* result)
    {
        using var memory = new NativeBuffer(2L * n * n * sizeof(double));
        double* l = (double*)memory.Data, inverse = l + (long)n * n;
        double trace = 0, shift = 0;
        for (int i = 0; i < n; i++) trace += s[(long)i * n + i];
        while (!Factor(s, n, shift, l))
        {
            shift = shift == 0 ? 1e-13 * trace : 10 * shift;
            if (!(shift <= trace)) throw new ArithmeticException($"Cholesky failed, trace {trace}");
        }
        Invert(l, n, inverse);
        for (int i = 0; i < n; i++)
        {
            for (int j = 0; j < n; j++) result[(long)i * n + j] = j < i ? 0 : (float)inverse[(long)j * n + i];
        }
    }

    /// <summary>l ← lower triangular L with L·Lᵀ = s + shift·I; false when a pivot is not positive.</summary>
    private static bool Factor(double* s, int n, double shift, double* l)
    {
        for (int i = 0; i < n; i++)
        {
            double* row = l + (long)i * n;
            for (int j = 0; j < i; j++) row[j] = (s[(long)i * n + j] - Doubles.Dot(row, l + (long)j * n, j)) / l[(long)j * n + j];
            double pivot = s[(long)i * n + i] + shift - Doubles.Dot(row, row, i);
            if (!(pivot > 0)) return false;
            row[i] = Math.Sqrt(pivot);
        }
        return true;
    }

    /// <summary>inverse ← L⁻¹, row by row: row i is (eᵢ − Σ lᵢⱼ·rowⱼ) / lᵢᵢ.</summary>
    private static void Invert(double* l, int n, double* inverse)
    {
        for (int i = 0; i < n; i++)
        {
            double* row = inverse + (long)i * n;
            for (int j = 0; j < i; j++) Doubles.Axpy(-l[(long)i * n + j], inverse + (long)j * n, row, j + 1);
            row[i] = 1;
            Doubles.Scale(1 / l[(long)i * n + i], row, i + 1);
        }
    }
}
