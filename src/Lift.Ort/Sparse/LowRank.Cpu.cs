using System.Runtime.Intrinsics;
using Lift.Ort.Devices;
using Lift.Ort.Devices.Cpu;
using Lift.Ort.Onnx;
using Lift.Ort.Sparse.LinearAlgebra;

namespace Lift.Ort.Sparse;

/// <summary>
/// Best rank-r approximation A = U·Uᵀ·W of a matrix by Chebyshev-filtered subspace iteration on the Gram matrix of its shorter side
/// (G = W·Wᵀ, or Wᵀ·W where W is tall; W is never transposed in memory). Large products are ONNX Runtime's, small factorisations float64.
/// The result carries its own error bound. Deterministic by seed. Keep one object per model: it keeps its workspace.
/// </summary>
internal sealed unsafe class LowRank(CpuDevice device, LowRankOptions options) : ILowRank
{
    /// <summary>Up to this size of the shorter side the whole eigenvalue decomposition is as fast as iterating.</summary>
    private const int SmallSide = 256;

    private readonly Workspace memory = new();
    private readonly MatrixProducts products = new(device);

    /// <summary>Width of the iterated block for rank r on a shorter side of m: r + max(32, r/2), at most m.</summary>
    public static int Width(int rank, int m) => Math.Min(m, rank + Math.Max(32, rank / 2));

    public int Batch(int rows, int columns, int rank) => 1;

    public void Approximate(IReadOnlyList<LowRankTask> tasks, int rank, Action<int, LowRankResult> use)
    {
        for (int i = 0; i < tasks.Count; i++)
        {
            LowRankTask task = tasks[i];
            using DeviceBuffer<float>? copy = device.AsSingle(task.Weight, out nint weight);
            Tensor? basis = task.Warm;
            LowRankResult found = Approximate(task.Name, (float*)weight, task.Rows, task.Columns, rank, task.Seed, ref basis);
            use(i, found with { Basis = basis });
        }
        GC.KeepAlive(tasks);
    }

    public void Approximate(LowRankTask task, int[] directions, Action<LowRankResult> use)
    {
        using DeviceBuffer<float>? copy = device.AsSingle(task.Weight, out nint weight);
        use(Approximate(task.Name, (float*)weight, task.Rows, task.Columns, directions));
        GC.KeepAlive(task.Weight);
    }

    /// <summary>Approximates <paramref name="weight"/> (float32, rows×columns) by rank <paramref name="rank"/>.</summary>
    /// <param name="warm">Previous basis (m×q) to start from, or null; replaced by the new one where the iteration ran.</param>
    /// <exception cref="LiftException">The weight holds NaN or infinity.</exception>
    public LowRankResult Approximate(string name, float* weight, int rows, int columns, int rank, int seed, ref Tensor? warm)
    {
        float largest = LargestMagnitude(name, weight, (long)rows * columns);
        int m = Math.Min(rows, columns), q = Width(rank, m);
        if (rank >= m || largest == 0) return new LowRankResult((nint)weight, 0, 0, 0);

        Matrix w = Comfortable(weight, rows, columns, largest);
        if (options.Exact || m <= SmallSide || q == m) return Exact(w, [.. Enumerable.Range(0, rank)]);

        var iteration = new SubspaceIteration(device, products, memory, w, rank, q, options);
        iteration.Run(warm, seed);
        warm = iteration.Basis();
        return new LowRankResult(Project(w, iteration.Y, q, rank), iteration.Bound, iteration.Outers, iteration.Products);
    }

    /// <summary>A from chosen singular directions (0 is that of the largest singular value), by the whole decomposition.</summary>
    /// <exception cref="LiftException">The weight holds NaN or infinity.</exception>
    public LowRankResult Approximate(string name, float* weight, int rows, int columns, int[] directions)
    {
        float largest = LargestMagnitude(name, weight, (long)rows * columns);
        return largest == 0 ? new LowRankResult((nint)weight, 0, 0, 0) : Exact(Comfortable(weight, rows, columns, largest), directions);
    }

