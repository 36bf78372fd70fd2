using Lift.Ort.Devices.Cpu;

namespace Lift.Ort.Devices;

/// <summary>Opens devices by name.</summary>
public static class Device
{
    private static readonly Dictionary<string, Func<int, IDevice>> table = new() { ["cpu"] = _ => new CpuDevice() };

    /// <summary>Opens "cpu" (the default).</summary>
    /// <exception cref="LiftException">No device has this name.</exception>
    public static IDevice Open(string name = "cpu")
    {
        string[] parts = name.Split(':');
        bool good = table.TryGetValue(parts[0], out var open) & (parts.Length == 1 || (parts.Length == 2 && int.TryParse(parts[1], out _)));
        return good ? open!(parts.Length == 2 ? int.Parse(parts[1]) : 0)
            : throw new LiftException($"There is no device '{name}'; devices are: {string.Join(", ", table.Keys)}.");
    }
}
