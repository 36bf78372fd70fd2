using System.Runtime.InteropServices;

namespace Lift.Ort.Devices.Cuda.Interop;

/// <summary>A handle of a CUDA library. It is released with the context of its device made current, on whatever thread that happens.</summary>
internal abstract class CudaHandle() : SafeHandle(0, true)
{
    /// <summary>The context that it belongs to: the one that was current when it was made.</summary>
    private readonly nint context = CudaDevice.CurrentContext;

    public override bool IsInvalid => handle == 0;

    /// <summary>Held while something is given back, and while a run may be recorded: no other thread may call the driver then.</summary>
    public static Lock Releasing { get; } = new();

    protected sealed override bool ReleaseHandle()
    {
        lock (Releasing)
        {
            if (context != 0) _ = CudaDriver.CtxSetCurrent(context);
            return Release(handle);
        }
    }

    /// <summary>True when the library took it back.</summary>
    protected abstract bool Release(nint value);
}

/// <summary>Memory of the device.</summary>
internal sealed class CudaMemoryHandle : CudaHandle
{
    protected override bool Release(nint value) => CudaDriver.MemFree(value) == CudaResult.Success;
}

/// <summary>Memory of the host that the device reads and writes by itself (page-locked).</summary>
internal sealed class CudaPinnedHandle : CudaHandle
{
    protected override bool Release(nint value) => CudaDriver.MemFreeHost(value) == CudaResult.Success;
}

internal sealed class CudaStreamHandle : CudaHandle
{
    protected override bool Release(nint value) => CudaDriver.StreamDestroy(value) == CudaResult.Success;
}

internal sealed class CudaEventHandle : CudaHandle
{
    protected override bool Release(nint value) => CudaDriver.EventDestroy(value) == CudaResult.Success;
}

internal sealed class CudaModuleHandle : CudaHandle
{
    protected override bool Release(nint value) => CudaDriver.ModuleUnload(value) == CudaResult.Success;
}

internal sealed class CuBlasHandle : CudaHandle
{
    protected override bool Release(nint value) => CuBlas.Destroy(value) == CuBlasStatus.Success;
}

internal sealed class CuSolverHandle : CudaHandle
{
    protected override bool Release(nint value) => CuSolver.Destroy(value) == CuSolverStatus.Success;
}

internal sealed class CuSolverParametersHandle : CudaHandle
{
    protected override bool Release(nint value) => CuSolver.DestroyParams(value) == CuSolverStatus.Success;
}

/// <summary>A program of NVRTC; it belongs to no context.</summary>
internal sealed class NvrtcProgramHandle() : SafeHandle(0, true)
{
    public override bool IsInvalid => handle == 0;

    protected override bool ReleaseHandle() => Nvrtc.DestroyProgram(ref handle) == NvrtcResult.Success;
}
