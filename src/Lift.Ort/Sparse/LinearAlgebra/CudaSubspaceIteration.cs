using System.Runtime.InteropServices;
using Lift.Ort.Devices.Cuda;

namespace Lift.Ort.Sparse.LinearAlgebra;

/// <summary>The shape of a batch: <paramref name="Count"/> row-major matrices, their rank, and the width q of the block.</summary>
internal readonly record struct SubspaceShape(int Rows, int Columns, int Rank, int Q, int Count)
{
    public int M => Math.Min(Rows, Columns);

    public int N => Math.Max(Rows, Columns);

    public bool Tall => Rows > Columns;
}

/// <summary>
/// <see cref="SubspaceIteration"/> for a batch of matrices of one shape on a GPU, in lock-step until the worst bound of the batch passes. The Gram matrix and
/// the products by it are float32 (the products never TF32: its rounding would bring the top directions back), CholeskyQR, Rayleigh-Ritz and the bound
/// float64. All matrices column-major: y is m×q with its columns as the basis.
/// </summary>
internal sealed unsafe class CudaSubspaceIteration
{
    private const double Shift = 1e-15; // of the trace, so that no Cholesky factorization fails for rounding alone
    private const string File = "LowRank";

    private readonly CudaDevice device;
    private readonly SubspaceShape s;
    private readonly LowRankOptions options;
    private readonly CudaBases bases;
    private readonly nint gram, small, turn, values, theta, squares, infos, scales, degrees; // theta, squares and infos lie one behind the other, and so do scales and degrees
    private readonly double[][] ritz;
    private nint y, z, next, wideY, wideZ, spare;
    private bool startedWarm;

    public CudaSubspaceIteration(CudaDevice device, CudaWorkspace memory, CudaBases bases, SubspaceShape shape, LowRankOptions options)
    {
        (this.device, this.bases, s, this.options) = (device, bases, shape, options);
        long block = (long)s.M * s.Q * s.Count, square = (long)s.Q * s.Q * s.Count;
        gram = memory.Floats("gram", (long)s.M * s.M * s.Count);
        (y, z, next) = (memory.Floats("y", block), memory.Floats("z", block), memory.Floats("next", block));
        (wideY, wideZ, spare) = (memory.Doubles("wide y", block), memory.Doubles("wide z", block), memory.Doubles("spare", block));
        (small, turn) = (memory.Doubles("small", square), memory.Doubles("turn", square));
        values = memory.Doubles("ritz values", (long)s.Q * s.Count);
        theta = memory.Doubles("findings", (s.Q + s.Rank + 1L) * s.Count);
        squares = theta + s.Q * s.Count * sizeof(double);
        infos = squares + s.Rank * s.Count * sizeof(double);
        scales = memory.Floats("scales", 2L * s.Count);
        degrees = scales + s.Count * sizeof(float);
        ritz = [.. Enumerable.Range(0, s.Count).Select(_ => new double[s.Q])];
        (Bounds, Outers) = (new double[s.Count], new int[s.Count]);
    }

    /// <summary>For each matrix max over i &lt; r of ‖G·yᵢ − θᵢ·yᵢ‖ / (θᵢ − θ_q)</summary>
    public double[] Bounds { get; }

    /// <summary>Filter rounds of each matrix.</summary>
    public int[] Outers { get; }

    /// <summary>Products by the Gram matrices, those of the whole batch counted once.</summary>
    public int Products { get; private set; }

    private long Block => (long)s.M * s.Q;

    /// <summary>Address of the block of matrix <paramref name="i"/>, m×q column-major.</summary>
    public nint Basis(int i) => y + (nint)(i * Block * sizeof(float));

