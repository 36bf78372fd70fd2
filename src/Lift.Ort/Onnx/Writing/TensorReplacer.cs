using System.Buffers;
using System.Text;
using Google.Protobuf;
using Lift.Ort.Onnx.Reading;

namespace Lift.Ort.Onnx.Writing;

/// <summary>
/// Re-emits a model file with other bytes in some tensors. It edits the file's own encoding in place of decoding it, so that everything it does not
/// name stays as it is, unknown fields and odd encodings included.
/// </summary>
internal sealed unsafe partial class TensorReplacer
{
    private const int MaxDepth = 90;

    private readonly MappedFile source;
    private readonly IReadOnlyDictionary<string, NewContent> replacements;
    private readonly PatchedCopy copy;
    private readonly HashSet<string> found = [];
    private readonly ExternalCopies external;
    private readonly IReadOnlyDictionary<string, string> inside; // names of subgraphs' weights by place

    public TensorReplacer(MappedFile source, IReadOnlyDictionary<string, NewContent> replacements, GraphEdit edit)
    {
        (this.source, this.replacements, this.edit, copy) = (source, replacements, edit, new PatchedCopy(source));
        external = new ExternalCopies(source.Path);
        var skeleton = new Skeleton(source);
        inside = skeleton.Model.Graph is { } graph ? new SubgraphWeights(graph, new TensorReader(source, skeleton)).Names : new Dictionary<string, string>();
    }

    public void Write(string outputPath)
    {
        string dataName = Path.GetFileName(outputPath) + ".data";
        Survey(new(MessageKind.Model, 0, source.Length, null, true, ""), 0);
        external.Plan();
        isApart = external.IsUsed || source.Length + edit.AddedBytes > GraphWriter.SingleFileLimit;
        Edit(new(MessageKind.Model, 0, source.Length, null, true, ""), dataName);
        if (replacements.Keys.FirstOrDefault(k => !found.Contains(k)) is { } missing)
        {
            throw new LiftException($"'{source.Path}' has no initializer or Constant '{missing}', so its new values cannot be stored; use the model that the run was prepared from.");
        }
        CheckRewritten();
        string dataPath = Path.Combine(Path.GetDirectoryName(Path.GetFullPath(outputPath))!, dataName);
        SafeFile.Write(external.IsUsed ? [dataPath, outputPath] : [outputPath], streams =>
        {
            if (external.IsUsed) external.WriteTo(streams[0]);
            copy.WriteTo(streams[^1]);
        });
    }

    /// <summary>A message on the way to tensors.</summary>
    /// <param name="Constant">Output of the Constant node that it belongs to.</param>
    /// <param name="Main">True in the main graph.</param>
    /// <param name="Place">Where it is, as <see cref="SubgraphWeights.Names"/> spells it.</param>
    private sealed record Message(MessageKind Kind, long Start, long End, string? Constant, bool Main, string Place);

    /// <summary>First walk: notes which stretches of which external files belong to which tensors.</summary>
    private void Survey(Message message, int depth)
    {
        if (depth > MaxDepth) throw new LiftException($"'{source.Path}' is no ONNX model: its messages are nested more than {MaxDepth} deep at byte {message.Start}.");
        foreach (var (field, child) in Children(message))
        {
            if (child.Kind != MessageKind.Tensor) Survey(child, depth + 1);
            else
            {
                (TensorProto tensor, _) = Describe(field);
                if (IsRemoved(message, tensor.Name)) continue;
                if (tensor.DataLocation == TensorProto.Types.DataLocation.External) external.Add(field.Start, tensor, Replacement(tensor, child));
            }
        }
    }

    /// <summary>Second walk: notes the edits; returns by how many bytes the message grows.</summary>
    private long Edit(Message message, string dataName)
    {
        long growth = 0;
        foreach (var (field, child) in Children(message))
        {
            if (Rewrite(message, field, child) is { } changed)
            {
                growth += changed;
                continue;
            }
            long grown = child.Kind == MessageKind.Tensor ? EditTensor(field, child, dataName) : Edit(child, dataName);
            if (grown != 0) grown += Replace(field.Prefix, field.Payload - field.Prefix, Varint((ulong)(field.Length + grown)));
            growth += grown;
        }
        if (message is { Main: true, Kind: MessageKind.Graph }) growth += AddInitializers(message.End, dataName);
        if (message is { Main: true, Constant: not null, Kind: MessageKind.Attribute }) EditFloats(message.Start, message.End, message.Constant);
        return growth;
    }

