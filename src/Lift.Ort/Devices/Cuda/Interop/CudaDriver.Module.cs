using System.Runtime.InteropServices;

namespace Lift.Ort.Devices.Cuda.Interop;

/// <summary>Modules and launches.</summary>
internal static unsafe partial class CudaDriver
{
    [LibraryImport(Library, EntryPoint = "cuModuleLoadDataEx")]
    internal static partial CudaResult ModuleLoadDataEx(out CudaModuleHandle module, byte* image, uint options, int* keys, void** values);

    [LibraryImport(Library, EntryPoint = "cuModuleUnload")]
    internal static partial CudaResult ModuleUnload(nint module);

    [LibraryImport(Library, EntryPoint = "cuModuleGetFunction", StringMarshalling = StringMarshalling.Utf8)]
    internal static partial CudaResult ModuleGetFunction(out nint function, CudaModuleHandle module, string name);

    /// <summary>The most bytes of dynamic shared memory that launches of a kernel may ask for.</summary>
    internal const int MaxDynamicShared = 8;

    [LibraryImport(Library, EntryPoint = "cuFuncSetAttribute")]
    internal static partial CudaResult FuncSetAttribute(nint function, int attribute, int value);

    [LibraryImport(Library, EntryPoint = "cuLaunchKernel")]
    internal static partial CudaResult LaunchKernel(
        nint function, uint gridX, uint gridY, uint gridZ, uint blockX, uint blockY, uint blockZ, uint sharedBytes, nint stream, void** parameters, void** extra);
}
