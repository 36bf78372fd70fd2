using Lift.Ort.Devices.Cuda.Interop;
using Lift.Ort.Onnx;

namespace Lift.Ort.Devices.Cuda;

/// <summary>How many blocks of how many threads, and how many bytes of dynamic shared memory each block gets.</summary>
internal readonly record struct Grid(long Blocks, int Threads, int Shared = 0)
{
    /// <summary>Dynamic shared memory that a block gets without further ado.</summary>
    public const int UsualShared = 48 << 10;

    /// <summary>Threads of a block, where nothing speaks for another number; kernels with block-wide sums count on it.</summary>
    public const int Block = 256;

    /// <summary>One thread for each <paramref name="perThread"/> elements, in blocks of 256.</summary>
    public static Grid For(long elements, int perThread = 1) => new(Math.Max(1, (elements + (long)Block * perThread - 1) / ((long)Block * perThread)), Block);
}

/// <summary>Kernels: compiled and loaded on first use, launched on the stream.</summary>
public sealed unsafe partial class CudaDevice
{
    private readonly Lock compiling = new();
    private readonly Dictionary<(string File, ElementType? Type), CudaModuleHandle> modules = [];
    private readonly Dictionary<(string File, ElementType? Type, string Name), nint> functions = [];
    private readonly Dictionary<nint, int> allowed = [];
    private string? lastKernel;

    internal KernelCompiler Compiler => compiler;

    /// <summary>Launches a kernel of an embedded file on the device's stream.</summary>
    /// <param name="file">Without ".cu".</param>
    /// <param name="type">The element type that the file is compiled for; null where it has none.</param>
    /// <param name="arguments">Each of exactly the C type of the kernel's parameter.</param>
    internal void Launch(string file, string kernel, ElementType? type, Grid grid, params ReadOnlySpan<KernelArgument> arguments) =>
        LaunchOn(stream.DangerousGetHandle(), file, kernel, type, grid, arguments);

    /// <summary>The same on a stream that ONNX Runtime names.</summary>
    internal void LaunchOn(nint on, string file, string kernel, ElementType? type, Grid grid, params ReadOnlySpan<KernelArgument> arguments)
    {
        if (grid.Blocks == 0) return;
        if (grid.Blocks > int.MaxValue) throw new ArgumentOutOfRangeException(nameof(grid), $"{kernel}: {grid.Blocks} blocks");
        nint function = Function(file, type, kernel);
        lastKernel = kernel;
        if (grid.Shared > Grid.UsualShared) Allow(function, grid.Shared, kernel);
        void** pointers = stackalloc void*[Math.Max(1, arguments.Length)];
        fixed (KernelArgument* first = arguments)
        {
            for (int i = 0; i < arguments.Length; i++) pointers[i] = KernelArgument.Place(first + i);
            CudaDriver.LaunchKernel(function, (uint)grid.Blocks, 1, 1, (uint)grid.Threads, 1, 1, (uint)grid.Shared, on, pointers, null)
                .ThrowIfFailed($"kernel {kernel} of {file}.cu, {grid.Blocks} blocks of {grid.Threads} threads");
        }
    }

    /// <summary>More shared memory than usual has to be asked for, once.</summary>
    private void Allow(nint function, int bytes, string kernel)
    {
        lock (compiling)
        {
            if (allowed.GetValueOrDefault(function) >= bytes) return;
            CudaDriver.FuncSetAttribute(function, CudaDriver.MaxDynamicShared, bytes).ThrowIfFailed($"{bytes} bytes of shared memory for kernel {kernel}");
            allowed[function] = bytes;
        }
    }

    private nint Function(string file, ElementType? type, string kernel)
    {
        lock (compiling)
        {
            if (functions.TryGetValue((file, type, kernel), out nint function)) return function;
            if (!modules.TryGetValue((file, type), out CudaModuleHandle? module))
            {
                MakeCurrent();
                byte[] cubin = compiler.Compile($"{file}.cu", type);
                fixed (byte* image = cubin) CudaDriver.ModuleLoadDataEx(out module, image, 0, null, null).ThrowIfFailed($"{file}.cu, {cubin.Length} bytes of machine code");
                modules[(file, type)] = module;
            }
            CudaDriver.ModuleGetFunction(out function, module, kernel).ThrowIfFailed($"kernel {kernel} of {file}.cu");
            return functions[(file, type, kernel)] = function;
        }
    }
}
