using System.Runtime.InteropServices;
using Lift.Ort.Devices.Cuda.Interop;
using static Lift.Ort.Devices.Cuda.Interop.CuBlas;

namespace Lift.Ort.Devices.Cuda;

/// <summary>A column-major matrix in device memory, or the first of a row of them.</summary>
/// <param name="Type">cudaDataType: CuBlas.Float32, …</param>
/// <param name="Leading">Elements from one column to the next.</param>
/// <param name="Stride">Elements from one matrix of a batch to the next.</param>
internal readonly record struct CudaMatrix(nint Data, int Type, int Leading, long Stride = 0)
{
    public static CudaMatrix Float(nint data, int leading, long stride = 0) => new(data, Float32, leading, stride);

    public static CudaMatrix Double(nint data, int leading, long stride = 0) => new(data, Float64, leading, stride);
}

/// <summary>
/// Dense linear algebra on a GPU: products by cuBLAS, factorizations by cuSOLVER, all column-major, all on the device's stream. A row-major m×n matrix is a
/// column-major n×m one. Calls queue and return; whether a factorization went well is in <c>info</c> on the device.
/// </summary>
internal sealed unsafe class CudaMath : IDisposable
{
    private const long WorkspaceBytes = 32 << 20;

    private readonly CudaDevice device;
    private readonly CuBlasHandle blas;
    private readonly CuSolverHandle solver;
    private readonly CuSolverParametersHandle parameters;
    private readonly DeviceBuffer<byte> workspace;
    private CudaBuffer<byte>? work;
    private byte[] hostWork = [];

    public CudaMath(CudaDevice device)
    {
        this.device = device;
        device.MakeCurrent();
        CuBlas.Create(out blas).ThrowIfFailed();
        CuBlas.SetStream(blas, device.Stream).ThrowIfFailed();
        workspace = device.Allocate<byte>(WorkspaceBytes);
        CuBlas.SetWorkspace(blas, workspace.Pointer, (nuint)WorkspaceBytes).ThrowIfFailed($"{WorkspaceBytes} bytes");
        CuSolver.Create(out solver).ThrowIfFailed();
        CuSolver.SetStream(solver, device.Stream).ThrowIfFailed();
        CuSolver.CreateParams(out parameters).ThrowIfFailed();
        if (Exports("cusolverDnSetDeterministicMode")) CuSolver.SetDeterministicMode(solver, CuSolver.Deterministic).ThrowIfFailed(); // its default, said aloud: reruns give the same bits
    }

    /// <summary>cuBLAS as a number: 130000 is 13.0.</summary>
    public int Version
    {
        get
        {
            CuBlas.GetVersion(blas, out int version).ThrowIfFailed();
            return version;
        }
    }

    /// <summary>The cudaDataType of an element type.</summary>
    public static int TypeOf(Onnx.ElementType type) => type switch
    {
        Onnx.ElementType.Float => Float32,
        Onnx.ElementType.Double => Float64,
        Onnx.ElementType.Float16 => Float16,
        Onnx.ElementType.BFloat16 => BFloat16,
        _ => throw new NotSupportedException($"cuBLAS has no products of {type}"),
    };

    /// <summary>c (m×n) = alpha · op(a) · op(b) + beta · c, for each of <paramref name="batch"/> matrices; <paramref name="k"/> is the inner size.</summary>
    /// <param name="tf32">True allows float32 operands 10 bits of mantissa.</param>
    public void Multiply(bool transposeA, bool transposeB, int m, int n, int k, CudaMatrix a, CudaMatrix b, CudaMatrix c, int batch = 1, double alpha = 1, double beta = 0, bool tf32 = false)
    {
        bool wide = c.Type == Float64;
        float alpha32 = (float)alpha, beta32 = (float)beta;
        void* one = wide ? &alpha : &alpha32, zero = wide ? &beta : &beta32;
        int compute = wide ? Compute64 : tf32 && a.Type == Float32 ? ComputeTf32 : Compute32;
        CuBlasStatus status = batch == 1
            ? GemmEx(blas, transposeA ? T : N, transposeB ? T : N, m, n, k, one, a.Data, a.Type, a.Leading, b.Data, b.Type, b.Leading, zero, c.Data, c.Type, c.Leading, compute, DefaultAlgorithm)
            : GemmStridedBatchedEx(blas, transposeA ? T : N, transposeB ? T : N, m, n, k, one, a.Data, a.Type, a.Leading, a.Stride, b.Data, b.Type, b.Leading, b.Stride, zero, c.Data, c.Type, c.Leading, c.Stride, batch, compute, DefaultAlgorithm);
        status.ThrowIfFailed($"{m} x {k} times {k} x {n}, types {a.Type}, {b.Type} and {c.Type}, leading dimensions {a.Leading}, {b.Leading} and {c.Leading}, batch {batch}, compute {compute}", batch == 1 ? "CuBlas.GemmEx" : "CuBlas.GemmStridedBatchedEx");
    }

