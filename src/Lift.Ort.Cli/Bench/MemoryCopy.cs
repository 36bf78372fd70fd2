using Lift.Ort.Onnx;

namespace Lift.Ort.Cli.Bench;

/// <summary>Copies a block of memory with all threads: the ceiling of everything that is bound by memory.</summary>
internal static unsafe class MemoryCopy
{
    /// <summary>GB/s, bytes read and written counted, by the median.</summary>
    public static double GigabytesPerSecond(long bytes, Patience patience, out Times times)
    {
        using var source = new NativeBuffer(bytes);
        using var target = new NativeBuffer(bytes);
        int parts = Environment.ProcessorCount;
        times = patience.Time(() => Parallel.For(0, parts, i =>
        {
            long from = bytes * i / parts, to = bytes * (i + 1) / parts;
            Buffer.MemoryCopy(source.Data + from, target.Data + from, to - from, to - from);
        }));
        return 2 * bytes / times.MedianS / 1e9;
    }
}
