using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using Lift.Ort.Devices.Cuda;
using Microsoft.ML.OnnxRuntime;

namespace Lift.Ort.Tests.Devices.Cuda;

/// <summary>
/// A GPU on the CPU: a libcuda, NVRTC, cuBLAS and cuSOLVER of our own (Simulator/), made once with g++. <see cref="CudaDevice"/> and everything above it run
/// as they are; kernels run as C++, and device memory that the host touches ends the process, as following a device address on the host would be wrong.
/// ONNX Runtime's CPU provider stands in for its CUDA provider. What it does not show: races, speed, NVIDIA's own libraries.
/// </summary>
internal static unsafe class SimulatedGpu
{
    private static readonly string sources = Path.Combine(TestFiles.Root, "tests", "Lift.Ort.Tests", "Devices", "Cuda", "Simulator");
    private static readonly string[] libraries = ["libcuda.so.1", "libnvrtc.so.13", "libcublas.so.13", "libcusolver.so.12"];
    private static string? folder;

    /// <summary>Ends the test as inconclusive where the simulator cannot be: no x64 Linux, no g++, or a real driver in its place.</summary>
    /// <param name="recorder">What sees the runs of sessions that record.</param>
    /// <param name="computes16Bit">True: float16 graphs stay as they are; ONNX Runtime's CPU provider computes them with a rounding after each operator. It has no bfloat16.</param>
    public static CudaDevice Open(CudaOptions? options = null, SimulatedRecorder? recorder = null, bool computes16Bit = false)
    {
        Prepare();
        return CudaDevice.Open(0, options ?? new(), new Provider(recorder ?? new(), computes16Bit));
    }

    /// <summary>The folder with the libraries, for LIFT_CUDA_PATH of a process.</summary>
    public static string Prepare()
    {
        if (folder is not null) return folder;
        if (!OperatingSystem.IsLinux() || RuntimeInformation.ProcessArchitecture != Architecture.X64) Assert.Inconclusive("the simulated GPU is made for Linux on x64");
        if (TestDevice.HasGpu) Assert.Inconclusive("a real GPU is here: the tests run on it as cuda:0");
        NativeTools.Need("g++");
        string[] files = [.. new[] { "driver.cpp", "math.cpp", "on_cpu.h" }.Select(f => Path.Combine(sources, f))];
        string hash = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(string.Concat(files.Select(File.ReadAllText)))))[..16];
        string made = Path.Combine(TestFiles.Root, "artifacts", "simulator", hash);
        if (!File.Exists(Path.Combine(made, libraries[^1]))) Make(made, files);
        Environment.SetEnvironmentVariable(CudaLibraries.PathVariable, made);
        Environment.SetEnvironmentVariable("LIFT_CACHE", made);
        return folder = made;
    }

    /// <summary>Makes the device's memory this large.</summary>
    public static void Limit(long bytes) => ((delegate* unmanaged<nuint, void>)Export("simulator_limit"))((nuint)bytes);

    /// <summary>What has been asked of the device so far in this process.</summary>
    public static GpuCalls Calls
    {
        get
        {
            var count = (delegate* unmanaged<int, long>)Export("simulator_count");
            return new(count(0), count(1), count(2), count(3), count(4), count(5));
        }
    }

    private static void Make(string made, string[] files)
    {
        Directory.CreateDirectory(made);
        string library = Path.Combine(made, "libsimulator.so");
        var (code, output) = NativeTools.Run("g++", ["-O2", "-std=c++17", "-shared", "-fPIC", "-w", files[0], files[1], "-o", library, "-ldl"]);
        Assert.AreEqual(0, code, output);
        File.Copy(files[2], Path.Combine(made, "on_cpu.h"), true);
        foreach (string name in libraries) File.CreateSymbolicLink(Path.Combine(made, name), library);
    }

    private static nint Export(string name) => NativeLibrary.GetExport(CudaLibraries.Find(CudaLibraries.Driver).Handle, name);

    /// <summary>ONNX Runtime's CPU provider over the simulator's memory.</summary>
    private sealed class Provider(SimulatedRecorder recorder, bool computes16Bit) : ICudaProvider
    {
        private readonly RunOptions run = new();

        public bool Computes16Bit => computes16Bit;

        public string? OperatorProvider => null;

        public OrtMemoryInfo MemoryInfo(int ordinal) => new(OrtMemoryInfo.allocatorCPU, OrtAllocatorType.DeviceAllocator, 0, OrtMemType.Default);

        public void AddTo(SessionOptions options, CudaDevice device, bool records)
        {
            if (records && recorder.Refusal is { } why) throw new LiftException(why);
            options.IntraOpNumThreads = 1;
            options.EnableMemoryPattern = false;
        }

        public void Run(InferenceSession session, OrtIoBinding binding, bool wait, int recording)
        {
            for (int i = recorder.Sees(session, recording); i > 0; i--) Run(session, binding, wait);
        }

        public void Run(InferenceSession session, OrtIoBinding binding, bool wait)
        {
            ((delegate* unmanaged<void>)Export("simulator_open"))();
            try
            {
                session.RunWithBinding(run, binding);
            }
            finally
            {
                ((delegate* unmanaged<void>)Export("simulator_close"))();
            }
        }

        public void Dispose() => run.Dispose();
    }
}

/// <summary>Stands in for ONNX Runtime's CUDA graphs: notes which runs are recorded, and computes the first run of a recording three times, as two warm-up runs and the recorded one do.</summary>
internal sealed class SimulatedRecorder
{
    private readonly HashSet<(InferenceSession, int)> made = [];

    /// <summary>Recordings by number, run for run; 0 for plain ones.</summary>
    public List<int> Runs { get; } = [];

    /// <summary>Why a session that records cannot be opened, or null.</summary>
    public string? Refusal { get; init; }

    /// <summary>The number of a recording that cannot be made.</summary>
    public int Fails { get; init; }

    /// <summary>How often the model is computed.</summary>
    public int Sees(InferenceSession session, int recording)
    {
        Runs.Add(recording);
        if (recording == Fails && recording > 0) throw new LiftException("operation not permitted when stream is capturing");
        return recording > 0 && made.Add((session, recording)) ? 3 : 1;
    }
}

/// <summary>Calls of a simulated GPU.</summary>
/// <param name="Waits">Times that the host waited for an event or the stream.</param>
/// <param name="ToHost">Copies to the host.</param>
/// <param name="ToDevice">Copies from the host.</param>
/// <param name="Frees">Memory given back, for which a real driver may wait as well.</param>
internal readonly record struct GpuCalls(long Waits, long ToHost, long ToDevice, long Launches, long Allocations, long Frees)
{
    public static GpuCalls operator -(GpuCalls a, GpuCalls b) => new(a.Waits - b.Waits, a.ToHost - b.ToHost, a.ToDevice - b.ToDevice, a.Launches - b.Launches, a.Allocations - b.Allocations, a.Frees - b.Frees);
}