    /// <summary>The fields that lead to tensors.</summary>
    private List<(WireField Field, Message Child)> Children(Message parent)
    {
        string? constant = parent.Kind != MessageKind.Node ? parent.Constant : parent.Main ? ConstantOutput(parent.Start, parent.End) : null;
        var result = new List<(WireField, Message)>();
        var counts = new int[64];
        var reader = new WireReader(source, parent.Start, parent.End);
        while (reader.Next(out WireField field))
        {
            MessageKind kind = field.Wire == WireField.LengthDelimited ? Skeleton.Child(parent.Kind, field.Number) : MessageKind.None;
            if (kind == MessageKind.None) continue;
            bool leaves = kind is MessageKind.Function or MessageKind.Sparse || (parent.Kind == MessageKind.Attribute && (kind == MessageKind.Graph || field.Number != 5));
            result.Add((field, new(kind, field.Payload, field.End, constant, parent.Main && !leaves, Place(parent, kind, field.Number, counts[field.Number]++))));
        }
        return result;
    }

    private static string Place(Message parent, MessageKind kind, int field, int index) => (parent.Kind, kind) switch
    {
        (MessageKind.Graph, MessageKind.Node) => $"{parent.Place}/{index}",
        (MessageKind.Node, MessageKind.Attribute) => $"{parent.Place}.{index}",
        (MessageKind.Attribute, MessageKind.Graph) when field == 11 => $"{parent.Place}.{index}",
        (MessageKind.Graph, MessageKind.Tensor) => SubgraphWeights.Place(parent.Place, index),
        (MessageKind.Model, MessageKind.Function) => "function",
        _ => parent.Place,
    };

    private string? ConstantOutput(long start, long end)
    {
        string op = "", output = "";
        var reader = new WireReader(source, start, end);
        while (reader.Next(out WireField field))
        {
            if (field.Number == 2) output = Text(field);
            if (field.Number == 4) op = Text(field);
        }
        return op == "Constant" ? output : null;
    }

    private string Text(WireField field) => Encoding.UTF8.GetString(source.Data + field.Payload, (int)Math.Min(field.Length, int.MaxValue));

    /// <summary>A tensor's description without its values, and the fields that hold those.</summary>
    private (TensorProto Tensor, List<WireField> Values) Describe(WireField message)
    {
        var described = new ArrayBufferWriter<byte>();
        var values = new List<WireField>();
        var reader = new WireReader(source, message.Payload, message.End);
        while (reader.Next(out WireField field))
        {
            if (field.Number is 4 or 5 or 7 or 9 or 10 or 11) values.Add(field);
            else if (field.Number is 1 or 2 or 8 or 13 or 14) described.Write(new ReadOnlySpan<byte>(source.Data + field.Start, (int)(field.End - field.Start)));
        }
        return (TensorProto.Parser.ParseFrom(described.WrittenSpan), values);
    }

    private NewContent? Replacement(TensorProto tensor, Message place)
    {
        string? name = place.Main ? place.Constant ?? tensor.Name : inside.GetValueOrDefault(place.Place);
        if (name is null || !replacements.TryGetValue(name, out NewContent? value)) return null;
        found.Add(name);
        if ((int)value.Type != tensor.DataType || !value.Dims.SequenceEqual(tensor.Dims))
        {
            throw new LiftException($"Initializer '{name}' of '{source.Path}' is {new TensorType((ElementType)tensor.DataType, Shape.Of(tensor.Dims))}, but its new values are {value.TensorType}.");
        }
        return value;
    }

    private long EditTensor(WireField message, Message place, string dataName)
    {
        (TensorProto tensor, List<WireField> values) = Describe(message);
        NewContent? value = Replacement(tensor, place);
        if (tensor.DataLocation == TensorProto.Types.DataLocation.External) return EditLocation(message, tensor, dataName);
        return value is null ? 0 : EditValues(place.Constant ?? tensor.Name, values, value);
    }

