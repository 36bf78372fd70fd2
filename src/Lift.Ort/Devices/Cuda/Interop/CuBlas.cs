using System.Runtime.InteropServices;

namespace Lift.Ort.Devices.Cuda.Interop;

/// <summary>cuBLAS. Everything is column-major; matrices are device addresses, alpha and beta host addresses.</summary>
internal static unsafe partial class CuBlas
{
    private const string Library = CudaLibraries.LinearAlgebra;

    public const int Float32 = 0, Float64 = 1, Float16 = 2, BFloat16 = 14; // cudaDataType
    public const int Compute32 = 68, ComputeTf32 = 77, Compute64 = 70; // cublasComputeType_t
    public const int N = 0, T = 1, Left = 0, Right = 1, Lower = 0, Upper = 1, NonUnit = 0, DefaultAlgorithm = -1;

    public static string Meaning(CuBlasStatus status) => (int)status switch
    {
        1 => "not initialized",
        3 => "allocation failed",
        7 => "invalid value",
        8 => "architecture mismatch",
        11 => "mapping error",
        13 => "execution failed",
        14 => "internal error",
        15 => "not supported",
        16 => "license error",
        _ => "unknown",
    };

    [LibraryImport(Library, EntryPoint = "cublasCreate_v2")]
    internal static partial CuBlasStatus Create(out CuBlasHandle handle);

    [LibraryImport(Library, EntryPoint = "cublasDestroy_v2")]
    internal static partial CuBlasStatus Destroy(nint handle);

    [LibraryImport(Library, EntryPoint = "cublasGetVersion_v2")]
    internal static partial CuBlasStatus GetVersion(CuBlasHandle handle, out int version);

    [LibraryImport(Library, EntryPoint = "cublasSetStream_v2")]
    internal static partial CuBlasStatus SetStream(CuBlasHandle handle, CudaStreamHandle stream);

    [LibraryImport(Library, EntryPoint = "cublasSetWorkspace_v2")]
    internal static partial CuBlasStatus SetWorkspace(CuBlasHandle handle, nint workspace, nuint bytes);

    [LibraryImport(Library, EntryPoint = "cublasGemmEx")]
    internal static partial CuBlasStatus GemmEx(
        CuBlasHandle handle, int opA, int opB, int m, int n, int k, void* alpha, nint a, int typeA, int lda, nint b, int typeB, int ldb,
        void* beta, nint c, int typeC, int ldc, int compute, int algorithm);

    [LibraryImport(Library, EntryPoint = "cublasGemmStridedBatchedEx")]
    internal static partial CuBlasStatus GemmStridedBatchedEx(
        CuBlasHandle handle, int opA, int opB, int m, int n, int k, void* alpha, nint a, int typeA, int lda, long strideA, nint b, int typeB, int ldb, long strideB,
        void* beta, nint c, int typeC, int ldc, long strideC, int batch, int compute, int algorithm);

    [LibraryImport(Library, EntryPoint = "cublasDtrsm_v2")]
    internal static partial CuBlasStatus Dtrsm(
        CuBlasHandle handle, int side, int uplo, int op, int diagonal, int m, int n, double* alpha, nint a, int lda, nint b, int ldb);
}
