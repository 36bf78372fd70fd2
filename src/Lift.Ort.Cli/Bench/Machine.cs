using System.Reflection;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using Microsoft.ML.OnnxRuntime;

namespace Lift.Ort.Cli.Bench;

/// <summary>Where a measurement ran, and how much memory the process took so far.</summary>
internal static class Machine
{
    /// <summary>The fields <c>device</c>, <c>device_name</c>, <c>threads</c>, <c>cpu</c> and <c>versions</c> of every line.</summary>
    /// <param name="description">What a GPU calls itself; null: the processor.</param>
    public static Dictionary<string, object?> Fields(string device, string? description = null) => new()
    {
        ["device"] = device,
        ["device_name"] = description ?? ProcessorName(),
        ["threads"] = Environment.ProcessorCount,
        ["cpu"] = Avx512F.IsSupported ? "AVX512" : Avx2.IsSupported ? "AVX2" : "DEFAULT",
        ["load_average"] = LoadAverage(),
        ["versions"] = new Dictionary<string, string>
        {
            ["dotnet"] = Environment.Version.ToString(),
            ["onnxruntime"] = OrtEnv.Instance().GetVersionString(),
            ["lift"] = typeof(LiftException).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "",
        },
    };

    /// <summary>Most bytes of memory that the process had at once since it started: one method per process where this is compared.</summary>
    public static long PeakMemory()
    {
        string? line = File.Exists("/proc/self/status") ? File.ReadLines("/proc/self/status").FirstOrDefault(l => l.StartsWith("VmHWM:", StringComparison.Ordinal)) : null;
        return line is null ? System.Diagnostics.Process.GetCurrentProcess().PeakWorkingSet64 : 1024 * long.Parse(line["VmHWM:".Length..^"kB".Length]);
    }

    /// <summary>Forgets the peak so far, so that <see cref="PeakMemory"/> tells of what comes now; where the system cannot, the peak since the start stays.</summary>
    public static void ForgetPeakMemory()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
        GC.Collect();
        const string reset = "/proc/self/clear_refs";
        try
        {
            if (File.Exists(reset)) File.WriteAllText(reset, "5");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
        }
    }

    private static string ProcessorName()
    {
        const string info = "/proc/cpuinfo";
        string? line = File.Exists(info) ? File.ReadLines(info).FirstOrDefault(l => l.StartsWith("model name", StringComparison.Ordinal)) : null;
        return line?[(line.IndexOf(':') + 1)..].Trim() ?? RuntimeInformation.ProcessArchitecture.ToString();
    }

    /// <summary>Processes that wanted the processor in the last minute, this one included; a figure far above 1 before the run says: others were at work.</summary>
    private static double? LoadAverage()
    {
        const string info = "/proc/loadavg";
        return File.Exists(info) ? double.Parse(File.ReadAllText(info).Split(' ')[0]) : null;
    }
}
