using System.Runtime.Intrinsics;
using Lift.Ort.Devices.Cpu;
using Lift.Ort.Onnx;

namespace Lift.Ort.Sparse.LinearAlgebra;

/// <summary>
/// The leading eigenvectors of the Gram matrix G of w (m×m, m its shorter side): Chebyshev filters on a block of q columns, each followed by
/// CholeskyQR and a Rayleigh-Ritz rotation, until the computed bound is below the tolerance. All matrices row-major.
/// </summary>
internal sealed unsafe class SubspaceIteration
{
    private const int PanelRows = 256;

    private readonly CpuDevice device;
    private readonly MatrixProducts products;
    private readonly LowRankOptions options;
    private readonly Workspace memory;
    private readonly Matrix w, g, filter, small;
    private readonly int m, q, rank;
    private readonly double[] theta;
    private Matrix y, z, next, spare;
    private bool startedWarm;

    public SubspaceIteration(CpuDevice device, MatrixProducts products, Workspace memory, Matrix w, int rank, int q, LowRankOptions options)
    {
        (this.device, this.products, this.memory, this.w, this.rank, this.q, this.options) = (device, products, memory, w, rank, q, options);
        m = Math.Min(w.Rows, w.Columns);
        theta = new double[q];
        Matrix Square(string name) => new((nint)memory.Floats(name, (long)m * m), m, m);
        Matrix Tall(string name) => new((nint)memory.Floats(name, (long)m * q), m, q);
        (g, filter) = (Square("gram"), Square("filter"));
        (y, z, next, spare) = (Tall("y"), Tall("z"), Tall("next"), Tall("spare"));
        small = new Matrix((nint)memory.Floats("small", (long)q * q), q, q);
    }

    /// <summary>The block, m×q; its first r columns are the basis, by descending eigenvalue.</summary>
    public float* Y => (float*)y.Data;

    /// <summary>max over i &lt; r of ‖G·yᵢ − θᵢ·yᵢ‖ / (θᵢ − θ_q)</summary>
    public double Bound { get; private set; }

    public int Outers { get; private set; }

    public int Products { get; private set; }

    /// <summary>A copy of the block, to start from next time.</summary>
    public Tensor Basis() => Tensor.From<float>("basis", new ReadOnlySpan<float>(Y, m * q), m, q);

    public void Run(Tensor? warm, int seed)
    {
        Gram();
        startedWarm = warm is not null && warm.Dims.AsSpan().SequenceEqual([m, q]);
        if (startedWarm)
        {
            warm!.AsSpan<float>().CopyTo(new Span<float>(Y, m * q));
            Orthonormalise(passes: 1);
        }
        else
        {
            Fill(seed);
            for (int i = 0; i < 2; i++)
            {
                Multiply(y, z);
                (y, z) = (z, y);
                Orthonormalise(passes: i + 1);
            }
        }
        RitzRotate();
        for (double before = double.PositiveInfinity; Bound > options.Tolerance && Outers < options.MaxOuters && theta[rank - 1] > 1e-12 * theta[0]; Outers++)
        {
            if (Outers > 2 && Bound > 0.7 * before) break; // at the floor of float32: more rounds change nothing
            before = Bound;
            Filter();
            Orthonormalise(passes: 2);
            RitzRotate();
        }
    }

    /// <summary>g ← w·wᵀ by panels of rows, each with the columns up to its own end, mirrored; wᵀ·w for a tall w.</summary>
    private void Gram()
    {
        if (w.Rows > w.Columns)
        {
            products.Multiply(w, w, g, transposeA: true);
            return;
        }
        float* whole = (float*)g.Data, panel = memory.Floats("panel", (long)PanelRows * m);
        for (int top = 0; top < m; top += PanelRows)
        {
            int rows = Math.Min(PanelRows, m - top), columns = top + rows;
            Matrix part = new(w.Data + (nint)top * w.Columns * sizeof(float), rows, w.Columns), left = new(w.Data, columns, w.Columns);
            products.Multiply(part, left, new Matrix((nint)panel, rows, columns), transposeB: true);
            for (int i = 0; i < rows; i++) new Span<float>(panel + (long)i * columns, columns).CopyTo(new Span<float>(whole + (long)(top + i) * m, columns));
        }
        Mirror(whole, m);
    }

