namespace Lift.Ort.Devices;

/// <summary>Some bytes of a buffer, seen as a buffer of their own: the whole keeps the memory, and gives it back.</summary>
/// <param name="offset">Where they begin in <paramref name="whole"/>; a multiple of 64 keeps the promise of <see cref="IDevice.Allocate"/>.</param>
internal sealed class BufferPart(DeviceBuffer<byte> whole, long offset, long length) : DeviceBuffer<byte>(length)
{
    public override nint Pointer => whole.Pointer + (nint)offset;

    public override void CopyFrom(ReadOnlySpan<byte> source, long at = 0) => whole.CopyFrom(source, offset + Checked(at, source.Length));

    public override void CopyTo(Span<byte> destination, long at = 0) => whole.CopyTo(destination, offset + Checked(at, destination.Length));

    public override void Dispose() { }

    private long Checked(long at, long count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(at);
        if (count > Length - at) throw new ArgumentException($"{count} bytes from {at} on do not fit into {Length}");
        return at;
    }
}
