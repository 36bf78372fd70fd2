using System.Buffers.Binary;
using System.Text;
using Lift.Ort.Onnx;

namespace Lift.Ort.Artifacts;

/// <summary>A table to be written as a FlatBuffer: values by slot. Values are int, long, float, bool, string, long[], FlatTable, FlatTable[] or Tensor (its raw bytes).</summary>
internal sealed class FlatTable
{
    public SortedDictionary<int, object> Fields { get; } = [];

    /// <summary>Sets a field; null leaves it absent.</summary>
    public FlatTable With(int slot, object? value)
    {
        if (value is not null) Fields[slot] = value;
        return this;
    }
}

/// <summary>
/// Writes a tree of tables front to back: all small things first, in memory, then the tensors' bytes straight from where they lie,
/// each at a multiple of 64 so that a mapped checkpoint can be bound to a session as it is.
/// </summary>
internal sealed class FlatBufferWriter
{
    /// <summary>FlatBuffers end here: offsets are checked as signed 32-bit numbers.</summary>
    public const long MaxLength = int.MaxValue;

    private const int DataAlignment = 64;
    private readonly List<(int Field, long At, Tensor Data)> blobs = [];
    private byte[] small = new byte[4096];
    private int used;

    public FlatBufferWriter(FlatTable root, string identifier)
    {
        Reserve(8, 4);
        Encoding.ASCII.GetBytes(identifier).CopyTo(small, 4);
        Reference(0, root);
        Length = used;
        for (int i = 0; i < blobs.Count; i++)
        {
            long at = (Length + 4 + DataAlignment - 1) / DataAlignment * DataAlignment - 4;
            blobs[i] = blobs[i] with { At = at };
            Length = at + 4 + blobs[i].Data.ByteLength;
        }
    }

    /// <summary>Bytes that <see cref="Write"/> will write; above <see cref="MaxLength"/> it refuses.</summary>
    public long Length { get; }

    public void Write(Stream stream)
    {
        if (Length > MaxLength) throw new InvalidOperationException($"A FlatBuffer of {Length} bytes");
        foreach (var (field, at, _) in blobs) UInt32(field, (uint)(at - field));
        stream.Write(small, 0, used);
        long position = used;
        Span<byte> count = stackalloc byte[4];
        foreach (var (_, at, data) in blobs)
        {
            stream.Write(new byte[at - position]);
            BinaryPrimitives.WriteUInt32LittleEndian(count, (uint)data.ByteLength);
            stream.Write(count);
            data.WriteTo(stream);
            position = at + 4 + data.ByteLength;
        }
    }

    private int Table(FlatTable table)
    {
        int slots = table.Fields.Count == 0 ? 0 : table.Fields.Keys.Max() + 1;
        int vtable = Reserve(4 + 2 * slots, 2);
        var offsets = new Dictionary<int, int>();
        int size = 4;
        foreach (var (slot, value) in table.Fields.OrderByDescending(f => Size(f.Value)))
        {
            int width = Size(value);
            size = (size + width - 1) / width * width;
            offsets[slot] = size;
            size += width;
        }
        int start = Reserve(size, 8);
        UInt32(start, (uint)(start - vtable));
        UInt16(vtable, 4 + 2 * slots);
        UInt16(vtable + 2, size);
        foreach (var (slot, offset) in offsets) UInt16(vtable + 4 + 2 * slot, offset);
        foreach (var (slot, value) in table.Fields) Field(start + offsets[slot], value);
        return start;
    }

    private static int Size(object value) => value switch { long => 8, bool => 1, _ => 4 };

    private void Field(int at, object value)
    {
        switch (value)
        {
            case int number: UInt32(at, (uint)number); break;
            case float number: UInt32(at, BitConverter.SingleToUInt32Bits(number)); break;
            case long number: BinaryPrimitives.WriteInt64LittleEndian(small.AsSpan(at), number); break;
            case bool flag: small[at] = flag ? (byte)1 : (byte)0; break;
            case Tensor data: blobs.Add((at, 0, data)); break;
            default: Reference(at, value); break;
        }
    }

    /// <summary>Appends what a reference field points to and writes the offset into the field.</summary>
    private void Reference(int field, object value)
    {
        int target;
        switch (value)
        {
            case FlatTable table:
                target = Table(table);
                break;
            case FlatTable[] tables:
                target = Count(tables.Length, 4, 4);
                for (int i = 0; i < tables.Length; i++) Reference(target + 4 + 4 * i, tables[i]);
                break;
            case long[] numbers:
                target = Count(numbers.Length, 8, 8);
                for (int i = 0; i < numbers.Length; i++) BinaryPrimitives.WriteInt64LittleEndian(small.AsSpan(target + 4 + 8 * i), numbers[i]);
                break;
            case string text:
                byte[] bytes = Encoding.UTF8.GetBytes(text);
                target = Count(bytes.Length, 1, 4, extra: 1);
                bytes.CopyTo(small, target + 4);
                break;
            default:
                throw new ArgumentException($"A FlatBuffer field cannot hold {value.GetType()}");
        }
        UInt32(field, (uint)(target - field));
    }

    /// <summary>Appends a vector's count and room for its elements; the elements start at a multiple of <paramref name="alignment"/>.</summary>
    private int Count(int count, int elementSize, int alignment, int extra = 0)
    {
        Reserve(0, 4);
        if ((used + 4) % alignment != 0) Reserve(4, 4);
        int at = Reserve(4 + count * elementSize + extra, 4);
        UInt32(at, (uint)count);
        return at;
    }

    /// <summary>Appends zeroed bytes at a multiple of <paramref name="alignment"/> and returns where they start.</summary>
    private int Reserve(int length, int alignment)
    {
        int start = (used + alignment - 1) / alignment * alignment;
        used = start + length;
        while (used > small.Length) Array.Resize(ref small, small.Length * 2);
        return start;
    }

    private void UInt32(int at, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(small.AsSpan(at), value);

    private void UInt16(int at, int value) => BinaryPrimitives.WriteUInt16LittleEndian(small.AsSpan(at), checked((ushort)value));
}
