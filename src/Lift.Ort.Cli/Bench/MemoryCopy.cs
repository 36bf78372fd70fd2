using Lift.Ort.Devices;

namespace Lift.Ort.Cli.Bench;

/// <summary>Copies a block of a device's memory: the ceiling of everything that is bound by memory.</summary>
internal static class MemoryCopy
{
    /// <summary>GB/s, bytes read and written counted, by the median.</summary>
    public static double GigabytesPerSecond(IDevice device, long bytes, Patience patience, out Times times)
    {
        using DeviceBuffer<byte> source = device.Allocate<byte>(bytes), target = device.Allocate<byte>(bytes);
        times = patience.Time(() =>
        {
            device.Copy(source.Pointer, target.Pointer, bytes);
            device.Synchronize();
        });
        return 2 * bytes / times.MedianS / 1e9;
    }
}
