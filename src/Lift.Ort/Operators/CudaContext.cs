using Lift.Ort.Devices.Cuda;
using Lift.Ort.Onnx;
using static Lift.Ort.Operators.OrtFunctions;

namespace Lift.Ort.Operators;

/// <summary>The CUDA half of an operator's kernel.</summary>
internal interface ICudaKernel
{
    /// <summary>Launches on the context's stream; nothing is waited for.</summary>
    void Run(CudaContext context);
}

/// <summary>What a kernel sees during one run on a GPU: its inputs and outputs in device memory (those of <see cref="OperatorSchema.HostInputs"/> in host memory), and the stream.</summary>
internal sealed unsafe class CudaContext(nint context, CudaDevice device)
{
    private static readonly delegate* unmanaged<nint, nint*, nint> getStream = (delegate* unmanaged<nint, nint*, nint>)Function("KernelContext_GetGPUComputeStream");

    private readonly CpuContext values = new(context);
    private readonly nint stream = StreamOf(context, device);

    public CudaDevice Device => device;

    public int InputCount => values.InputCount;

    public int OutputCount => values.OutputCount;

    public CpuTensor Input(int index) => values.Input(index);

    /// <summary>The input, or null where the node leaves it out.</summary>
    public CpuTensor? OptionalInput(int index) => values.OptionalInput(index);

    /// <summary>Address of an input; 0 where the node leaves it out.</summary>
    public nint Address(int input) => values.OptionalInput(input)?.Address ?? 0;

    /// <summary>The numbers of an int64 or int32 input, wherever it lies; the stream is waited for where that is the device.</summary>
    public long[] Longs(int input)
    {
        CpuTensor tensor = Input(input);
        if (values.IsOnHost(input)) return tensor.ToLongs();
        return tensor.Type == ElementType.Int32 ? [.. device.Read<int>(tensor.Address, (int)tensor.Count)] : device.Read<long>(tensor.Address, (int)tensor.Count);
    }

    /// <summary>Device memory for output <paramref name="index"/>, not cleared; 0 where the node leaves it out.</summary>
    public nint Output(int index, params ReadOnlySpan<long> dims) => (nint)values.Output<byte>(index, dims);

    /// <summary>Launches a kernel on the run's stream.</summary>
    public void Launch(string file, string kernel, ElementType? type, Grid grid, params ReadOnlySpan<KernelArgument> arguments) => device.LaunchOn(stream, file, kernel, type, grid, arguments);

    /// <summary>Working memory for the launches of this run.</summary>
    public nint Scratch(long bytes) => device.Scratch(bytes);

    /// <summary>The same in parts of these lengths, each at a multiple of 256 bytes; a run asks once.</summary>
    public nint[] Parts(params ReadOnlySpan<long> bytes)
    {
        var parts = new nint[bytes.Length];
        long total = 0;
        for (int i = 0; i < parts.Length; i++)
        {
            parts[i] = (nint)total;
            total = checked(total + ((bytes[i] + 255) / 256 * 256));
        }
        nint start = Scratch(Math.Max(1, total));
        for (int i = 0; i < parts.Length; i++) parts[i] += start;
        return parts;
    }

    /// <summary>
    /// c [m, n] = a [m, k] · b [k, n], or c += a·b, row-major, for each of <paramref name="batch"/> matrices, by cuBLAS: sums are float32, and so is c. Operands of float32
    /// are rounded to TF32 where the device's options allow it.
    /// </summary>
    public void Multiply(long m, long n, long k, CudaOperand a, CudaOperand b, CudaOperand c, long batch = 1, bool add = false)
    {
        if (m == 0 || n == 0 || batch == 0) return;
        if (k == 0)
        {
            for (long i = 0; i < batch && !add; i++) Fill(c.Data + (nint)(i * c.Next * sizeof(float)), 0, (((m - 1) * c.Row) + n) * sizeof(float));
            return;
        }
        device.Algebra.Multiply(b.Transposed, a.Transposed, checked((int)n), checked((int)m), checked((int)k), b.ColumnMajor(), a.ColumnMajor(), c.ColumnMajor(), checked((int)batch), beta: add ? 1 : 0, tf32: device.Options.Tf32);
    }

    /// <summary>float32 numbers to <paramref name="type"/>.</summary>
    public void Narrow(nint from, nint to, ElementType type, long count)
    {
        if (to != 0 && count > 0) Launch("Widen", "Narrow", type, Grid.For(count, perThread: 8), from, to, count);
    }

    public void Copy(nint from, nint to, long bytes) => device.Copy(from, to, bytes, stream);

    /// <summary>Writes numbers of the host to device memory: by a copy within the device, which a recorded run repeats as it is.</summary>
    public void Write(ReadOnlySpan<long> values, nint to) => Copy(device.Constant(values), to, (long)values.Length * sizeof(long));

    public void Fill(nint address, byte value, long bytes) => device.Fill(address, value, bytes, stream);

    private static nint StreamOf(nint context, CudaDevice device)
    {
        device.MakeCurrent();
        nint stream = device.Stream.DangerousGetHandle();
        if (device.OperatorProvider is not null) Ok(getStream(context, &stream));
        return stream;
    }
}

/// <summary>A row-major matrix in device memory, or the first of a row of them.</summary>
/// <param name="Row">Elements from one row to the next.</param>
/// <param name="Next">Elements from one matrix of a batch to the next.</param>
/// <param name="Transposed">True: the matrix that is meant is this one's transpose.</param>
internal readonly record struct CudaOperand(nint Data, ElementType Type, long Row, long Next = 0, bool Transposed = false)
{
    /// <summary>The same memory as cuBLAS reads it, where rows are columns.</summary>
    public CudaMatrix ColumnMajor() => new(Data, CudaMath.TypeOf(Type), checked((int)Math.Max(1, Row)), Next);
}
