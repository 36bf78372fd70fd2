using Microsoft.ML.OnnxRuntime;

namespace Lift.Ort.Devices;

/// <summary>A place where models run and weights lie. CPU and CUDA stand side by side behind it; nobody asks which one it is.</summary>
public interface IDevice : IDisposable
{
    /// <summary>"cpu", "cuda:0", …</summary>
    string Name { get; }

    /// <summary>True where the provider has float16 and bfloat16 arithmetic; otherwise sessions compute 16-bit models in float32.</summary>
    bool Computes16Bit { get; }

    /// <summary>Allocates zeroed, 64-byte aligned memory on this device.</summary>
    DeviceBuffer<T> Allocate<T>(long length) where T : unmanaged;

    /// <summary>A tensor's bytes on this device, for reading: where they lie already, where the device can use them there, otherwise a copy.</summary>
    DeviceBuffer<byte> Share(Onnx.Tensor tensor);

    /// <summary>Where this device's buffers lie, for binding them to ONNX Runtime.</summary>
    OrtMemoryInfo MemoryInfo { get; }

    /// <summary>Adds this device's ONNX Runtime provider and threading settings to a session's options.</summary>
    void AddTo(SessionOptions options);

    /// <summary>Runs a kernel: double dispatch to <c>kernel.Run(CpuDevice)</c> or its neighbour.</summary>
    void Run<TKernel>(in TKernel kernel) where TKernel : IKernel;
}

/// <summary>One computation with its arguments; one <c>Run</c> per device, so that the compiler asks for a missing half.</summary>
public interface IKernel
{
    /// <summary>The CPU half: the specification, the reference in tests, and the product where there is no GPU.</summary>
    void Run(Cpu.CpuDevice device);
}

/// <summary>Memory on a device.</summary>
public abstract class DeviceBuffer<T>(long length) : IDisposable where T : unmanaged
{
    /// <summary>Number of elements.</summary>
    public long Length { get; } = length;

    /// <summary>Address of the first element, in the device's memory.</summary>
    public abstract nint Pointer { get; }

    public abstract void CopyFrom(ReadOnlySpan<T> source, long offset = 0);

    public abstract void CopyTo(Span<T> destination, long offset = 0);

    public abstract void Dispose();
}