    private long EditValues(string name, List<WireField> fields, NewContent value)
    {
        int number = fields.Any(f => f.Number == 9 && f.Length > 0) ? 9 : value.Type switch
        {
            ElementType.Float or ElementType.Complex64 => 4,
            ElementType.Double or ElementType.Complex128 => 10,
            ElementType.Int64 => 7,
            ElementType.UInt32 or ElementType.UInt64 => 11,
            _ => 5,
        };
        List<WireField> stored = [.. fields.Where(f => f.Number == number)];
        if (number is 5 or 7 or 11) return EditVarints(stored, number, value.Make());
        if (number == 9) stored = [stored[^1]];
        if (stored.Sum(f => f.Length) != value.ByteLength) throw new LiftException($"Initializer '{name}' of '{source.Path}' holds {stored.Sum(f => f.Length)} bytes where its type and dimensions ask for {value.ByteLength}.");
        long from = 0;
        foreach (WireField field in stored)
        {
            copy.Put(field.Payload, field.Length, value, from);
            from += field.Length;
        }
        return 0;
    }

    /// <summary>Numbers that are stored with as many bytes as they need: one packed field takes the place of all pieces.</summary>
    private long EditVarints(List<WireField> stored, int number, Tensor value)
    {
        var packed = new ArrayBufferWriter<byte>();
        for (long i = 0; i < value.ByteLength * 8 / Math.Max(8, value.Type.Bits()); i++)
        {
            packed.Write(Varint(value.Type switch
            {
                ElementType.Int64 or ElementType.UInt64 => ((ulong*)value.Data)[i],
                ElementType.Int32 => (ulong)((int*)value.Data)[i],
                ElementType.UInt32 => ((uint*)value.Data)[i],
                ElementType.Int16 => (ulong)((short*)value.Data)[i],
                ElementType.Int8 => (ulong)((sbyte*)value.Data)[i],
                var t when t.Bits() == 16 => ((ushort*)value.Data)[i],
                _ => value.Data[i],
            }));
        }
        byte[] field = [.. Varint((ulong)(number << 3 | WireField.LengthDelimited)), .. Varint((ulong)packed.WrittenCount), .. packed.WrittenSpan];
        return stored.Select((f, i) => Replace(f.Start, f.End - f.Start, i == 0 ? field : [])).Sum();
    }

    private long EditLocation(WireField message, TensorProto tensor, string dataName)
    {
        (long offset, long length) = external.Place(message.Start);
        (string, string)[] entries = [("location", dataName), ("offset", offset.ToString()), ("length", length.ToString())];
        var bytes = new List<byte>();
        foreach (var (key, value) in entries)
        {
            byte[] entry = new StringStringEntryProto { Key = key, Value = value }.ToByteArray();
            bytes.AddRange([.. Varint(13 << 3 | WireField.LengthDelimited), .. Varint((ulong)entry.Length), .. entry]);
        }
        long growth = 0;
        bool first = true;
        var reader = new WireReader(source, message.Payload, message.End);
        while (reader.Next(out WireField field))
        {
            if (field.Number != 13) continue;
            growth += Replace(field.Start, field.End - field.Start, first ? [.. bytes] : []);
            first = false;
        }
        return growth;
    }

    /// <summary>The forms <c>value_float</c> and <c>value_floats</c> of a Constant: four bytes each, alone or packed.</summary>
    private void EditFloats(long start, long end, string constant)
    {
        if (!replacements.TryGetValue(constant, out NewContent? value) || value.Type != ElementType.Float) return;
        var fields = new List<WireField>();
        var reader = new WireReader(source, start, end);
        while (reader.Next(out WireField field))
        {
            if (field is { Number: 2 or 7, Wire: 5 } or { Number: 7, Wire: WireField.LengthDelimited }) fields.Add(field);
        }
        if (fields.Sum(f => f.Length) != value.ByteLength) return; // another attribute, or other dimensions: reported as missing
        long from = 0;
        foreach (WireField field in fields)
        {
            copy.Put(field.Payload, field.Length, value, from);
            from += field.Length;
        }
        if (fields.Count > 0) found.Add(constant);
    }

    private long Replace(long offset, long length, byte[] bytes)
    {
        copy.Put(offset, length, bytes);
        return bytes.Length - length;
    }

    private static byte[] Varint(ulong value)
    {
        var bytes = new List<byte>();
        for (; value >= 0x80; value >>= 7) bytes.Add((byte)(value | 0x80));
        bytes.Add((byte)value);
        return [.. bytes];
    }
}
