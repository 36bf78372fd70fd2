namespace Lift.Ort.Devices;

/// <summary>A device has no room for what was asked of it.</summary>
/// <param name="message">What was asked for, of which device.</param>
/// <param name="free">Bytes that were free; 0 where it is not known.</param>
/// <param name="total">Bytes that the device has.</param>
public sealed class DeviceMemoryException(string message, long free, long total) : LiftException(message)
{
    public long Free { get; } = free;

    public long Total { get; } = total;
}
