using System.Runtime.InteropServices;

namespace Lift.Ort.Devices.Cuda.Interop;

/// <summary>cuSOLVER's dense 64-bit interface. Column-major; <c>info</c> is an int on the device, 0 where all went well.</summary>
internal static unsafe partial class CuSolver
{
    private const string Library = CudaLibraries.Factorizations;

    public const int Vectors = 1; // CUSOLVER_EIG_MODE_VECTOR
    public const int Deterministic = 1; // CUSOLVER_DETERMINISTIC_RESULTS
    public const sbyte Some = (sbyte)'S';

    public static string Meaning(CuSolverStatus status) => (int)status switch
    {
        1 => "not initialized",
        2 => "allocation failed",
        3 => "invalid value",
        4 => "architecture mismatch",
        5 => "mapping error",
        6 => "execution failed",
        7 => "internal error",
        8 => "matrix type not supported",
        9 => "not supported",
        31 => "invalid workspace",
        _ => "unknown",
    };

    [LibraryImport(Library, EntryPoint = "cusolverDnCreate")]
    internal static partial CuSolverStatus Create(out CuSolverHandle handle);

    [LibraryImport(Library, EntryPoint = "cusolverDnDestroy")]
    internal static partial CuSolverStatus Destroy(nint handle);

    [LibraryImport(Library, EntryPoint = "cusolverDnSetStream")]
    internal static partial CuSolverStatus SetStream(CuSolverHandle handle, CudaStreamHandle stream);

    [LibraryImport(Library, EntryPoint = "cusolverDnSetDeterministicMode")]
    internal static partial CuSolverStatus SetDeterministicMode(CuSolverHandle handle, int mode);

    [LibraryImport(Library, EntryPoint = "cusolverDnCreateParams")]
    internal static partial CuSolverStatus CreateParams(out CuSolverParametersHandle parameters);

    [LibraryImport(Library, EntryPoint = "cusolverDnDestroyParams")]
    internal static partial CuSolverStatus DestroyParams(nint parameters);

    [LibraryImport(Library, EntryPoint = "cusolverGetProperty")]
    internal static partial CuSolverStatus GetProperty(int property, out int value);

    [LibraryImport(Library, EntryPoint = "cusolverDnXpotrf_bufferSize")]
    internal static partial CuSolverStatus PotrfBufferSize(
        CuSolverHandle handle, CuSolverParametersHandle parameters, int uplo, long n, int typeA, nint a, long lda, int compute, out nuint device, out nuint host);

    [LibraryImport(Library, EntryPoint = "cusolverDnXpotrf")]
    internal static partial CuSolverStatus Potrf(
        CuSolverHandle handle, CuSolverParametersHandle parameters, int uplo, long n, int typeA, nint a, long lda, int compute,
        nint deviceBuffer, nuint device, nint hostBuffer, nuint host, nint info);

    [LibraryImport(Library, EntryPoint = "cusolverDnXsyevd_bufferSize")]
    internal static partial CuSolverStatus SyevdBufferSize(
        CuSolverHandle handle, CuSolverParametersHandle parameters, int jobz, int uplo, long n, int typeA, nint a, long lda,
        int typeW, nint w, int compute, out nuint device, out nuint host);

    [LibraryImport(Library, EntryPoint = "cusolverDnXsyevd")]
    internal static partial CuSolverStatus Syevd(
        CuSolverHandle handle, CuSolverParametersHandle parameters, int jobz, int uplo, long n, int typeA, nint a, long lda,
        int typeW, nint w, int compute, nint deviceBuffer, nuint device, nint hostBuffer, nuint host, nint info);

    [LibraryImport(Library, EntryPoint = "cusolverDnXsyevBatched_bufferSize")]
    internal static partial CuSolverStatus SyevBatchedBufferSize(
        CuSolverHandle handle, CuSolverParametersHandle parameters, int jobz, int uplo, long n, int typeA, nint a, long lda,
        int typeW, nint w, int compute, out nuint device, out nuint host, long batch);

    [LibraryImport(Library, EntryPoint = "cusolverDnXsyevBatched")]
    internal static partial CuSolverStatus SyevBatched(
        CuSolverHandle handle, CuSolverParametersHandle parameters, int jobz, int uplo, long n, int typeA, nint a, long lda,
        int typeW, nint w, int compute, nint deviceBuffer, nuint device, nint hostBuffer, nuint host, nint info, long batch);

    [LibraryImport(Library, EntryPoint = "cusolverDnXgesvd_bufferSize")]
    internal static partial CuSolverStatus GesvdBufferSize(
        CuSolverHandle handle, CuSolverParametersHandle parameters, sbyte jobU, sbyte jobVt, long m, long n, int typeA, nint a, long lda,
        int typeS, nint s, int typeU, nint u, long ldu, int typeVt, nint vt, long ldvt, int compute, out nuint device, out nuint host);

    [LibraryImport(Library, EntryPoint = "cusolverDnXgesvd")]
    internal static partial CuSolverStatus Gesvd(
        CuSolverHandle handle, CuSolverParametersHandle parameters, sbyte jobU, sbyte jobVt, long m, long n, int typeA, nint a, long lda,
        int typeS, nint s, int typeU, nint u, long ldu, int typeVt, nint vt, long ldvt, int compute,
        nint deviceBuffer, nuint device, nint hostBuffer, nuint host, nint info);
}
