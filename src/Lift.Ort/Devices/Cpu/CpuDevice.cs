using System.Runtime.InteropServices;
using Lift.Ort.Onnx;
using Microsoft.ML.OnnxRuntime;

namespace Lift.Ort.Devices.Cpu;

/// <summary>The CPU: kernels in C#, ONNX Runtime's CPU provider, all physical cores.</summary>
public sealed class CpuDevice : IDevice
{
    private readonly RunOptions run = new();

    public string Name => "cpu";

    public string Description => Name;

    /// <summary>Zeros: the memory is the computer's.</summary>
    public DeviceMemory Memory => default;

    /// <summary>False: ONNX Runtime's CPU provider has no bfloat16 arithmetic, and float16 only behind casts of its own.</summary>
    public bool Computes16Bit => false;

    public OrtMemoryInfo MemoryInfo => OrtMemoryInfo.DefaultInstance;

    /// <summary>Threads for kernels and for ONNX Runtime; default: the processors this process may use.</summary>
    public int Threads { get; init; } = Environment.ProcessorCount;

    public DeviceBuffer<T> Allocate<T>(long length) where T : unmanaged => new CpuBuffer<T>(length);

    public DeviceBuffer<byte> Share(Tensor tensor) => new SharedTensor(tensor);

    public DeviceBuffer<T> Share<T>(T[] values) where T : unmanaged => new SharedArray<T>(values);

    /// <summary>Sets the thread count, forbids spinning (it takes the core from managed code) and turns memory patterns off (lower peak).</summary>
    public void AddTo(SessionOptions options)
    {
        options.IntraOpNumThreads = Threads;
        options.EnableMemoryPattern = false;
        options.AddSessionConfigEntry("session.intra_op.allow_spinning", "0");
    }

    public void Run(InferenceSession session, OrtIoBinding binding, bool wait) => session.RunWithBinding(run, binding);

    public void Run<TKernel>(in TKernel kernel) where TKernel : IKernel => kernel.Run(this);

    /// <summary>Copies with all threads where that is worth while.</summary>
    public unsafe void Copy(nint from, nint to, long bytes)
    {
        if (bytes < 1 << 20)
        {
            Buffer.MemoryCopy((byte*)from, (byte*)to, bytes, bytes);
            return;
        }
        Parallel.For(0, Threads, new ParallelOptions { MaxDegreeOfParallelism = Threads }, i =>
        {
            long start = bytes * i / Threads, end = bytes * (i + 1) / Threads;
            Buffer.MemoryCopy((byte*)from + start, (byte*)to + start, end - start, end - start);
        });
    }

    public void Synchronize() { }

    public void Dispose() => run.Dispose();
}

/// <summary>Memory of the CPU device; <see cref="Span"/> is the data itself.</summary>
public sealed unsafe class CpuBuffer<T>(long length) : DeviceBuffer<T>(length) where T : unmanaged
{
    private readonly NativeBuffer memory = new(checked(length * sizeof(T)));

    public override nint Pointer => (nint)memory.Data;

    public Span<T> Span => new(memory.Data, checked((int)Length));

    public override void CopyFrom(ReadOnlySpan<T> source, long offset = 0) => source.CopyTo(From(offset));

    public override void CopyTo(Span<T> destination, long offset = 0) => From(offset)[..destination.Length].CopyTo(destination);

    public override Tensor ToHost(string name) => new(name, ElementTypes.Of<T>(), [Length], memory.Data, memory);

    public override void Dispose() => memory.Dispose();

    /// <summary>The elements from <paramref name="offset"/> on, as many of them as a span can hold.</summary>
    private Span<T> From(long offset)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset, Length);
        return new Span<T>((T*)memory.Data + offset, (int)Math.Min(Length - offset, int.MaxValue));
    }
}

/// <summary>A tensor's memory seen as a buffer of the CPU device, where it lies.</summary>
internal sealed unsafe class SharedTensor(Tensor tensor) : DeviceBuffer<byte>(tensor.ByteLength)
{
    public override nint Pointer => (nint)tensor.Data;

    public override void CopyFrom(ReadOnlySpan<byte> source, long offset = 0) => throw new NotSupportedException($"'{tensor.Name}' is shared for reading");

    public override void CopyTo(Span<byte> destination, long offset = 0) => new ReadOnlySpan<byte>(tensor.Data + offset, destination.Length).CopyTo(destination);

    public override void Dispose() { }
}

/// <summary>An array's memory seen as a buffer of the CPU device, where it lies; the array is pinned until this is disposed or collected.</summary>
internal sealed unsafe class SharedArray<T>(T[] values) : DeviceBuffer<T>(values.Length) where T : unmanaged
{
    private GCHandle pin = GCHandle.Alloc(values, GCHandleType.Pinned);

    public override nint Pointer => pin.AddrOfPinnedObject();

    public override void CopyFrom(ReadOnlySpan<T> source, long offset = 0) => throw new NotSupportedException("the array is shared for reading");

    public override void CopyTo(Span<T> destination, long offset = 0) => values.AsSpan((int)offset, destination.Length).CopyTo(destination);

    public override void Dispose()
    {
        if (pin.IsAllocated) pin.Free();
        GC.SuppressFinalize(this);
    }

    ~SharedArray() => Dispose();
}
