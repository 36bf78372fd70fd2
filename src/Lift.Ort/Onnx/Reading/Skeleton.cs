using System.Buffers;
using System.Buffers.Binary;
using Google.Protobuf;

namespace Lift.Ort.Onnx.Reading;

/// <summary>The messages of an ONNX file that lead to tensors.</summary>
internal enum MessageKind { None, Model, Graph, Function, Node, Attribute, Sparse, Tensor }

/// <summary>
/// A model's protobuf without its weights: long tensor payloads are cut out while scanning, a 24-byte mark stands in their place, and
/// <see cref="TryFind"/> leads from the mark to the bytes in the mapped file. So the parser never sees (or copies) a weight.
/// </summary>
internal sealed unsafe class Skeleton
{
    /// <summary>Payloads from this many bytes on are cut out.</summary>
    private const int Threshold = 1024;

    /// <summary>Deeper nesting than any exporter makes (a subgraph costs three levels); guards the stack against made-up files.</summary>
    private const int MaxDepth = 90;

    private readonly MappedFile file;
    private readonly byte[] secret = Guid.NewGuid().ToByteArray(); // a file cannot contain a valid mark by intent or accident
    private readonly List<(long Offset, long Length)> cuts = [];

    public Skeleton(MappedFile file)
    {
        this.file = file;
        var bytes = new ArrayBufferWriter<byte>();
        Copy(MessageKind.Model, 0, file.Length, bytes, 0);
        try
        {
            Model = ModelProto.Parser.ParseFrom(bytes.WrittenSpan);
        }
        catch (InvalidProtocolBufferException e)
        {
            throw new LiftException($"'{file.Path}' is no ONNX model: {e.Message}", e);
        }
    }

    public ModelProto Model { get; }

    /// <summary>Finds the payload that a mark stands for.</summary>
    public bool TryFind(ReadOnlySpan<byte> mark, out long offset, out long length)
    {
        (offset, length) = (0, 0);
        if (mark.Length != 24 || !mark[..16].SequenceEqual(secret)) return false;
        (offset, length) = cuts[(int)BinaryPrimitives.ReadInt64LittleEndian(mark[16..])];
        return true;
    }

    /// <summary>The message that field <paramref name="number"/> of <paramref name="kind"/> holds, as far as it can lead to a tensor.</summary>
    public static MessageKind Child(MessageKind kind, int number) => (kind, number) switch
    {
        (MessageKind.Model, 7) or (MessageKind.Attribute, 6 or 11) => MessageKind.Graph,
        (MessageKind.Model, 25) => MessageKind.Function,
        (MessageKind.Graph, 1) or (MessageKind.Function, 7) => MessageKind.Node,
        (MessageKind.Graph, 15) or (MessageKind.Attribute, 22 or 23) => MessageKind.Sparse,
        (MessageKind.Node, 5) => MessageKind.Attribute,
        (MessageKind.Graph, 5) or (MessageKind.Attribute, 5 or 10) or (MessageKind.Sparse, 1 or 2) => MessageKind.Tensor,
        _ => MessageKind.None,
    };

    private void Copy(MessageKind kind, long start, long end, ArrayBufferWriter<byte> to, int depth)
    {
        if (depth > MaxDepth) throw new LiftException($"'{file.Path}' is no ONNX model: its messages are nested more than {MaxDepth} deep at byte {start}.");
        var reader = new WireReader(file, start, end);
        while (reader.Next(out WireField field))
        {
            MessageKind child = field.Wire == WireField.LengthDelimited ? Child(kind, field.Number) : MessageKind.None;
            if (child != MessageKind.None)
            {
                var inner = new ArrayBufferWriter<byte>();
                Copy(child, field.Payload, field.End, inner, depth + 1);
                Write(to, field.Number, inner.WrittenSpan);
            }
            else if (kind == MessageKind.Tensor && IsPayload(field) && field.Length >= Threshold)
            {
                var mark = new byte[24];
                secret.CopyTo(mark, 0);
                BinaryPrimitives.WriteInt64LittleEndian(mark.AsSpan(16), cuts.Count);
                cuts.Add((field.Payload, field.Length));
                Write(to, 9, mark);
            }
            else
            {
                if (field.End - field.Start + to.WrittenCount > 1 << 30) throw new LiftException($"'{file.Path}' holds more than 1 GB beside its tensors' raw bytes; no ONNX model does.");
                to.Write(new ReadOnlySpan<byte>(file.Data + field.Start, (int)(field.End - field.Start)));
            }
        }
    }

    /// <summary>raw_data. The typed fields (float_data, …) stay with the parser: they may come in several pieces, and no exporter uses them for large weights.</summary>
    private static bool IsPayload(WireField field) => field is { Wire: WireField.LengthDelimited, Number: 9 };

    private static void Write(ArrayBufferWriter<byte> to, int number, ReadOnlySpan<byte> payload)
    {
        Varint(to, (uint)(number << 3 | WireField.LengthDelimited));
        Varint(to, (ulong)payload.Length);
        to.Write(payload);
    }

    private static void Varint(ArrayBufferWriter<byte> to, ulong value)
    {
        for (; value >= 0x80; value >>= 7) to.Write([(byte)(value | 0x80)]);
        to.Write([(byte)value]);
    }
}
