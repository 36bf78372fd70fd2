using Lift.Ort.Devices.Cpu;
using Lift.Ort.Devices.Cuda;

namespace Lift.Ort.Devices;

/// <summary>Opens devices by name.</summary>
public static class Device
{
    private static readonly Dictionary<string, Func<int, CudaOptions, IDevice>> table = new()
    {
        ["cpu"] = (_, _) => new CpuDevice(),
        ["cuda"] = (ordinal, options) => CudaDevice.Open(ordinal, options),
    };

    /// <summary>Opens "cpu" (the default), "cuda" (the first GPU) or "cuda:N".</summary>
    /// <param name="cuda">Settings of CUDA devices; null: the defaults.</param>
    /// <exception cref="LiftException">No device has this name, or what it needs is missing; the message says what.</exception>
    public static IDevice Open(string name = "cpu", CudaOptions? cuda = null)
    {
        string[] parts = name.Split(':');
        int ordinal = 0;
        bool good = table.TryGetValue(parts[0], out var open) & (parts.Length == 1 || (parts.Length == 2 && int.TryParse(parts[1], out ordinal) && ordinal >= 0));
        return good ? open!(ordinal, cuda ?? new()) : throw new LiftException($"There is no device '{name}'; devices are: {string.Join(", ", table.Keys)}.");
    }
}