    /// <summary>a ← R in its upper triangle, with RᵀR = a (n×n, float64); *info &gt; 0 where a is not positive definite.</summary>
    public void Cholesky(int n, nint a, nint info)
    {
        CuSolver.PotrfBufferSize(solver, parameters, Upper, n, Float64, a, n, Float64, out nuint d, out nuint h).ThrowIfFailed($"n = {n}");
        fixed (byte* host = Reserve(d, h))
            CuSolver.Potrf(solver, parameters, Upper, n, Float64, a, n, Float64, work!.Pointer, d, (nint)host, h, info).ThrowIfFailed($"n = {n}");
    }

    /// <summary>b (m×n) ← b · R⁻¹ with R (n×n) upper triangular; float64.</summary>
    public void DivideByUpper(int m, int n, nint r, nint b)
    {
        double one = 1;
        CuBlas.Dtrsm(blas, Right, Upper, N, NonUnit, m, n, &one, r, n, b, m).ThrowIfFailed($"{m} x {n}");
    }

    /// <summary>Each a (n×n symmetric, float64) ← its eigenvectors in the columns; w ← the eigenvalues, ascending. The matrices, values and infos lie one behind the other.</summary>
    public void SymmetricEigen(int n, nint a, nint w, int batch, nint info)
    {
        const int v = CuSolver.Vectors;
        if (batch == 1 || !BatchedEigen)
        {
            CuSolver.SyevdBufferSize(solver, parameters, v, Upper, n, Float64, a, n, Float64, w, Float64, out nuint d, out nuint h).ThrowIfFailed($"n = {n}");
            fixed (byte* host = Reserve(d, h))
            {
                for (int i = 0; i < batch; i++)
                    CuSolver.Syevd(solver, parameters, v, Upper, n, Float64, a + (nint)((long)i * n * n * sizeof(double)), n, Float64, w + i * n * sizeof(double), Float64, work!.Pointer, d, (nint)host, h, info + i * sizeof(int)).ThrowIfFailed($"n = {n}");
            }
            return;
        }
        CuSolver.SyevBatchedBufferSize(solver, parameters, v, Upper, n, Float64, a, n, Float64, w, Float64, out nuint device, out nuint rest, batch).ThrowIfFailed($"n = {n}, batch {batch}");
        fixed (byte* host = Reserve(device, rest))
            CuSolver.SyevBatched(solver, parameters, v, Upper, n, Float64, a, n, Float64, w, Float64, work!.Pointer, device, (nint)host, rest, info, batch).ThrowIfFailed($"n = {n}, batch {batch}");
    }

    /// <summary>a (m×n, m ≥ n, float32, destroyed) = u (m×n) · diag(s) · vt (n×n); s descending.</summary>
    public void SingularValues(int m, int n, nint a, nint s, nint u, nint vt, nint info)
    {
        CuSolver.GesvdBufferSize(solver, parameters, CuSolver.Some, CuSolver.Some, m, n, Float32, a, m, Float32, s, Float32, u, m, Float32, vt, n, Float32, out nuint d, out nuint h).ThrowIfFailed($"{m} x {n}");
        fixed (byte* host = Reserve(d, h))
            CuSolver.Gesvd(solver, parameters, CuSolver.Some, CuSolver.Some, m, n, Float32, a, m, Float32, s, Float32, u, m, Float32, vt, n, Float32, work!.Pointer, d, (nint)host, h, info).ThrowIfFailed($"{m} x {n}");
    }

    public void Dispose()
    {
        blas.Dispose();
        parameters.Dispose();
        solver.Dispose();
        workspace.Dispose();
        work?.Dispose();
    }

    /// <summary>Older releases of cuSOLVER decompose one matrix at a time.</summary>
    private static bool BatchedEigen { get; } = Exports("cusolverDnXsyevBatched");

    private static bool Exports(string function) => NativeLibrary.TryGetExport(CudaLibraries.Find(CudaLibraries.Factorizations).Handle, function, out _);

    /// <summary>Makes room for a call's work space; answers the host's part, which the call may use until the stream has come past it.</summary>
    private byte[] Reserve(nuint deviceBytes, nuint hostBytes)
    {
        if (work is null || work.Length < (long)deviceBytes)
        {
            work?.Dispose();
            work = new CudaBuffer<byte>(device, Math.Max((long)deviceBytes, 1 << 16), zeroed: false);
        }
        if (hostWork.Length < (int)hostBytes) hostWork = GC.AllocateArray<byte>((int)hostBytes, pinned: true);
        if (hostWork.Length == 0) hostWork = GC.AllocateArray<byte>(64, pinned: true);
        return hostWork;
    }
}