    public void Run(CudaMatrix[] weights, IReadOnlyList<LowRankTask> tasks)
    {
        for (int i = 0; i < s.Count; i++)
        {
            CudaMatrix g = CudaMatrix.Float(gram + (nint)((long)i * s.M * s.M * sizeof(float)), s.M);
            device.Algebra.Multiply(!s.Tall, s.Tall, s.M, s.M, s.N, weights[i], weights[i], g, tf32: device.Options.Tf32);
        }
        startedWarm = tasks.All(t => t.Warm is { } warm && warm.Dims.AsSpan().SequenceEqual([s.Q, s.M]));
        if (startedWarm) StartWarm(tasks);
        else StartCold(tasks);
        RitzRotate();
        double[] before = [.. Bounds.Select(_ => double.PositiveInfinity)];
        for (int outer = 0; outer < options.MaxOuters; outer++)
        {
            bool[] open = [.. Enumerable.Range(0, s.Count).Select(i => IsOpen(i, before[i]))];
            if (!open.Contains(true)) break;
            for (int i = 0; i < s.Count; i++)
            {
                if (open[i]) before[i] = Bounds[i];
            }
            Filter(open);
            Orthonormalise(passes: 2);
            RitzRotate();
            for (int i = 0; i < s.Count; i++) Outers[i] += open[i] ? 1 : 0;
        }
    }

    /// <summary>Whether a matrix goes on: its bound is above the tolerance, its r-th direction is no rounding noise, and rounds still change something.</summary>
    private bool IsOpen(int i, double before) =>
        Bounds[i] > options.Tolerance && ritz[i][s.Rank - 1] > 1e-12 * ritz[i][0] && !(Outers[i] > 2 && Bounds[i] > 0.7 * before);

    private void StartWarm(IReadOnlyList<LowRankTask> tasks)
    {
        for (int i = 0; i < s.Count; i++) bases.Load(tasks[i].Name, tasks[i].Warm!, Basis(i));
        Orthonormalise(passes: 1);
    }

    private void StartCold(IReadOnlyList<LowRankTask> tasks)
    {
        for (int i = 0; i < s.Count; i++) device.Launch(File, "Fill", null, Grid.For(Block, 4), Basis(i), tasks[i].Seed, s.M, s.Q);
        for (int i = 0; i < 2; i++)
        {
            MultiplyByGram(y, z);
            (y, z) = (z, y);
            Orthonormalise(passes: i + 1);
        }
    }

    /// <summary>result ← G·x</summary>
    private void MultiplyByGram(nint x, nint result)
    {
        CudaMatrix g = CudaMatrix.Float(gram, s.M, (long)s.M * s.M), from = CudaMatrix.Float(x, s.M, Block), to = CudaMatrix.Float(result, s.M, Block);
        device.Algebra.Multiply(false, false, s.M, s.Q, s.M, g, from, to, s.Count);
        Products++;
    }

    /// <summary>y ← T_d(2G/a − I)·y with a = θ_q of each open matrix; z = G·y is there already.</summary>
    private void Filter(bool[] open)
    {
        float[] numbers = new float[2 * s.Count]; // scales, then degrees: one copy
        Span<float> scale = numbers.AsSpan(0, s.Count);
        Span<int> degree = MemoryMarshal.Cast<float, int>(numbers.AsSpan(s.Count));
        int most = 0;
        for (int i = 0; i < s.Count; i++)
        {
            if (!open[i]) continue;
            degree[i] = ChebyshevFilter.Degree(ritz[i].AsSpan(0, s.Q), s.Rank, Bounds[i], options.Tolerance, Outers[i] == 0 && startedWarm, out double a);
            scale[i] = (float)(2 / a);
            most = Math.Max(most, degree[i]);
        }
        fixed (float* from = numbers) device.Upload((byte*)from, scales, numbers.Length * sizeof(float));
        Step(y, next, 0);
        for (int i = 1; i < most; i++)
        {
            MultiplyByGram(next, z);
            Step(y, next, i);
            (y, next) = (next, y);
        }
        (y, next) = (next, y);

        void Step(nint y0, nint y1, int step) => device.Launch(File, "Chebyshev", null, Grid.For(Block * s.Count, 4), y0, y1, z, scales, degrees, step, Block, Block * s.Count);
    }