    /// <summary>Copies the lower triangle to the upper one, tile by tile; rows of tiles go to both ends of the triangle in turn, so that threads share the work evenly.</summary>
    private void Mirror(float* a, int n)
    {
        const int Tile = 32;
        int strips = (n + Tile - 1) / Tile;
        Parallel.For(0, strips, new() { MaxDegreeOfParallelism = device.Threads }, k =>
        {
            int top = (k % 2 == 0 ? k / 2 : strips - 1 - k / 2) * Tile;
            for (int left = 0; left <= top; left += Tile)
            {
                for (int i = top; i < Math.Min(n, top + Tile); i++)
                {
                    for (int j = left; j < Math.Min(i, left + Tile); j++) a[(long)j * n + i] = a[(long)i * n + j];
                }
            }
        });
    }

    /// <summary>y ← seeded numbers, nearly normal (sums of four uniform ones).</summary>
    private void Fill(int seed)
    {
        ulong state = (ulong)(uint)seed;
        for (int i = 0; i < m * q; i++)
        {
            ulong x = state += 0x9e3779b97f4a7c15;
            x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
            x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
            x ^= x >> 31;
            Y[i] = (short)x + (short)(x >> 16) + (short)(x >> 32) + (short)(x >> 48);
        }
    }

    /// <summary>result ← g·x</summary>
    private void Multiply(Matrix x, Matrix result)
    {
        products.Multiply(g, x, result);
        Products++;
    }

    /// <summary>y ← T_d(2G/a − I)·y with a = θ_q: damps everything below θ_q, amplifies what is above; z = G·y is there already.</summary>
    private void Filter()
    {
        int degree = ChebyshevFilter.Degree(theta.AsSpan(0, q), rank, Bound, options.Tolerance, Outers == 0 && startedWarm, out double a);

        float scale = (float)(4 / a), half = (float)(2 / a);
        float* from = (float*)g.Data, to = (float*)filter.Data;
        Blocks.Run(device, (long)m * m, (_, start, end) =>
        {
            long i = start;
            for (; i + 8 <= end; i += 8) (Vector256.Load(from + i) * scale).Store(to + i);
            for (; i < end; i++) to[i] = from[i] * scale;
        });
        for (int i = 0; i < m; i++) to[(long)i * (m + 1)] -= 2;
        float* py = (float*)y.Data, pz = (float*)z.Data;
        for (long i = 0; i < (long)m * q; i++) pz[i] = half * pz[i] - py[i];
        for (int i = 1; i < degree; i++)
        {
            products.MultiplySubtract(filter, z, y, next);
            Products++;
            (y, z, next) = (z, next, y);
        }
        (y, z) = (z, y);
    }

    /// <summary>y ← an orthonormal basis of its columns, by CholeskyQR with the small factor in float64.</summary>
    private void Orthonormalise(int passes)
    {
        for (int pass = 0; pass < passes; pass++)
        {
            double* s = memory.Doubles("s", (long)q * q);
            products.MultiplyWide(y, y, new Matrix((nint)s, q, q), transposeA: true);
            Cholesky.InverseFactor(s, q, (float*)small.Data);
            products.Multiply(y, small, spare);
            (y, spare) = (spare, y);
        }
    }

    /// <summary>z ← G·y; both are rotated to the Ritz vectors, θ descending; then the bound.</summary>
    private void RitzRotate()
    {
        Multiply(y, z);
        double* h = memory.Doubles("s", (long)q * q), vectors = memory.Doubles("vectors", (long)q * q);
        products.MultiplyWide(y, z, new Matrix((nint)h, q, q), transposeA: true);
        for (int i = 0; i < q; i++)
        {
            for (int j = 0; j < i; j++) h[(long)i * q + j] = h[(long)j * q + i] = (h[(long)i * q + j] + h[(long)j * q + i]) / 2;
        }
        SymmetricEigen.Decompose(device, h, q, theta, vectors);
        float* turn = (float*)small.Data;
        for (int i = 0; i < q; i++)
        {
            for (int j = 0; j < q; j++) turn[(long)j * q + i] = (float)vectors[(long)i * q + j];
        }
        products.Multiply(y, small, spare);
        (y, spare) = (spare, y);
        products.Multiply(z, small, spare);
        (z, spare) = (spare, z);
        Bound = ComputeBound();
    }

    private double ComputeBound()
    {
        var squares = new double[rank];
        float* py = (float*)y.Data, pz = (float*)z.Data;
        for (int i = 0; i < m; i++, py += q, pz += q)
        {
            for (int j = 0; j < rank; j++)
            {
                double r = pz[j] - theta[j] * py[j];
                squares[j] += r * r;
            }
        }
        double bound = 0;
        for (int j = 0; j < rank; j++)
        {
            double gap = theta[j] - theta[q - 1];
            double angle = gap > 0 ? Math.Sqrt(squares[j]) / gap : 1;
            bound = Math.Max(bound, angle);
        }
        return bound;
    }
}
