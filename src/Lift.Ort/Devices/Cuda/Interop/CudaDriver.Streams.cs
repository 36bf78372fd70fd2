using System.Runtime.InteropServices;

namespace Lift.Ort.Devices.Cuda.Interop;

/// <summary>Streams and events.</summary>
internal static unsafe partial class CudaDriver
{
    /// <summary>CU_STREAM_NON_BLOCKING: the stream does not wait for the legacy default stream.</summary>
    public const uint NonBlocking = 1;

    /// <summary>CU_EVENT_DISABLE_TIMING</summary>
    public const uint NoTiming = 2;

    [LibraryImport(Library, EntryPoint = "cuStreamCreate")]
    internal static partial CudaResult StreamCreate(out CudaStreamHandle stream, uint flags);

    [LibraryImport(Library, EntryPoint = "cuStreamSynchronize")]
    internal static partial CudaResult StreamSynchronize(CudaStreamHandle stream);

    [LibraryImport(Library, EntryPoint = "cuStreamDestroy_v2")]
    internal static partial CudaResult StreamDestroy(nint stream);

    [LibraryImport(Library, EntryPoint = "cuEventCreate")]
    internal static partial CudaResult EventCreate(out CudaEventHandle @event, uint flags);

    [LibraryImport(Library, EntryPoint = "cuEventRecord")]
    internal static partial CudaResult EventRecord(CudaEventHandle @event, CudaStreamHandle stream);

    [LibraryImport(Library, EntryPoint = "cuEventSynchronize")]
    internal static partial CudaResult EventSynchronize(CudaEventHandle @event);

    [LibraryImport(Library, EntryPoint = "cuEventQuery")]
    internal static partial CudaResult EventQuery(CudaEventHandle @event);

    [LibraryImport(Library, EntryPoint = "cuEventElapsedTime")]
    internal static partial CudaResult EventElapsedTime(out float milliseconds, CudaEventHandle start, CudaEventHandle end);

    [LibraryImport(Library, EntryPoint = "cuEventDestroy_v2")]
    internal static partial CudaResult EventDestroy(nint @event);
}
