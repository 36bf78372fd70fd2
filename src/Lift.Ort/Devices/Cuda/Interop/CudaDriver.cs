using System.Runtime.InteropServices;

namespace Lift.Ort.Devices.Cuda.Interop;

/// <summary>The CUDA driver's C API (libcuda.so.1, nvcuda.dll): devices and contexts. Device addresses are <c>nint</c>.</summary>
internal static unsafe partial class CudaDriver
{
    private const string Library = CudaLibraries.Driver;

    public const int ProcessorCount = 16, MajorVersion = 75, MinorVersion = 76, OptInShared = 97; // CUdevice_attribute

    [LibraryImport(Library, EntryPoint = "cuInit")]
    internal static partial CudaResult Init(uint flags);

    [LibraryImport(Library, EntryPoint = "cuDriverGetVersion")]
    internal static partial CudaResult DriverGetVersion(out int version);

    [LibraryImport(Library, EntryPoint = "cuDeviceGetCount")]
    internal static partial CudaResult DeviceGetCount(out int count);

    [LibraryImport(Library, EntryPoint = "cuDeviceGet")]
    internal static partial CudaResult DeviceGet(out int device, int ordinal);

    [LibraryImport(Library, EntryPoint = "cuDeviceGetName")]
    internal static partial CudaResult DeviceGetName(byte* name, int length, int device);

    [LibraryImport(Library, EntryPoint = "cuDeviceGetAttribute")]
    internal static partial CudaResult DeviceGetAttribute(out int value, int attribute, int device);

    [LibraryImport(Library, EntryPoint = "cuDevicePrimaryCtxRetain")]
    internal static partial CudaResult DevicePrimaryCtxRetain(out nint context, int device);

    [LibraryImport(Library, EntryPoint = "cuDevicePrimaryCtxRelease_v2")]
    internal static partial CudaResult DevicePrimaryCtxRelease(int device);

    [LibraryImport(Library, EntryPoint = "cuCtxSetCurrent")]
    internal static partial CudaResult CtxSetCurrent(nint context);

    [LibraryImport(Library, EntryPoint = "cuGetErrorName")]
    internal static partial CudaResult GetErrorName(CudaResult error, out nint name);

    [LibraryImport(Library, EntryPoint = "cuGetErrorString")]
    internal static partial CudaResult GetErrorString(CudaResult error, out nint text);
}
