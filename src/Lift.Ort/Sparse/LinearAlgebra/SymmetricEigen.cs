using System.Runtime.Intrinsics;
using Lift.Ort.Devices.Cpu;

namespace Lift.Ort.Sparse.LinearAlgebra;

/// <summary>
/// Eigenvalues and eigenvectors of a symmetric float64 matrix: Householder tridiagonalisation, then implicit QL (Golub and Van Loan, 8.3).
/// Eigenvectors are rows, so that every inner loop runs over contiguous memory; the rotations of QL are recorded first and applied
/// afterwards, block of columns by block of columns, on all threads.
/// </summary>
internal static unsafe class SymmetricEigen
{
    private const int MaxSweeps = 50;
    private const int RotationsAtATime = 1 << 20;

    private readonly record struct Sweep(int Low, int High, int Start); // rotates rows (i, i+1) for i = High−1 … Low

    /// <summary>a (n×n, row-major; destroyed) = Vᵀ·diag(values)·V, values descending, row i of <paramref name="vectors"/> (n×n) the i-th eigenvector.</summary>
    /// <exception cref="ArithmeticException">The matrix holds NaN or infinity.</exception>
    public static void Decompose(CpuDevice device, double* a, int n, double[] values, double* vectors)
    {
        double largest = 0;
        for (long i = 0; i < (long)n * n; i++) largest = Math.Max(largest, Math.Abs(a[i]));
        if (!double.IsFinite(largest)) throw new ArithmeticException($"eigenvalues of a matrix that holds {largest}");
        int exponent = largest == 0 ? 0 : Math.ILogB(largest); // squares of entries must neither vanish nor overflow
        if (exponent != 0) Doubles.Scale(Math.ScaleB(1, -exponent), a, n * n);

        var off = new double[n];
        using var memory = new CpuBuffer<double>((long)n * n + 2L * n + 1);
        double* q = (double*)memory.Pointer, work = q + (long)n * n;
        var reflections = new double[n];
        Tridiagonalise(a, n, values, off, reflections, work);
        ForColumns(device, n, (from, to) => Accumulate(a, n, reflections, q, from, to));
        Transpose(q, n, vectors);
        Rotate(device, n, values, off, vectors);
        Sort(n, values, vectors);
        for (int i = 0; i < n; i++) values[i] = Math.ScaleB(values[i], exponent);
    }

    /// <summary>a ← reflectors (row k holds that of step k from column k+1 on); diagonal and off-diagonal (off[i] between i and i+1) of the tridiagonal matrix.</summary>
    private static void Tridiagonalise(double* a, int n, double[] diagonal, double[] off, double[] reflections, double* p)
    {
        for (int k = 0; k + 1 < n; k++)
        {
            double* v = a + (long)k * n + k + 1;
            int size = n - k - 1;
            diagonal[k] = a[(long)k * n + k];
            double tail = Doubles.Dot(v + 1, v + 1, size - 1), norm = Math.Sqrt(tail + v[0] * v[0]);
            if (tail == 0)
            {
                (off[k], reflections[k]) = (v[0], 0);
                continue;
            }
            double alpha = v[0] > 0 ? -norm : norm;
            off[k] = alpha;
            v[0] -= alpha;
            double beta = reflections[k] = 2 / (tail + v[0] * v[0]);

            // A ← H·A·H for the trailing block: p = β·A·v, w = p − (β/2)(pᵀv)·v, A −= v·wᵀ + w·vᵀ
            for (int i = 0; i < size; i++) p[i] = beta * Doubles.Dot(a + (long)(k + 1 + i) * n + k + 1, v, size);
            Doubles.Axpy(-0.5 * beta * Doubles.Dot(p, v, size), v, p, size);
            for (int i = 0; i < size; i++) Doubles.Axpy2(-v[i], p, -p[i], v, a + (long)(k + 1 + i) * n + k + 1, size);
        }
        diagonal[n - 1] = a[(long)n * n - 1];
    }

    /// <summary>Columns from … to of Q = H₀·H₁·…, starting from the identity with the last reflector.</summary>
    private static void Accumulate(double* a, int n, double[] reflections, double* q, int from, int to)
    {
        int width = to - from;
        double* sum = stackalloc double[width];
        for (int i = 0; i < n; i++)
        {
            new Span<double>(q + (long)i * n + from, width).Clear();
            if (i >= from && i < to) q[(long)i * n + i] = 1;
        }
        for (int k = n - 2; k >= 0; k--)
        {
            int first = Math.Max(from, k + 1); // columns up to k are still those of the identity, rows below k are zero there
            if (reflections[k] == 0 || first >= to) continue;
            double* v = a + (long)k * n;
            new Span<double>(sum, to - first).Clear();
            for (int i = k + 1; i < n; i++) Doubles.Axpy(v[i], q + (long)i * n + first, sum, to - first);
            for (int i = k + 1; i < n; i++) Doubles.Axpy(-reflections[k] * v[i], sum, q + (long)i * n + first, to - first);
        }
    }

    private static void Transpose(double* q, int n, double* vectors)
    {
        for (int i = 0; i < n; i++)
        {
            for (int j = 0; j < n; j++) vectors[(long)j * n + i] = q[(long)i * n + j];
        }
    }

