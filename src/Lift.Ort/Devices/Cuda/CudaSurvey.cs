using Lift.Ort.Devices.Cuda.Interop;

namespace Lift.Ort.Devices.Cuda;

/// <summary>A library that GPUs need.</summary>
/// <param name="Name">"cuda" (the driver), "cublas", …</param>
/// <param name="Files">The file names that were looked for.</param>
/// <param name="Path">Where it was found; null where it was not.</param>
/// <param name="Purpose">What needs it, and where it comes from.</param>
/// <param name="Required">False: only some models need it.</param>
public sealed record LibraryFound(string Name, string Files, string? Path, string Purpose, bool Required);

/// <summary>A GPU that the driver sees.</summary>
/// <param name="Name">"cuda:0", …</param>
/// <param name="Architecture">"sm_90", …</param>
/// <param name="Problem">Why it cannot be opened, or null.</param>
public sealed record GpuFound(string Name, string Description, string Architecture, DeviceMemory Memory, string? Problem);

/// <summary>What of CUDA is on this machine.</summary>
/// <param name="Driver">Version of CUDA that the driver supports, "13.0"; null without a driver.</param>
/// <param name="Compiler">Version of NVRTC, or null.</param>
/// <param name="Problem">Why no GPU can be used at all, with what to do about it; null where one can.</param>
public sealed record CudaSurvey(IReadOnlyList<LibraryFound> Libraries, string? Driver, string? Compiler, IReadOnlyList<GpuFound> Gpus, string? Problem)
{
    /// <summary>Looks at libraries, driver and GPUs; opens every GPU once.</summary>
    public static CudaSurvey Take()
    {
        LibraryFound[] libraries = [.. CudaLibraries.All.Select(l => new LibraryFound(l.Name, string.Join(" or ", l.Files), l.Path, l.Needed, l.Name != "cudnn"))];
        string? driver = Try(CudaLibraries.Driver, () =>
        {
            CudaDriver.DriverGetVersion(out int version).ThrowIfFailed();
            return $"{version / 1000}.{version % 1000 / 10}";
        });
        string? compiler = Try(CudaLibraries.RunTimeCompiler, () =>
        {
            Nvrtc.Version(out int major, out int minor).ThrowIfFailed();
            return $"{major}.{minor}";
        });
        try
        {
            return new(libraries, driver, compiler, [.. Enumerable.Range(0, CudaDevice.Count()).Select(Open)], null);
        }
        catch (LiftException e)
        {
            return new(libraries, driver, compiler, [], e.Message);
        }
    }

    private static GpuFound Open(int ordinal)
    {
        try
        {
            using CudaDevice device = CudaDevice.Open(ordinal, new());
            return new(device.Name, device.Description, device.Architecture, device.Memory, null);
        }
        catch (LiftException e)
        {
            return new($"cuda:{ordinal}", "", "", default, e.Message);
        }
    }

    private static string? Try(string library, Func<string> version)
    {
        if (CudaLibraries.Find(library).Path is null) return null;
        try
        {
            return version();
        }
        catch (LiftException)
        {
            return null;
        }
    }
}
