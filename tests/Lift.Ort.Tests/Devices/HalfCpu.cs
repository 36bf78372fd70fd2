using Lift.Ort.Devices;
using Lift.Ort.Devices.Cpu;
using Lift.Ort.Onnx;
using Microsoft.ML.OnnxRuntime;

namespace Lift.Ort.Tests.Devices;

/// <summary>The CPU as a device that computes in 16 bits: sessions leave the graph as it is, and ONNX Runtime rounds every float16 value to float16.</summary>
internal sealed class HalfCpu : IDevice
{
    private readonly CpuDevice inner = new();

    public string Name => inner.Name;

    public string Description => inner.Description;

    public bool Computes16Bit => true;

    public DeviceMemory Memory => inner.Memory;

    public OrtMemoryInfo MemoryInfo => inner.MemoryInfo;

    public DeviceBuffer<T> Allocate<T>(long length) where T : unmanaged => inner.Allocate<T>(length);

    public DeviceBuffer<byte> Share(Lift.Ort.Onnx.Tensor tensor) => inner.Share(tensor);

    public void AddTo(SessionOptions options) => inner.AddTo(options);

    public void Run(InferenceSession session, OrtIoBinding binding, bool wait) => inner.Run(session, binding, wait);

    public void Run<TKernel>(in TKernel kernel) where TKernel : IKernel => inner.Run(kernel);

    public void Copy(nint from, nint to, long bytes) => inner.Copy(from, to, bytes);

    public void Synchronize() => inner.Synchronize();

    public void Dispose() => inner.Dispose();
}
