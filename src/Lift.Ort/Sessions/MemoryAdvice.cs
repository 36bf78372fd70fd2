using System.Globalization;
using Lift.Ort.Devices;
using Lift.Ort.Onnx;

namespace Lift.Ort.Sessions;

/// <summary>Remembers how much memory batches took on a device, and says what would fit when one does not.</summary>
internal sealed class MemoryAdvice(IDevice device)
{
    private DeviceMemory before;   // before the first batch
    private long tokens, taken;    // of the largest batch so far
    private (long Rows, long Length) largest;

    /// <summary>Runs a batch.</summary>
    /// <exception cref="DeviceMemoryException">There is no room; the message says which batch would fit.</exception>
    public void Watch(IReadOnlyDictionary<string, Tensor> batch, Action run)
    {
        var (rows, length) = SizeOf(batch);
        if (tokens == 0) before = device.Memory;
        try
        {
            run();
        }
        catch (DeviceMemoryException e)
        {
            throw new DeviceMemoryException($"{Sentence(rows, length)} ({e.Message})", e.Free, e.Total);
        }
        if (rows * length <= tokens) return;
        DeviceMemory after = device.Memory;
        (tokens, taken, largest) = (rows * length, Math.Max(0, after.Used - before.Used), (rows, length));
    }

    /// <summary>Rows and places of a batch, by its labels or its first input.</summary>
    internal static (long Rows, long Length) SizeOf(IReadOnlyDictionary<string, Tensor> batch)
    {
        long[] dims = (batch.GetValueOrDefault("labels") ?? batch.Values.FirstOrDefault())?.Dims ?? [];
        return (dims.Length > 0 ? Math.Max(1, dims[0]) : 1, dims.Length > 1 ? Math.Max(1, dims[1]) : 1);
    }

    private string Sentence(long rows, long length)
    {
        string known = tokens > 0 ? string.Create(CultureInfo.InvariantCulture, $" (one of {largest.Rows} x {largest.Length} took {taken / 1e9:F2} GB)") : "";
        return string.Create(CultureInfo.InvariantCulture,
            $"{device.Name} has no room for a batch of {rows} x {length}: {before.Free / 1e9:F2} of its {before.Total / 1e9:F2} GB were free for it{known}. {Remedy(rows, length)}");
    }

    private string Remedy(long rows, long length)
    {
        long fits = tokens > 0 && taken > 0 ? Math.Min((long)(before.Free * 0.95 / taken * tokens), (rows * length) - 1) / length : rows / 2;
        long smaller = Math.Clamp(fits, 0, rows - 1);
        while (smaller > 1 && rows % smaller != 0) smaller--;
        string batch = smaller > 0 ? $"--batch {smaller} with --accumulate {rows / smaller} times what it is now makes the same step; " : "";
        return $"{batch}--max-length {Math.Max(1, length / 2)} or --recompute layers need less as well.";
    }
}
