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

    /// <summary>Device memory for output <paramref name="index"/>, not cleared; 0 where the node leaves it out.</summary>
    public nint Output(int index, params ReadOnlySpan<long> dims) => (nint)values.Output<byte>(index, dims);

    /// <summary>Launches a kernel on the run's stream.</summary>
    public void Launch(string file, string kernel, ElementType? type, Grid grid, params ReadOnlySpan<KernelArgument> arguments) => device.LaunchOn(stream, file, kernel, type, grid, arguments);

    /// <summary>Working memory for the launches of this run.</summary>
    public nint Scratch(long bytes) => device.Scratch(bytes);

    public void Copy(nint from, nint to, long bytes) => device.Copy(from, to, bytes, stream);

    public void Fill(nint address, byte value, long bytes) => device.Fill(address, value, bytes, stream);

    private static nint StreamOf(nint context, CudaDevice device)
    {
        device.MakeCurrent();
        nint stream = device.Stream.DangerousGetHandle();
        if (device.OperatorProvider is not null) Ok(getStream(context, &stream));
        return stream;
    }
}
