using Google.Protobuf;
using Lift.Ort.Onnx.Reading;

namespace Lift.Ort.Onnx.Writing;

/// <summary>Nodes of the main graph and of branches, and initializers of the main graph, that give way to others.</summary>
internal sealed unsafe partial class TensorReplacer
{
    private readonly GraphEdit edit;
    private readonly HashSet<string> rewritten = [];
    private bool isApart; // new initializers go to the data file

    private bool IsRemoved(Message parent, string initializer) => parent is { Main: true, Kind: MessageKind.Graph } && edit.Removed.Contains(initializer);

    /// <summary>Notes the edit of a whole node or initializer; answers by how many bytes the graph grows, or null where the field stays.</summary>
    private long? Rewrite(Message parent, WireField field, Message child)
    {
        if (parent.Kind != MessageKind.Graph) return null; // of the main graph or of a branch
        if (child.Kind == MessageKind.Tensor) return IsRemoved(parent, Describe(field).Tensor.Name) ? Replace(field.Start, field.End - field.Start, []) : null;
        if (edit.Nodes.Count == 0 || child.Kind != MessageKind.Node || FirstOutput(child) is not { } output || !edit.Nodes.TryGetValue(output, out var nodes)) return null;
        rewritten.Add(output);
        return Replace(field.Start, field.End - field.Start, [.. nodes.SelectMany(n => Field(1, GraphWriter.Message(n).ToByteArray()))]);
    }

    private string? FirstOutput(Message node)
    {
        var reader = new WireReader(source, node.Start, node.End);
        while (reader.Next(out WireField field))
            if (field.Number == 2) return Text(field);
        return null;
    }

    /// <summary>Puts the new initializers at the end of the graph's message.</summary>
    private long AddInitializers(long end, string dataName)
    {
        long growth = 0;
        foreach (var (name, content) in edit.Added)
        {
            var proto = new TensorProto { Name = name, DataType = (int)content.Type, Dims = { content.Dims } };
            if (isApart)
            {
                proto.DataLocation = TensorProto.Types.DataLocation.External;
                proto.ExternalData.Add(new StringStringEntryProto { Key = "location", Value = dataName });
                proto.ExternalData.Add(new StringStringEntryProto { Key = "offset", Value = external.Append(content).ToString() });
                proto.ExternalData.Add(new StringStringEntryProto { Key = "length", Value = content.ByteLength.ToString() });
                byte[] whole = Field(5, proto.ToByteArray());
                copy.Insert(end, whole);
                growth += whole.Length;
                continue;
            }
            byte[] described = [.. proto.ToByteArray(), .. Varint(9 << 3 | WireField.LengthDelimited), .. Varint((ulong)content.ByteLength)];
            byte[] head = [.. Varint(5 << 3 | WireField.LengthDelimited), .. Varint((ulong)(described.Length + content.ByteLength)), .. described];
            copy.Insert(end, head, content);
            growth += head.Length + content.ByteLength;
        }
        return growth;
    }

    private void CheckRewritten()
    {
        if (edit.Nodes.Keys.FirstOrDefault(n => !rewritten.Contains(n)) is { } missing)
            throw new LiftException($"'{source.Path}' has no node in its graph that makes '{missing}', so that layer cannot be stored as float; leave it quantized, or use the model that the run was prepared from.");
    }

    private static byte[] Field(int number, byte[] message) => [.. Varint((ulong)(number << 3 | WireField.LengthDelimited)), .. Varint((ulong)message.Length), .. message];
}
