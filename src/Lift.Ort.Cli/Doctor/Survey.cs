using System.Globalization;
using System.Reflection;
using System.Runtime.InteropServices;
using Lift.Ort.Devices.Cuda;
using Microsoft.ML.OnnxRuntime;

namespace Lift.Ort.Cli.Doctor;

/// <summary>What is installed: ONNX Runtime, its providers, CUDA's libraries, the driver and the GPUs.</summary>
internal static class Survey
{
    private static readonly string[] providerFiles = OperatingSystem.IsWindows()
        ? ["onnxruntime_providers_shared.dll", "onnxruntime_providers_cuda.dll"]
        : ["libonnxruntime_providers_shared.so", "libonnxruntime_providers_cuda.so"];

    public static IEnumerable<Finding> Program()
    {
        yield return new("lift", Health.Good, $"{typeof(LiftException).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion}, .NET {Environment.Version}, {RuntimeInformation.OSDescription}, {Environment.ProcessorCount} processors");
        yield return Finding.Of("ONNX Runtime", "install the program again: libonnxruntime must lie beside it", () =>
            $"{OrtEnv.Instance().GetVersionString()} at {Library()}, providers {string.Join(", ", OrtEnv.Instance().GetAvailableProviders())}");
    }

    public static IEnumerable<Finding> Gpu(CudaSurvey cuda)
    {
        foreach (LibraryFound library in cuda.Libraries)
        {
            string detail = library.Name == "cuda" && cuda.Driver is { } driver ? $"{library.Path}, CUDA {driver}" : library.Name == "nvrtc" && cuda.Compiler is { } compiler ? $"{library.Path}, {compiler}" : library.Path ?? library.Files;
            yield return library.Path is not null ? new(library.Name, Health.Good, detail)
                : new(library.Name, Health.Missing, $"{detail} was not found", $"{(library.Required ? "Needed" : "Optional")} for {library.Purpose}; install it, or name its folder in LIFT_CUDA_PATH.");
        }
        yield return Provider();
        foreach (GpuFound gpu in cuda.Gpus)
        {
            yield return gpu.Problem is { } problem ? new(gpu.Name, Health.Wrong, problem, "mend what the sentence names, then run 'lift doctor' again")
                : new(gpu.Name, Health.Good, string.Create(CultureInfo.InvariantCulture, $"{gpu.Description}, {gpu.Architecture}, {gpu.Memory.Free / 1e9:F1} of {gpu.Memory.Total / 1e9:F1} GB free"));
        }
        if (cuda.Gpus.Count == 0) yield return new("GPU", Health.Missing, cuda.Problem ?? "none", "Training runs on the CPU as it is; for a GPU install NVIDIA's driver and make the device visible to this machine or container.");
    }

    /// <summary>The two files of ONNX Runtime's CUDA provider.</summary>
    private static Finding Provider()
    {
        string folder = Path.GetDirectoryName(Library()) is { Length: > 0 } f ? f : AppContext.BaseDirectory;
        string[] absent = [.. providerFiles.Where(p => !File.Exists(Path.Combine(folder, p)))];
        return absent.Length == 0 ? new("ONNX Runtime's CUDA provider", Health.Good, folder)
            : new("ONNX Runtime's CUDA provider", Health.Missing, $"{string.Join(" and ", absent)} not in {folder}", "Put them there (npm package com.github.asus4.onnxruntime.linux-x64-gpu, or Microsoft.ML.OnnxRuntime.Gpu), or name the folder that has libonnxruntime and them in LIFT_ORT_PATH; see docs/cuda.md.");
    }

    /// <summary>The file that ONNX Runtime was loaded from.</summary>
    private static string Library()
    {
        _ = OrtEnv.Instance();
        if (File.Exists("/proc/self/maps"))
        {
            foreach (string line in File.ReadLines("/proc/self/maps"))
            {
                int at = line.IndexOf('/');
                if (at >= 0 && Path.GetFileName(line[at..]).StartsWith("libonnxruntime.so", StringComparison.Ordinal)) return line[at..];
            }
        }
        return Path.Combine(AppContext.BaseDirectory, OperatingSystem.IsWindows() ? "onnxruntime.dll" : "libonnxruntime.so");
    }
}
