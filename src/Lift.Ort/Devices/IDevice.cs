using Microsoft.ML.OnnxRuntime;

namespace Lift.Ort.Devices;

/// <summary>A place where models run and weights lie. CPU and CUDA stand side by side behind it; nobody asks which one it is.</summary>
public interface IDevice : IDisposable
{
    /// <summary>"cpu", "cuda:0", …</summary>
    string Name { get; }

    /// <summary>What the device calls itself: "NVIDIA H200"; for the CPU its name again.</summary>
    string Description { get; }

    /// <summary>True where the provider has float16 and bfloat16 arithmetic; otherwise sessions compute 16-bit models in float32.</summary>
    bool Computes16Bit { get; }

    /// <summary>The device's own memory as it is now; zeros where it has none of its own.</summary>
    DeviceMemory Memory { get; }

    /// <summary>Allocates zeroed, 64-byte aligned memory on this device.</summary>
    /// <exception cref="DeviceMemoryException">The device has no room.</exception>
    DeviceBuffer<T> Allocate<T>(long length) where T : unmanaged;

    /// <summary>A tensor's bytes on this device, for reading: where they lie already, where the device can use them there, otherwise a copy.</summary>
    DeviceBuffer<byte> Share(Onnx.Tensor tensor);

    /// <summary>An array's elements on this device, for reading: where they lie already, where the device can use them there, otherwise a copy. The array must not change meanwhile.</summary>
    DeviceBuffer<T> Share<T>(T[] values) where T : unmanaged
    {
        DeviceBuffer<T> copy = Allocate<T>(values.Length);
        copy.CopyFrom(values);
        return copy;
    }

    /// <summary>Gives the device a buffer that holds an array's elements already, so that <see cref="Share{T}(T[])"/> of this array needs no copy of its own. The buffer is the device's from now on.</summary>
    void Adopt<T>(T[] values, DeviceBuffer<T> same) where T : unmanaged => same.Dispose();

    /// <summary>Where this device's buffers lie, for binding them to ONNX Runtime.</summary>
    OrtMemoryInfo MemoryInfo { get; }

    /// <summary>Adds this device's ONNX Runtime provider and threading settings to a session's options.</summary>
    void AddTo(SessionOptions options);

    /// <summary>
    /// Runs a session with what is bound, in order with the kernels that run before and after it. Where <paramref name="wait"/> is false, its work may still
    /// be queued when this returns: reading a buffer waits for it.
    /// </summary>
    /// <exception cref="DeviceMemoryException">The device has no room for the run's values.</exception>
    void Run(InferenceSession session, OrtIoBinding binding, bool wait);

    /// <summary>True where a session's run can be recorded and replayed: then it is opened by <see cref="AddTo(SessionOptions, bool)"/> and run by <see cref="Run(InferenceSession, OrtIoBinding, bool, int)"/>.</summary>
    bool Records => false;

    /// <summary>The same as <see cref="AddTo(SessionOptions)"/>.</summary>
    /// <param name="records">True for a session whose runs are to be recorded; ONNX Runtime refuses it where the model does not allow that.</param>
    void AddTo(SessionOptions options, bool records) => AddTo(options);

    /// <summary>
    /// The same as <see cref="Run(InferenceSession, OrtIoBinding, bool)"/> for a session that records. The first run of a recording may compute the model several times.
    /// </summary>
    /// <param name="recording">
    /// The number of the recording, from 1: it is made the first time and replayed from then on, with the addresses that were bound when it was made. 0: a plain run.
    /// </param>
    void Run(InferenceSession session, OrtIoBinding binding, bool wait, int recording) => Run(session, binding, wait);

    /// <summary>Runs a kernel: double dispatch to <c>kernel.Run(CpuDevice)</c> or its neighbour.</summary>
    void Run<TKernel>(in TKernel kernel) where TKernel : IKernel;

    /// <summary>Copies within this device's memory, in order with everything else.</summary>
    void Copy(nint from, nint to, long bytes);

    /// <summary>Waits until everything that was queued is done.</summary>
    void Synchronize();

    /// <summary>Sends the elements of a buffer to the host after everything that is queued, without waiting for it. The buffer may be changed by what is queued afterwards.</summary>
    Later<T> Fetch<T>(DeviceBuffer<T> buffer) where T : unmanaged
    {
        var values = new T[buffer.Length];
        buffer.CopyTo(values);
        return new Later<T>(values);
    }
}

/// <summary>Bytes of a device's memory that are free, and that there are.</summary>
public readonly record struct DeviceMemory(long Free, long Total)
{
    /// <summary>Bytes in use, by whomever.</summary>
    public long Used => Total - Free;
}

/// <summary>One computation with its arguments; one <c>Run</c> per device, so that the compiler asks for a missing half.</summary>
public interface IKernel
{
    /// <summary>The CPU half: the specification, the reference in tests, and the product where there is no GPU.</summary>
    void Run(Cpu.CpuDevice device);

    /// <summary>The CUDA half: launches on the device's stream.</summary>
    void Run(Cuda.CudaDevice device);
}

/// <summary>Memory on a device.</summary>
public abstract class DeviceBuffer<T>(long length) : IDisposable where T : unmanaged
{
    /// <summary>Number of elements.</summary>
    public long Length { get; } = length;

    /// <summary>Address of the first element, in the device's memory.</summary>
    public abstract nint Pointer { get; }

    /// <summary>Copies from host memory; done, or queued with the source free to be changed, when it returns.</summary>
    public abstract void CopyFrom(ReadOnlySpan<T> source, long offset = 0);

    /// <summary>Copies to host memory, after everything that was queued before.</summary>
    public abstract void CopyTo(Span<T> destination, long offset = 0);

    /// <summary>The elements as a tensor in host memory: where they lie (it then changes with them), or a copy where the host cannot read there.</summary>
    public virtual unsafe Onnx.Tensor ToHost(string name)
    {
        Onnx.Tensor copy = Onnx.Tensor.Empty(name, Onnx.ElementTypes.Of<T>(), [Length]);
        const int Piece = 1 << 26;
        for (long at = 0; at < Length; at += Piece) CopyTo(new Span<T>((T*)copy.Data + at, (int)Math.Min(Piece, Length - at)), at);
        return copy;
    }

    public abstract void Dispose();
}
