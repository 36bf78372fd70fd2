using System.Globalization;
using Microsoft.ML.OnnxRuntime;

namespace Lift.Ort.Devices.Cuda;

/// <summary>ONNX Runtime's side of a GPU. Tests without a GPU put ONNX Runtime's CPU provider in its place, under the same kernels.</summary>
internal interface ICudaProvider : IDisposable
{
    bool Computes16Bit { get; }

    /// <summary>What custom operators name as their provider; null: the CPU's.</summary>
    string? OperatorProvider { get; }

    OrtMemoryInfo MemoryInfo(int ordinal);

    void AddTo(SessionOptions options, CudaDevice device, bool records);

    void Run(InferenceSession session, OrtIoBinding binding, bool wait);

    /// <param name="recording">Number of a CUDA graph, from 1; 0: none.</param>
    void Run(InferenceSession session, OrtIoBinding binding, bool wait, int recording);
}

/// <summary>ONNX Runtime's CUDA provider on our stream.</summary>
internal sealed class CudaProvider : ICudaProvider
{
    private readonly RunOptions waiting = Plain(wait: true), queueing = Plain(wait: false);
    private readonly Dictionary<(bool Wait, int Recording), RunOptions> recordings = [];

    public bool Computes16Bit => true;

    public string? OperatorProvider => "CUDAExecutionProvider";

    public OrtMemoryInfo MemoryInfo(int ordinal) => new(OrtMemoryInfo.allocatorCUDA, OrtAllocatorType.DeviceAllocator, ordinal, OrtMemType.Default);

    /// <exception cref="LiftException">The provider's library, or one that it needs, is not there.</exception>
    public void AddTo(SessionOptions options, CudaDevice device, bool records)
    {
        _ = OrtEnv.Instance(); // first: without it the provider finds no logger and hides what it really misses
        foreach (CudaLibrary _ in CudaLibraries.All) { } // loaded by now: the provider finds them by name
        try
        {
            using var cuda = new OrtCUDAProviderOptions();
            cuda.UpdateOptions(Settings(device, records));
            options.AppendExecutionProvider_CUDA(cuda);
        }
        catch (Exception e) when (e is OnnxRuntimeException or EntryPointNotFoundException)
        {
            throw new LiftException($"ONNX Runtime's CUDA provider does not load ({e.Message.ReplaceLineEndings(" ")}); see docs/cuda.md for the two files that it needs beside libonnxruntime, and 'lift doctor' for the libraries.", e);
        }
        options.EnableMemoryPattern = false;
    }

    public void Run(InferenceSession session, OrtIoBinding binding, bool wait) => session.RunWithBinding(wait ? waiting : queueing, binding);

    public void Run(InferenceSession session, OrtIoBinding binding, bool wait, int recording)
    {
        if (!recordings.TryGetValue((wait, recording), out RunOptions? options))
        {
            recordings[(wait, recording)] = options = Plain(wait);
            options.AddRunConfigEntry(GraphId.Name, GraphId.Of(recording));
        }
        session.RunWithBinding(options, binding);
    }

    public void Dispose()
    {
        waiting.Dispose();
        queueing.Dispose();
        foreach (RunOptions options in recordings.Values) options.Dispose();
    }

    /// <summary>The provider's options: our stream, an arena that grows by what is asked, TF32 as told.</summary>
    /// <param name="records">True lets the provider record runs as CUDA graphs.</param>
    internal static Dictionary<string, string> Settings(CudaDevice device, bool records = false)
    {
        var settings = new Dictionary<string, string>
        {
            ["device_id"] = device.Ordinal.ToString(CultureInfo.InvariantCulture),
            ["has_user_compute_stream"] = "1",
            ["user_compute_stream"] = ((ulong)device.Stream.DangerousGetHandle()).ToString(CultureInfo.InvariantCulture),
            ["arena_extend_strategy"] = "kSameAsRequested",
            ["use_tf32"] = device.Options.Tf32 ? "1" : "0",
        };
        if (CudaLibraries.Find("cudnn").Path is null) settings["enable_cudnn"] = "0";
        if (records) settings["enable_cuda_graph"] = "1";
        if (device.Options.ArenaLimit > 0) settings["gpu_mem_limit"] = device.Options.ArenaLimit.ToString(CultureInfo.InvariantCulture);
        return settings;
    }

    private static RunOptions Plain(bool wait)
    {
        var options = new RunOptions();
        if (!wait) options.AddRunConfigEntry("disable_synchronize_execution_providers", "1");
        return options;
    }
}

/// <summary>The run option by which ONNX Runtime's provider tells CUDA graphs apart.</summary>
internal static class GraphId
{
    public const string Name = "gpu_graph_id";

    /// <summary>Positive numbers are graphs, −1 is a run without one; 0, the provider's own default, is left alone.</summary>
    public static string Of(int recording) => (recording > 0 ? recording : -1).ToString(CultureInfo.InvariantCulture);
}
