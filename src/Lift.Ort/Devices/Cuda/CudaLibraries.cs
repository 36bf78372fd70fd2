using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Lift.Ort.Devices.Cuda;

/// <summary>A library of NVIDIA's: where it was found, or null.</summary>
/// <param name="Name">What we call it: "cuda", "cublas", …</param>
/// <param name="Files">File names it goes by, the newest version first.</param>
/// <param name="Needed">What it is for, and where it comes from.</param>
/// <param name="Path">The file, or the bare name where the system's loader found it.</param>
internal sealed record CudaLibrary(string Name, string[] Files, string Needed, string? Path, nint Handle);

/// <summary>
/// Finds NVIDIA's libraries of CUDA 13 or 12 on Linux and Windows, and loads them in the order of their dependencies: what is loaded once is found
/// again by its name, by our own imports as well as by ONNX Runtime's CUDA provider, even where its folder is not on the loader's path. Looked through
/// are the folders of <c>LIFT_CUDA_PATH</c>, then the loader's own path, then the usual places.
/// </summary>
internal static class CudaLibraries
{
    /// <summary>The names of our imports.</summary>
    public const string Driver = "cuda", RunTimeCompiler = "nvrtc", LinearAlgebra = "cublas", Factorizations = "cusolver";

    /// <summary>Folders with CUDA's libraries, separated like PATH.</summary>
    public const string PathVariable = "LIFT_CUDA_PATH";

    /// <summary>Folder with libonnxruntime and its CUDA provider, where they do not lie beside the program.</summary>
    public const string OrtPathVariable = "LIFT_ORT_PATH";

    private const string Toolkit = "CUDA 12 or 13 (the toolkit's libraries, or NVIDIA's Python wheels)";

    private static readonly (string Name, string[] Linux, string[] Windows, string Needed)[] table =
    [
        (Driver, ["libcuda.so.1"], ["nvcuda.dll"], "the NVIDIA driver; it comes with the GPU's driver package"),
        ("cudart", ["libcudart.so.13", "libcudart.so.12"], ["cudart64_13.dll", "cudart64_12.dll"], $"ONNX Runtime's CUDA provider; from {Toolkit}"),
        (RunTimeCompiler, ["libnvrtc.so.13", "libnvrtc.so.12"], ["nvrtc64_130_0.dll", "nvrtc64_120_0.dll"], $"our kernels; from {Toolkit}"),
        ("cublasLt", ["libcublasLt.so.13", "libcublasLt.so.12"], ["cublasLt64_13.dll", "cublasLt64_12.dll"], $"cuBLAS; from {Toolkit}"),
        (LinearAlgebra, ["libcublas.so.13", "libcublas.so.12"], ["cublas64_13.dll", "cublas64_12.dll"], $"matrix products; from {Toolkit}"),
        ("nvJitLink", ["libnvJitLink.so.13", "libnvJitLink.so.12"], ["nvJitLink_130_0.dll", "nvJitLink_120_0.dll"], $"cuSPARSE; from {Toolkit}"),
        ("cusparse", ["libcusparse.so.12"], ["cusparse64_12.dll"], $"cuSOLVER; from {Toolkit}"),
        (Factorizations, ["libcusolver.so.12", "libcusolver.so.11"], ["cusolver64_12.dll", "cusolver64_11.dll"], $"eigenvalues and singular values; from {Toolkit}"),
        ("curand", ["libcurand.so.10"], ["curand64_10.dll"], $"ONNX Runtime's CUDA provider; from {Toolkit}"),
        ("cudnn", ["libcudnn.so.9"], ["cudnn64_9.dll"], "convolutions and recurrent layers only; from cuDNN 9"),
    ];

    private static readonly Lazy<CudaLibrary[]> loaded = new(() => [.. table.Select(Load)]);

    /// <summary>Every library in the order of loading, with where it was found.</summary>
    public static IReadOnlyList<CudaLibrary> All => loaded.Value;

