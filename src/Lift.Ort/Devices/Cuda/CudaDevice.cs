using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Lift.Ort.Devices.Cuda.Interop;
using Lift.Ort.Onnx;
using Microsoft.ML.OnnxRuntime;

namespace Lift.Ort.Devices.Cuda;

/// <summary>
/// An NVIDIA GPU. Its primary context is shared with ONNX Runtime and the CUDA libraries, and so is one stream: sessions, kernels, cuBLAS and copies run
/// in the order in which they are queued, and the host waits only where it reads a result.
/// </summary>
public sealed unsafe partial class CudaDevice : IDevice
{
    [ThreadStatic]
    private static CudaDevice? current;

    private readonly int ordinal, device;
    private readonly nint context;
    private readonly CudaStreamHandle stream;
    private readonly ICudaProvider provider;
    private readonly KernelCompiler compiler;

    private CudaDevice(int ordinal, CudaOptions options, ICudaProvider? provider)
    {
        (this.ordinal, Options) = (ordinal, options);
        CudaDriver.DeviceGet(out device, ordinal).ThrowIfFailed($"device {ordinal}");
        byte* name = stackalloc byte[256];
        CudaDriver.DeviceGetName(name, 256, device).ThrowIfFailed($"device {ordinal}");
        Description = Encoding.UTF8.GetString(MemoryMarshal.CreateReadOnlySpanFromNullTerminated(name));
        int Attribute(int which)
        {
            CudaDriver.DeviceGetAttribute(out int value, which, device).ThrowIfFailed($"attribute {which} of device {ordinal}");
            return value;
        }
        (Processors, SharedPerBlock, Capability) = (Attribute(CudaDriver.ProcessorCount), Attribute(CudaDriver.OptInShared), (10 * Attribute(CudaDriver.MajorVersion)) + Attribute(CudaDriver.MinorVersion));
        CudaDriver.DevicePrimaryCtxRetain(out context, device).ThrowIfFailed($"device {ordinal} ({Description})");
        MakeCurrent();
        CudaDriver.StreamCreate(out stream, CudaDriver.NonBlocking).ThrowIfFailed();
        compiler = new KernelCompiler(Architecture);
        this.provider = provider ?? new CudaProvider();
        MemoryInfo = this.provider.MemoryInfo(ordinal);
    }

    public string Name => $"cuda:{ordinal}";

    public string Description { get; }

    public CudaOptions Options { get; }

    /// <summary>True: ONNX Runtime's CUDA provider has float16 and bfloat16 arithmetic.</summary>
    public bool Computes16Bit => provider.Computes16Bit;

    public DeviceMemory Memory
    {
        get
        {
            MakeCurrent();
            CudaDriver.MemGetInfo(out nuint free, out nuint total).ThrowIfFailed();
            return new((long)free, (long)total);
        }
    }

    public OrtMemoryInfo MemoryInfo { get; }

    /// <summary>"sm_90"</summary>
    internal string Architecture => $"sm_{Capability}";

    /// <summary>90 for an H100 or H200.</summary>
    internal int Capability { get; }

    /// <summary>Most bytes of shared memory that a block can ask for.</summary>
    internal int SharedPerBlock { get; }

    /// <summary>Multiprocessors.</summary>
    internal int Processors { get; }

    internal int Ordinal => ordinal;

    internal CudaStreamHandle Stream => stream;

    /// <summary>The provider that our operators for this device name; null: the CPU's (tests without a GPU).</summary>
    internal string? OperatorProvider => provider.OperatorProvider;

    /// <summary>The context that is current on this thread; 0 where this class made none current.</summary>
    internal static nint CurrentContext => current?.context ?? 0;

    /// <summary>Opens a GPU.</summary>
    /// <exception cref="LiftException">Driver, GPU or a library is missing; the message says which.</exception>
    internal static CudaDevice Open(int ordinal, CudaOptions options, ICudaProvider? provider = null)
    {
        int count = Count();
        if (ordinal >= count) throw new LiftException($"There is no device 'cuda:{ordinal}'; the NVIDIA driver sees {count}, cuda:0 to cuda:{count - 1}.");
        foreach (CudaLibrary library in CudaLibraries.All)
        {
            if (library.Handle == 0 && library.Name is CudaLibraries.RunTimeCompiler or CudaLibraries.LinearAlgebra or CudaLibraries.Factorizations && library.Path is null)
                throw new LiftException($"{string.Join(" or ", library.Files)} was not found ({library.Needed}); install it or name its folder in {CudaLibraries.PathVariable}. 'lift doctor' lists everything that is missing.");
        }
        return new CudaDevice(ordinal, options, provider);
    }