    public void Dispose()
    {
        products.Dispose();
        memory.Dispose();
    }

    private LowRankResult Exact(Matrix w, int[] directions)
    {
        int m = Math.Min(w.Rows, w.Columns);
        using CpuBuffer<double> gram = new((long)m * m), vectors = new((long)m * m);
        bool tall = w.Rows > w.Columns;
        products.MultiplyWide(w, w, new Matrix(gram.Pointer, m, m), transposeA: tall, transposeB: !tall);
        SymmetricEigen.Decompose(device, (double*)gram.Pointer, m, new double[m], (double*)vectors.Pointer);
        float* y = memory.Floats("directions", (long)m * directions.Length);
        for (int j = 0; j < directions.Length; j++)
        {
            double* v = (double*)vectors.Pointer + (long)directions[j] * m;
            for (int i = 0; i < m; i++) y[(long)i * directions.Length + j] = (float)v[i];
        }
        return new LowRankResult(Project(w, y, directions.Length, directions.Length), 0, 0, 0);
    }

    /// <summary>U·(Uᵀ·W), or (W·U)·Uᵀ for a tall W, with U the first r columns of y (m×q).</summary>
    private nint Project(Matrix w, float* y, int q, int rank)
    {
        int m = Math.Min(w.Rows, w.Columns), n = Math.Max(w.Rows, w.Columns);
        float* u = memory.Floats("u", (long)m * rank), ut = memory.Floats("ut", (long)m * rank);
        for (int i = 0; i < m; i++)
        {
            for (int j = 0; j < rank; j++) u[(long)i * rank + j] = ut[(long)j * m + i] = y[(long)i * q + j];
        }
        Matrix basis = new((nint)u, m, rank), transposed = new((nint)ut, rank, m);
        Matrix a = new((nint)memory.Floats("a", (long)m * n), w.Rows, w.Columns);
        nint inner = (nint)memory.Floats("inner", (long)n * rank);
        if (w.Rows > w.Columns)
        {
            Matrix b = new(inner, n, rank);
            products.Multiply(w, basis, b);
            products.Multiply(b, transposed, a);
        }
        else
        {
            Matrix b = new(inner, rank, n);
            products.Multiply(transposed, w, b);
            products.Multiply(basis, b, a);
        }
        return a.Data;
    }

    /// <summary>max |w|</summary>
    /// <exception cref="LiftException">NaN or infinity is among them.</exception>
    private float LargestMagnitude(string name, float* w, long count)
    {
        var largest = new uint[Blocks.Count(count)];
        Blocks.Run(device, count, (block, from, to) =>
        {
            uint* bits = (uint*)w;
            Vector256<uint> max = default, mask = Vector256.Create(0x7fffffffu);
            long i = from;
            for (; i + 8 <= to; i += 8) max = Vector256.Max(max, Vector256.Load(bits + i) & mask);
            uint best = 0;
            for (int lane = 0; lane < 8; lane++) best = Math.Max(best, max[lane]);
            for (; i < to; i++) best = Math.Max(best, bits[i] & 0x7fffffff);
            largest[block] = best;
        });
        uint all = largest.Max();
        if (all < 0x7f800000) return BitConverter.UInt32BitsToSingle(all);
        long bad = 0;
        while (float.IsFinite(w[bad])) bad++;
        throw new LiftException($"Weight '{name}' holds {w[bad]} at position {bad}, so it has no low-rank approximation; start again from a sound model or lower the learning rate.");
    }

    /// <summary>The weight, or a copy scaled by a power of two where squares would leave float32's range; scaling does not move the selection.</summary>
    private Matrix Comfortable(float* w, int rows, int columns, float largest)
    {
        if (largest is > 1e-12f and < 1e12f) return new Matrix((nint)w, rows, columns);
        int exponent = -MathF.ILogB(largest);
        float* copy = memory.Floats("scaled", (long)rows * columns);
        for (long i = 0; i < (long)rows * columns; i++) copy[i] = MathF.ScaleB(w[i], exponent);
        return new Matrix((nint)copy, rows, columns);
    }
}
