using System.Buffers.Binary;
using System.Text;
using Lift.Ort.Onnx.Reading;

namespace Lift.Ort.Artifacts;

/// <summary>
/// A FlatBuffer in a mapped file, read with every offset checked: whatever the bytes are, the answer is a value or a
/// <see cref="LiftException"/> that names the file and the offset.
/// </summary>
internal sealed unsafe class FlatBufferReader(MappedFile bytes)
{
    public MappedFile Bytes => bytes;

    public LiftException Broken(string what) =>
        new($"Checkpoint '{bytes.Path}' is broken: {what} (the file has {bytes.Length} bytes); make it again or take a copy that is whole.");

    /// <summary>The root table, after checking the four identifier bytes at offset 4.</summary>
    public FlatTableReader Root(string identifier)
    {
        if (bytes.Length < 8 || Encoding.ASCII.GetString(bytes.Data + 4, 4) != identifier)
            throw new LiftException($"'{bytes.Path}' is not an ONNX Runtime training checkpoint: its bytes 4 to 7 are not \"{identifier}\"; name the file `checkpoint` of an artifact folder.");
        return Table(Follow(0));
    }

    /// <summary>The bytes [position, position + length), or an error.</summary>
    public ReadOnlySpan<byte> Span(long position, long length)
    {
        Require(position, length);
        return new(bytes.Data + position, checked((int)length));
    }

    public void Require(long position, long length)
    {
        if (position < 0 || length < 0 || position > bytes.Length - length) throw Broken($"{length} bytes at offset {position} lie outside it");
    }

    public uint UInt32(long position) => BinaryPrimitives.ReadUInt32LittleEndian(Span(position, 4));

    public ushort UInt16(long position) => BinaryPrimitives.ReadUInt16LittleEndian(Span(position, 2));

    /// <summary>Where the unsigned offset stored at <paramref name="position"/> leads.</summary>
    public long Follow(long position)
    {
        uint offset = UInt32(position);
        if (offset == 0) throw Broken($"the offset at {position} is 0");
        return position + offset;
    }

    public FlatTableReader Table(long position)
    {
        long vtable = position - (int)UInt32(position);
        int vtableSize = UInt16(vtable), tableSize = UInt16(vtable + 2);
        if (vtableSize < 4 || vtableSize % 2 != 0 || tableSize < 4) throw Broken($"the table at offset {position} has a wrong header");
        Require(vtable, vtableSize);
        Require(position, tableSize);
        return new(this, position, vtable, vtableSize, tableSize);
    }

    public string String(long position)
    {
        long count = UInt32(position);
        ReadOnlySpan<byte> text = Span(position + 4, count + 1);
        if (text[^1] != 0) throw Broken($"the text at offset {position} has no end mark");
        return Encoding.UTF8.GetString(text[..^1]);
    }
}

/// <summary>One table of a FlatBuffer; an absent field answers its default.</summary>
internal readonly struct FlatTableReader(FlatBufferReader buffer, long position, long vtable, int vtableSize, int tableSize)
{
    /// <summary>Where the field of a slot lies (<paramref name="size"/> bytes), or null when it is absent.</summary>
    private long? Field(int slot, int size)
    {
        int entry = 4 + 2 * slot;
        int offset = entry + 2 <= vtableSize ? buffer.UInt16(vtable + entry) : 0;
        if (offset == 0) return null;
        if (offset + size > tableSize) throw buffer.Broken($"field {slot} of the table at offset {position} lies outside the table");
        return position + offset;
    }

    private long? Reference(int slot) => Field(slot, 4) is { } field ? buffer.Follow(field) : null;

    public bool Bool(int slot) => Field(slot, 1) is { } field && buffer.Span(field, 1)[0] != 0;

    public int Int32(int slot) => Field(slot, 4) is { } field ? (int)buffer.UInt32(field) : 0;

    public float Single(int slot) => Field(slot, 4) is { } field ? BitConverter.UInt32BitsToSingle(buffer.UInt32(field)) : 0;

    public long Int64(int slot, long otherwise = 0) =>
        Field(slot, 8) is { } field ? BinaryPrimitives.ReadInt64LittleEndian(buffer.Span(field, 8)) : otherwise;

    public string? String(int slot) => Reference(slot) is { } at ? buffer.String(at) : null;

    public FlatTableReader? Table(int slot) => Reference(slot) is { } at ? buffer.Table(at) : null;

    public long[]? Longs(int slot)
    {
        if (Vector(slot, 8) is not { } vector) return null;
        var values = new long[vector.Count];
        for (int i = 0; i < values.Length; i++) values[i] = BinaryPrimitives.ReadInt64LittleEndian(buffer.Span(vector.Start + 8L * i, 8));
        return values;
    }

    /// <summary>First byte and number of the elements of a vector, or null when the field is absent.</summary>
    public (long Start, long Count)? Vector(int slot, int elementSize)
    {
        if (Reference(slot) is not { } at) return null;
        long count = buffer.UInt32(at);
        buffer.Require(at + 4, count * elementSize);
        return (at + 4, count);
    }

    /// <summary>The tables of a vector of tables, or null when the field is absent.</summary>
    public List<FlatTableReader>? Tables(int slot)
    {
        if (Vector(slot, 4) is not { } vector) return null;
        var tables = new List<FlatTableReader>();
        for (long i = 0; i < vector.Count; i++) tables.Add(buffer.Table(buffer.Follow(vector.Start + 4 * i)));
        return tables;
    }
}