    /// <summary>The library of this name.</summary>
    public static CudaLibrary Find(string name) => All.First(l => l.Name == name);

    /// <summary>Our imports, and with LIFT_ORT_PATH ONNX Runtime's, are looked up here; nothing is loaded before it is used.</summary>
    [ModuleInitializer]
    [System.Diagnostics.CodeAnalysis.SuppressMessage("Usage", "CA2255", Justification = "ONNX Runtime's managed API resolves its library on its first use, wherever that is")]
    internal static void Register()
    {
        NativeLibrary.SetDllImportResolver(typeof(CudaLibraries).Assembly, (name, _, _) => table.Any(l => l.Name == name) ? Find(name).Handle : OnnxRuntime(name));
        if (OnnxRuntime("onnxruntime") == 0) return;
        Microsoft.ML.OnnxRuntime.OrtEnv.DisableDllImportResolver = true;
        NativeLibrary.SetDllImportResolver(typeof(Microsoft.ML.OnnxRuntime.OrtEnv).Assembly, (name, _, _) => OnnxRuntime(name));
    }

    /// <summary>ONNX Runtime out of LIFT_ORT_PATH; 0 leaves the search to .NET.</summary>
    private static nint OnnxRuntime(string name)
    {
        if (!name.Contains("onnxruntime", StringComparison.Ordinal) || name.Contains("genai", StringComparison.Ordinal)) return 0;
        if (Environment.GetEnvironmentVariable(OrtPathVariable) is not { Length: > 0 } folder) return 0;
        string file = Path.Combine(folder, OperatingSystem.IsWindows() ? "onnxruntime.dll" : "libonnxruntime.so");
        return NativeLibrary.TryLoad(file, out nint handle) ? handle : 0;
    }

    private static CudaLibrary Load((string Name, string[] Linux, string[] Windows, string Needed) entry)
    {
        string[] files = OperatingSystem.IsWindows() ? entry.Windows : entry.Linux;
        string[] own = [.. Split(Environment.GetEnvironmentVariable(PathVariable))];
        IEnumerable<string> places = own.SelectMany(folder => files.Select(f => Path.Combine(folder, f)))
            .Concat(files)
            .Concat(UsualFolders().SelectMany(folder => files.Select(f => Path.Combine(folder, f))));
        foreach (string place in places)
        {
            if (place.Contains(Path.DirectorySeparatorChar) && !File.Exists(place)) continue;
            if (NativeLibrary.TryLoad(place, out nint handle)) return new(entry.Name, files, entry.Needed, Whereabouts(place), handle);
        }
        return new(entry.Name, files, entry.Needed, null, 0);
    }

    /// <summary>Where the loader's path may not lead: the toolkit's own folders, and Python's wheels on LD_LIBRARY_PATH.</summary>
    private static IEnumerable<string> UsualFolders()
    {
        if (OperatingSystem.IsWindows()) return Split(Environment.GetEnvironmentVariable("CUDA_PATH")).Select(f => Path.Combine(f, "bin"));
        return Split(Environment.GetEnvironmentVariable("LD_LIBRARY_PATH")).Concat(["/usr/local/cuda/lib64", "/usr/local/cuda-13/lib64", "/usr/local/cuda-12/lib64", "/usr/local/nvidia/lib64", "/usr/lib/x86_64-linux-gnu"]);
    }

    private static string[] Split(string? folders) => (folders ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

    /// <summary>The file behind a bare name, as far as the system tells.</summary>
    private static string Whereabouts(string place)
    {
        if (place.Contains(Path.DirectorySeparatorChar) || !File.Exists("/proc/self/maps")) return place;
        foreach (string line in File.ReadLines("/proc/self/maps"))
        {
            int at = line.IndexOf('/');
            if (at < 0) continue;
            string file = line[at..], stem = place[..(place.IndexOf(".so", StringComparison.Ordinal) + 3)];
            if (Path.GetFileName(file).StartsWith(stem, StringComparison.Ordinal)) return file;
        }
        return place;
    }
}
