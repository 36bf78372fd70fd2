namespace Lift.Ort.Onnx.Reading;

/// <summary>One field of a protobuf message: its number, wire type, where its tag, its length prefix (if any) and its payload lie in the file.</summary>
internal readonly record struct WireField(int Number, int Wire, long Start, long Prefix, long Payload, long Length)
{
    public const int LengthDelimited = 2;

    public long End => Payload + Length;
}

/// <summary>Walks over the fields of one protobuf message between two offsets of a mapped file, without copying.</summary>
internal unsafe struct WireReader(MappedFile file, long start, long end)
{
    private readonly byte* data = file.Data;
    private long position = start;

    /// <exception cref="LiftException">The bytes are no protobuf message, or a field reaches beyond the end.</exception>
    public bool Next(out WireField field)
    {
        field = default;
        if (position >= end) return false;
        long tagAt = position;
        ulong tag = Varint();
        int number = (int)Math.Min(tag >> 3, int.MaxValue);
        int wire = (int)(tag & 7);
        if (number == 0) throw Broken(tagAt);
        long length = 0, prefix = position, payload = position;
        switch (wire)
        {
            case 0:
                Varint();
                length = position - payload;
                break;
            case 1: length = 8; break;
            case 5: length = 4; break;
            case WireField.LengthDelimited:
                ulong size = Varint();
                payload = position;
                length = size > long.MaxValue ? long.MaxValue : (long)size;
                break;
            default: throw Broken(tagAt);
        }
        if (length > end - payload)
        {
            throw new LiftException($"'{file.Path}' is truncated or no ONNX model: the field at byte {tagAt} claims {length} bytes where {end - payload} remain; fetch or export the file again.");
        }
        position = payload + length;
        field = new WireField(number, wire, tagAt, prefix, payload, length);
        return true;
    }

    private ulong Varint()
    {
        ulong value = 0;
        long at = position;
        for (int shift = 0; shift < 70; shift += 7)
        {
            if (position >= end) throw Broken(at);
            byte b = data[position++];
            if (shift < 64) value |= (ulong)(b & 0x7f) << shift;
            if (b < 0x80) return value;
        }
        throw Broken(at);
    }

    private readonly LiftException Broken(long at) => new($"'{file.Path}' is no ONNX model or is truncated: its bytes stop being protobuf at byte {at}; fetch or export the file again.");
}