    /// <summary>y ← an orthonormal basis of its columns, and the same in float64: CholeskyQR, the first of several passes shifted.</summary>
    private void Orthonormalise(int passes)
    {
        Convert("ToDouble", y, wideY);
        CudaMatrix block = CudaMatrix.Double(wideY, s.M, Block), square = CudaMatrix.Double(small, s.Q, (long)s.Q * s.Q);
        for (int pass = 0; pass < passes; pass++)
        {
            device.Algebra.Multiply(true, false, s.Q, s.Q, s.M, block, block, square, s.Count);
            device.Launch(File, "ShiftDiagonal", null, new Grid(s.Count, Grid.Block), small, s.Q, Shift * s.Q);
            for (int i = 0; i < s.Count; i++)
            {
                nint r = small + (nint)((long)i * s.Q * s.Q * sizeof(double));
                device.Algebra.Cholesky(s.Q, r, infos + i * sizeof(int));
                device.Algebra.DivideByUpper(s.M, s.Q, r, wideY + (nint)(i * Block * sizeof(double)));
            }
        }
        Convert("ToFloat", wideY, y);
    }

    /// <summary>z ← G·y; both are rotated to the Ritz vectors, θ descending; then the bounds.</summary>
    private void RitzRotate()
    {
        long square = (long)s.Q * s.Q;
        MultiplyByGram(y, z);
        Convert("ToDouble", z, wideZ);
        CudaMatrix by = CudaMatrix.Double(wideY, s.M, Block), bz = CudaMatrix.Double(wideZ, s.M, Block), h = CudaMatrix.Double(small, s.Q, square);
        device.Algebra.Multiply(true, false, s.Q, s.Q, s.M, by, bz, h, s.Count, alpha: 0.5);
        device.Algebra.Multiply(true, false, s.Q, s.Q, s.M, bz, by, h, s.Count, alpha: 0.5, beta: 1);
        device.Algebra.SymmetricEigen(s.Q, small, values, s.Count, infos + s.Count * sizeof(int));
        device.Launch(File, "ReverseColumns", null, Grid.For(square * s.Count), small, turn, s.Q, s.Q, square * s.Count);
        device.Launch(File, "ReverseColumns", null, Grid.For((long)s.Q * s.Count), values, theta, 1, s.Q, (long)s.Q * s.Count);
        Turn(ref wideY, y);
        Turn(ref wideZ, z);
        device.Launch(File, "Residuals", null, new Grid(s.Rank * s.Count, Grid.Block), wideZ, wideY, theta, squares, s.M, s.Q, s.Rank);
        ReadBounds();
    }

    /// <summary>x ← x·(eigenvectors), and the same in float32.</summary>
    private void Turn(ref nint x, nint single)
    {
        CudaMatrix v = CudaMatrix.Double(turn, s.Q, (long)s.Q * s.Q);
        device.Algebra.Multiply(false, false, s.M, s.Q, s.Q, CudaMatrix.Double(x, s.M, Block), v, CudaMatrix.Double(spare, s.M, Block), s.Count);
        (x, spare) = (spare, x);
        Convert("ToFloat", x, single);
    }

    /// <summary>The one wait of a round.</summary>
    private void ReadBounds()
    {
        double[] findings = device.Read<double>(theta, (s.Q + s.Rank + 1) * s.Count);
        ReadOnlySpan<double> t = findings.AsSpan(0, s.Q * s.Count), r = findings.AsSpan(s.Q * s.Count, s.Rank * s.Count);
        ReadOnlySpan<int> info = MemoryMarshal.Cast<double, int>(findings.AsSpan((s.Q + s.Rank) * s.Count));
        if (info.IndexOfAnyExcept(0) is >= 0 and var bad)
            throw new Devices.Cuda.Interop.CudaException($"The refresh failed: cuSOLVER's {(bad < s.Count ? "Cholesky factorization" : "eigenvalue decomposition")} of matrix {bad % s.Count} in a batch of {s.Count} ({s.Rows} x {s.Columns}) ended with info {info[bad]}; try --device cpu for the refresh and report this");
        for (int i = 0; i < s.Count; i++)
        {
            t.Slice(i * s.Q, s.Q).CopyTo(ritz[i]);
            double bound = 0;
            for (int j = 0; j < s.Rank; j++)
            {
                double gap = ritz[i][j] - ritz[i][s.Q - 1];
                bound = Math.Max(bound, gap > 0 ? Math.Sqrt(r[i * s.Rank + j]) / gap : 1);
            }
            Bounds[i] = double.IsFinite(bound) ? bound : double.PositiveInfinity;
        }
    }

    private void Convert(string kernel, nint from, nint to) => device.Launch(File, kernel, null, Grid.For(Block * s.Count, 4), from, to, Block * s.Count);
}