    /// <summary>Number of GPUs that the driver sees.</summary>
    /// <exception cref="LiftException">There is no driver, or no GPU.</exception>
    internal static int Count()
    {
        CudaLibrary driver = CudaLibraries.Find(CudaLibraries.Driver);
        if (driver.Path is null) throw new LiftException($"There is no NVIDIA GPU to use: {driver.Files[0]} (the NVIDIA driver) was not found. Use --device cpu; 'lift doctor' says what a GPU needs.");
        CudaResult result = CudaDriver.Init(0);
        int count = 0;
        if (result == CudaResult.Success) result = CudaDriver.DeviceGetCount(out count);
        if (result == CudaResult.NoDevice || (result == CudaResult.Success && count == 0)) throw new LiftException("The NVIDIA driver is here, but it sees no GPU. Use --device cpu, or make a GPU visible to this machine or container.");
        result.ThrowIfFailed();
        return count;
    }

    /// <summary>What an error says of the device that this thread uses.</summary>
    internal static string DescribeCurrent(out long free, out long total)
    {
        (free, total) = (0, 0);
        if (current is not { } device) return "no device is open on this thread";
        string after = device.lastKernel is { } kernel ? $", last kernel {kernel}" : "";
        if (CudaDriver.MemGetInfo(out nuint f, out nuint t) != CudaResult.Success) return $"on {device.Name} ({device.Description}){after}";
        (free, total) = ((long)f, (long)t);
        return string.Create(CultureInfo.InvariantCulture, $"on {device.Name} ({device.Description}), {free / 1e9:F2} of {total / 1e9:F2} GB free{after}");
    }

    /// <summary>Adds the CUDA provider on this device's stream, and turns memory patterns off (lower peak).</summary>
    public void AddTo(SessionOptions options) => AddTo(options, records: false);

    public bool Records => Options.Graphs;

    public void AddTo(SessionOptions options, bool records)
    {
        MakeCurrent();
        provider.AddTo(options, this, records);
    }

    public void Run(InferenceSession session, OrtIoBinding binding, bool wait) => Run(wait, w => provider.Run(session, binding, w));

    public void Run(InferenceSession session, OrtIoBinding binding, bool wait, int recording)
    {
        lock (CudaHandle.Releasing) Run(wait, w => provider.Run(session, binding, w, recording)); // what a finalizer gives back meanwhile would spoil the recording
    }

    private void Run(bool wait, Action<bool> run)
    {
        MakeCurrent();
        try
        {
            run(wait);
        }
        catch (OnnxRuntimeException e) when (IsOutOfMemory(e))
        {
            DeviceMemory memory = Memory;
            throw new DeviceMemoryException($"{e.Message.ReplaceLineEndings(" ")} (on {Name}, {Description})", memory.Free, memory.Total);
        }
    }

    public void Run<TKernel>(in TKernel kernel) where TKernel : IKernel
    {
        MakeCurrent();
        kernel.Run(this);
    }

    public void Synchronize()
    {
        MakeCurrent();
        CudaDriver.StreamSynchronize(stream).ThrowIfFailed();
    }

    /// <summary>Every thread that calls CUDA needs the context; to be said at each entry.</summary>
    internal void MakeCurrent()
    {
        CudaDriver.CtxSetCurrent(context).ThrowIfFailed();
        current = this;
    }

    private static bool IsOutOfMemory(OnnxRuntimeException e) =>
        e.Message.Contains("Failed to allocate memory", StringComparison.OrdinalIgnoreCase) || e.Message.Contains("out of memory", StringComparison.OrdinalIgnoreCase)
        || e.Message.Contains("Available memory", StringComparison.OrdinalIgnoreCase);

    public void Dispose()
    {
        if (stream.IsClosed) return;
        Synchronize();
        foreach (IDisposable part in owned) part.Dispose();
        scratch?.Dispose();
        foreach (CudaBuffer<long> table in constants.Values) table.Dispose();
        staging?.Dispose();
        foreach (CudaModuleHandle module in modules.Values) module.Dispose();
        MemoryInfo.Dispose();
        provider.Dispose();
        stream.Dispose();
        _ = CudaDriver.DevicePrimaryCtxRelease(device);
        if (current == this) current = null;
    }
}