    /// <summary>Implicit QL on the tridiagonal matrix; its rotations are applied to the rows of <paramref name="vectors"/>.</summary>
    private static void Rotate(CpuDevice device, int n, double[] d, double[] e, double* vectors)
    {
        var sweeps = new List<Sweep>();
        var rotations = new List<(double C, double S)>();
        double scale = 0;
        for (int i = 0; i < n; i++) scale = Math.Max(scale, Math.Abs(d[i]) + Math.Abs(e[i]));
        e[n - 1] = 0;
        for (int l = 0; l < n; l++)
        {
            for (int sweep = 0; ; sweep++)
            {
                int m = l;
                while (m + 1 < n && Math.Abs(e[m]) > double.Epsilon + 1.1e-16 * (Math.Abs(d[m]) + Math.Abs(d[m + 1]) + 1e-8 * scale)) m++;
                if (m == l) break;
                if (sweep == MaxSweeps) throw new ArithmeticException($"QL did not converge for eigenvalue {l} of {n}");

                double g = (d[l + 1] - d[l]) / (2 * e[l]), r = Hypot(g, 1);
                g = d[m] - d[l] + e[l] / (g + (g >= 0 ? r : -r));
                double s = 1, c = 1, p = 0;
                int i = m - 1, start = rotations.Count;
                for (; i >= l; i--)
                {
                    double f = s * e[i], b = c * e[i];
                    r = Hypot(f, g);
                    e[i + 1] = r;
                    if (r == 0)
                    {
                        d[i + 1] -= p;
                        e[m] = 0;
                        break;
                    }
                    (s, c) = (f / r, g / r);
                    g = d[i + 1] - p;
                    r = (d[i] - g) * s + 2 * c * b;
                    p = s * r;
                    d[i + 1] = g + p;
                    g = c * r - b;
                    rotations.Add((c, s));
                }
                sweeps.Add(new Sweep(i + 1, m, start));
                if (i >= l) continue;
                d[l] -= p;
                e[l] = g;
                e[m] = 0;
            }
            if (rotations.Count > RotationsAtATime) Apply(device, n, sweeps, rotations, vectors);
        }
        Apply(device, n, sweeps, rotations, vectors);
    }

    private static double Hypot(double x, double y)
    {
        double square = x * x + y * y;
        return square is > 1e-280 and < 1e280 ? Math.Sqrt(square) : double.Hypot(x, y);
    }

    private static void Apply(CpuDevice device, int n, List<Sweep> sweeps, List<(double C, double S)> rotations, double* vectors)
    {
        var turns = rotations.ToArray();
        var order = sweeps.ToArray();
        rotations.Clear();
        sweeps.Clear();
        ForColumns(device, n, (from, to) =>
        {
            int j = from;
            for (; j + 16 <= to; j += 16) Apply16(order, turns, vectors + j, n);
            for (; j < to; j++) Apply1(order, turns, vectors + j, n);
        });
    }

    private static void Apply16(Sweep[] sweeps, (double C, double S)[] turns, double* column, int n)
    {
        foreach (Sweep sweep in sweeps)
        {
            int at = sweep.Start;
            double* row = column + (long)sweep.High * n;
            var (high0, high1) = (Vector512.Load(row), Vector512.Load(row + 8));
            for (int i = sweep.High - 1; i >= sweep.Low; i--)
            {
                (double c, double s) = turns[at++];
                double* low = row - n;
                var (low0, low1) = (Vector512.Load(low), Vector512.Load(low + 8));
                Vector512.Store(low0 * s + high0 * c, row);
                Vector512.Store(low1 * s + high1 * c, row + 8);
                (high0, high1) = (low0 * c - high0 * s, low1 * c - high1 * s);
                row = low;
            }
            Vector512.Store(high0, row);
            Vector512.Store(high1, row + 8);
        }
    }

    private static void Apply1(Sweep[] sweeps, (double C, double S)[] turns, double* column, int n)
    {
        foreach (Sweep sweep in sweeps)
        {
            int at = sweep.Start;
            double* row = column + (long)sweep.High * n;
            double high = *row;
            for (int i = sweep.High - 1; i >= sweep.Low; i--)
            {
                (double c, double s) = turns[at++];
                double* low = row - n;
                *row = *low * s + high * c;
                high = *low * c - high * s;
                row = low;
            }
            *row = high;
        }
    }

    /// <summary>Descending by selection: n swaps of rows at most.</summary>
    private static void Sort(int n, double[] values, double* vectors)
    {
        for (int i = 0; i < n; i++)
        {
            int best = i;
            for (int j = i + 1; j < n; j++) best = values[j] > values[best] ? j : best;
            if (best == i) continue;
            (values[i], values[best]) = (values[best], values[i]);
            double* x = vectors + (long)i * n, y = vectors + (long)best * n;
            for (int j = 0; j < n; j++) (x[j], y[j]) = (y[j], x[j]);
        }
    }

    /// <summary>Runs <paramref name="body"/> on ranges of columns, multiples of 16 wide, one per thread.</summary>
    private static void ForColumns(CpuDevice device, int n, Action<int, int> body)
    {
        int parts = n < 64 ? 1 : Math.Min(device.Threads, n / 32), width = ((n + parts - 1) / parts + 15) / 16 * 16;
        if (parts == 1) body(0, n);
        else Parallel.For(0, parts, part => { if (part * width < n) body(part * width, Math.Min(n, (part + 1) * width)); });
    }
}
