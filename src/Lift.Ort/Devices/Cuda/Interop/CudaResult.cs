using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Lift.Ort.Devices.Cuda.Interop;

/// <summary>CUresult, as far as it is told apart here.</summary>
internal enum CudaResult
{
    Success = 0,
    InvalidValue = 1,
    OutOfMemory = 2,
    NotInitialized = 3,
    NoDevice = 100,
    NoBinaryForGpu = 209,
    NotFound = 500,
    NotReady = 600,
}

/// <summary>nvrtcResult</summary>
internal enum NvrtcResult
{
    Success = 0,
    CompilationError = 6,
}

/// <summary>cublasStatus_t</summary>
internal enum CuBlasStatus
{
    Success = 0,
    AllocationFailed = 3,
}

/// <summary>cusolverStatus_t</summary>
internal enum CuSolverStatus
{
    Success = 0,
    AllocationFailed = 2,
}

/// <summary>A CUDA library refused a call; the message names the call, its code, the device and its free memory.</summary>
public class CudaException(string message) : LiftException(message);

/// <summary>Turns result codes into exceptions that name the call.</summary>
internal static class CudaResults
{
    /// <param name="details">Sizes and whatever else says what was asked for.</param>
    /// <exception cref="DeviceMemoryException">The device has no room.</exception>
    /// <exception cref="CudaException">Any other code but success.</exception>
    public static void ThrowIfFailed(this CudaResult result, string details = "", [CallerArgumentExpression(nameof(result))] string call = "")
    {
        if (result == CudaResult.Success) return;
        string name = Text(result, CudaDriver.GetErrorName), text = Text(result, CudaDriver.GetErrorString);
        Throw(call, $"{(int)result} {name} ({text})", details, result == CudaResult.OutOfMemory);
    }

    public static void ThrowIfFailed(this NvrtcResult result, string details = "", [CallerArgumentExpression(nameof(result))] string call = "")
    {
        if (result != NvrtcResult.Success) Throw(call, $"{(int)result} {Nvrtc.Meaning(result)}", details, false);
    }

    public static void ThrowIfFailed(this CuBlasStatus result, string details = "", [CallerArgumentExpression(nameof(result))] string call = "")
    {
        if (result != CuBlasStatus.Success) Throw(call, $"{(int)result} {CuBlas.Meaning(result)}", details, result == CuBlasStatus.AllocationFailed);
    }

    public static void ThrowIfFailed(this CuSolverStatus result, string details = "", [CallerArgumentExpression(nameof(result))] string call = "")
    {
        if (result != CuSolverStatus.Success) Throw(call, $"{(int)result} {CuSolver.Meaning(result)}", details, result == CuSolverStatus.AllocationFailed);
    }

    private static void Throw(string call, string code, string details, bool memory)
    {
        string where = CudaDevice.DescribeCurrent(out long free, out long total);
        string message = $"{Name(call)} returned {code}{(details.Length > 0 ? $"; {details}" : "")}; {where}";
        if (memory) throw new DeviceMemoryException(message, free, total);
        throw new CudaException($"{message}. Run 'lift doctor' to see what is installed.");
    }

    /// <summary>"CudaDriver.MemAlloc" out of "CudaDriver.MemAlloc(out nint address, bytes)".</summary>
    private static string Name(string call) => call.IndexOf('(') is > 0 and int at ? call[..at] : call;

    private delegate CudaResult Describe(CudaResult result, out nint text);

    private static string Text(CudaResult result, Describe describe)
    {
        try
        {
            return describe(result, out nint text) == CudaResult.Success ? Marshal.PtrToStringUTF8(text) ?? "" : "unknown";
        }
        catch (Exception e) when (e is DllNotFoundException or EntryPointNotFoundException)
        {
            return "unknown";
        }
    }
}
