using Lift.Ort.Devices;

namespace Lift.Ort.Sparse;

/// <summary>Which scores <see cref="TopMagnitude"/> keeps.</summary>
public enum TopOrder
{
    /// <summary>The largest |x|.</summary>
    LargestMagnitude,

    /// <summary>The smallest |x|.</summary>
    SmallestMagnitude,

    /// <summary>The largest x, sign included.</summary>
    LargestValue,
}

/// <summary>
/// Finds the positions of the k best scores, ascending; of equal scores those of lowest position are taken. k is the length of
/// <paramref name="Positions"/>. Exact: bit patterns of floats order like their magnitudes, so the k-th best score is found by counting bits
/// (12, then 10, then 10 of them), and a second pass writes the positions. The result does not depend on the number of threads.
/// </summary>
/// <param name="Scores">Address of the float32 scores, in the device's memory; no NaN among them.</param>
/// <param name="Count">Number of scores, below 2³¹.</param>
/// <param name="Positions">k results, 1 ≤ k ≤ count.</param>
public readonly partial record struct TopMagnitude(nint Scores, int Count, DeviceBuffer<int> Positions, TopOrder Order = TopOrder.LargestMagnitude) : IKernel
{
    /// <summary>The same with results in managed memory.</summary>
    public static int[] Select(IDevice device, nint scores, int count, int k, TopOrder order = TopOrder.LargestMagnitude)
    {
        using DeviceBuffer<int> positions = device.Allocate<int>(k);
        device.Run(new TopMagnitude(scores, count, positions, order));
        int[] result = new int[k];
        positions.CopyTo(result);
        return result;
    }

    /// <summary>The same without waiting for the device.</summary>
    internal static QueuedPositions Queue(IDevice device, nint scores, int count, int k, TopOrder order = TopOrder.LargestMagnitude)
    {
        DeviceBuffer<int> positions = device.Allocate<int>(k);
        device.Run(new TopMagnitude(scores, count, positions, order));
        return new QueuedPositions(device, positions, device.Fetch(positions));
    }
}

/// <summary>Positions that a device has written, or will have, on their way to the host. They stay on the device as well, for those who <see cref="IDevice.Share{T}(T[])"/> the array.</summary>
internal sealed class QueuedPositions(IDevice device, DeviceBuffer<int> positions, Later<int> values)
{
    /// <summary>The positions, after waiting for them; from any thread, once.</summary>
    public int[] Wait()
    {
        int[] result = values.Wait();
        device.Adopt(result, positions);
        return result;
    }
}
