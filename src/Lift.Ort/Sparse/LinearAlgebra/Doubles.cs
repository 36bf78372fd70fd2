using System.Runtime.Intrinsics;

namespace Lift.Ort.Sparse.LinearAlgebra;

/// <summary>The inner loops of small float64 factorisations, on contiguous rows.</summary>
internal static unsafe class Doubles
{
    /// <summary>Σ x[i]·y[i]</summary>
    public static double Dot(double* x, double* y, int n)
    {
        Vector512<double> a = default, b = default;
        int i = 0;
        for (; i + 16 <= n; i += 16)
        {
            a += Vector512.Load(x + i) * Vector512.Load(y + i);
            b += Vector512.Load(x + i + 8) * Vector512.Load(y + i + 8);
        }
        for (; i + 8 <= n; i += 8) a += Vector512.Load(x + i) * Vector512.Load(y + i);
        double sum = Vector512.Sum(a + b);
        for (; i < n; i++) sum += x[i] * y[i];
        return sum;
    }

    /// <summary>y += a·x</summary>
    public static void Axpy(double a, double* x, double* y, int n)
    {
        int i = 0;
        Vector512<double> factor = Vector512.Create(a);
        for (; i + 8 <= n; i += 8) (Vector512.Load(y + i) + factor * Vector512.Load(x + i)).Store(y + i);
        for (; i < n; i++) y[i] += a * x[i];
    }

    /// <summary>y += a·u + b·v</summary>
    public static void Axpy2(double a, double* u, double b, double* v, double* y, int n)
    {
        int i = 0;
        Vector512<double> f = Vector512.Create(a), g = Vector512.Create(b);
        for (; i + 8 <= n; i += 8) (Vector512.Load(y + i) + f * Vector512.Load(u + i) + g * Vector512.Load(v + i)).Store(y + i);
        for (; i < n; i++) y[i] += a * u[i] + b * v[i];
    }

    /// <summary>x *= a</summary>
    public static void Scale(double a, double* x, int n)
    {
        for (int i = 0; i < n; i++) x[i] *= a;
    }
}
