using Google.Protobuf;
using Lift.Ort.Onnx.Opsets;

namespace Lift.Ort.Onnx.Writing;

/// <summary>Writes a graph as an ONNX file. Weights go from where they lie straight to the disk.</summary>
internal static unsafe class GraphWriter
{
    /// <summary>Protobuf files end at 2 GB; above this many bytes the weights go to a file of their own.</summary>
    internal const long SingleFileLimit = 1_900_000_000;

    /// <summary>Initializers of this many bytes and more are written apart from the message that describes them.</summary>
    private const long Large = 1024;

    public static void Write(Graph graph, string path, bool externalData, Action<Tensor, Stream>? contents)
    {
        externalData |= graph.Initializers.Values.Sum(t => t.ByteLength) > SingleFileLimit;
        string dataName = Path.GetFileName(path) + ".data";
        string? dataPath = externalData ? Path.Combine(Path.GetDirectoryName(Path.GetFullPath(path))!, dataName) : null;
        SafeFile.Write(dataPath is null ? [path] : [dataPath, path], streams =>
        {
            List<TensorProto> headers = [.. graph.Initializers.Values.Select(Header)];
            if (dataPath is not null) WriteData(graph, headers, dataName, streams[0], contents);
            WriteModel(graph, headers, streams[^1], inFile: dataPath is null, contents);
        });
        GC.KeepAlive(graph);
    }

    /// <summary>The graph as a message in memory, initializers included: for graphs whose weights are inputs.</summary>
    public static ModelProto ToModel(Graph graph)
    {
        using var bytes = new MemoryStream();
        WriteModel(graph, [.. graph.Initializers.Values.Select(Header)], bytes, inFile: true, null);
        bytes.Position = 0;
        return ModelProto.Parser.ParseFrom(bytes);
    }

    /// <summary>A declared type as the file spells it.</summary>
    public static ValueInfoProto Value(GraphValue value)
    {
        var tensor = new TypeProto.Types.Tensor { ElemType = (int)value.Type.Element };
        if (value.Type.Shape is { } shape)
        {
            tensor.Shape = new();
            foreach (Dim d in shape.Dims)
            {
                var dim = new TensorShapeProto.Types.Dimension();
                if (d.Value is { } n) dim.DimValue = n;
                else if (d.Symbol is { } s) dim.DimParam = s;
                tensor.Shape.Dim.Add(dim);
            }
        }
        var info = new ValueInfoProto { Name = value.Name };
        if (value.Type.Element != ElementType.Undefined) info.Type = new() { TensorType = tensor };
        return info;
    }

    private static TensorProto Header(Tensor tensor)
    {
        var proto = new TensorProto { Name = tensor.Name, DataType = (int)tensor.Type };
        proto.Dims.AddRange(tensor.Dims);
        return proto;
    }

    /// <summary>Large tensors begin on pages, so that they can be mapped one by one; all others on 64 bytes.</summary>
    private static void WriteData(Graph graph, List<TensorProto> headers, string location, Stream data, Action<Tensor, Stream>? contents)
    {
        foreach (var (tensor, header) in graph.Initializers.Values.Zip(headers))
        {
            if (tensor.ByteLength < Large) continue;
            long alignment = tensor.ByteLength >= 65536 ? 4096 : 64;
            while (data.Position % alignment != 0) data.WriteByte(0);
            header.DataLocation = TensorProto.Types.DataLocation.External;
            header.ExternalData.Add(new StringStringEntryProto { Key = "location", Value = location });
            header.ExternalData.Add(new StringStringEntryProto { Key = "offset", Value = data.Position.ToString() });
            header.ExternalData.Add(new StringStringEntryProto { Key = "length", Value = tensor.ByteLength.ToString() });
            Copy(tensor, data, contents);
        }
    }

    private static void WriteModel(Graph graph, List<TensorProto> headers, Stream to, bool inFile, Action<Tensor, Stream>? contents)
    {
        OpsetConverter.CheckSubgraphs(graph);
        var model = new ModelProto { IrVersion = graph.Opset >= 21 ? 10 : graph.Opset >= 19 ? 9 : 8, ProducerName = "Lift.Ort" };
        model.OpsetImport.Add(new OperatorSetIdProto { Domain = "", Version = graph.Opset });
        foreach (var (domain, version) in graph.Domains) model.OpsetImport.Add(new OperatorSetIdProto { Domain = domain, Version = version });
        model.Functions.AddRange(graph.Functions);

        var body = new GraphProto { Name = graph.Name };
        foreach (Node node in graph.Nodes) body.Node.Add(Message(node));
        body.Input.AddRange(graph.Inputs.Select(Value));
        body.Output.AddRange(graph.Outputs.Select(Value));

        // The graph's message is written by hand, because a weight must not pass through the protobuf objects:
        // its length first, then all fields but the weights, then one initializer field after the other.
        var raw = graph.Initializers.Values.Select((t, i) => inFile || headers[i].ExternalData.Count == 0 ? t : null).ToList();
        long length = body.CalculateSize();
        for (int i = 0; i < headers.Count; i++)
        {
            long inner = InnerLength(headers[i], raw[i]);
            length += 1 + CodedOutputStream.ComputeUInt64Size((ulong)inner) + inner;
        }
        model.WriteTo(to);
        var tags = new CodedOutputStream(to, leaveOpen: true);
        tags.WriteTag(7, WireFormat.WireType.LengthDelimited);
        tags.WriteUInt64((ulong)length);
        tags.Flush();
        body.WriteTo(to);
        for (int i = 0; i < headers.Count; i++)
        {
            tags.WriteTag(5, WireFormat.WireType.LengthDelimited);
            tags.WriteUInt64((ulong)InnerLength(headers[i], raw[i]));
            headers[i].WriteTo(tags);
            if (raw[i] is { } tensor)
            {
                tags.WriteTag(9, WireFormat.WireType.LengthDelimited);
                tags.WriteUInt64((ulong)tensor.ByteLength);
            }
            tags.Flush();
            if (raw[i] is { } bytes) Copy(bytes, to, contents);
        }
    }

    private static long InnerLength(TensorProto header, Tensor? raw) =>
        header.CalculateSize() + (raw is null ? 0 : 1 + CodedOutputStream.ComputeUInt64Size((ulong)raw.ByteLength) + raw.ByteLength);

    /// <summary>A node as the file spells it.</summary>
    public static NodeProto Message(Node node)
    {
        var proto = new NodeProto { OpType = node.OpType };
        if (node.Name.Length > 0) proto.Name = node.Name;
        if (node.Domain.Length > 0) proto.Domain = node.Domain;
        proto.Input.AddRange(node.Inputs);
        proto.Output.AddRange(node.Outputs);
        proto.Attribute.AddRange(node.Attributes.Values);
        return proto;
    }

    private static void Copy(Tensor tensor, Stream to, Action<Tensor, Stream>? contents)
    {
        if (tensor.Data is null && tensor.ByteLength > 0)
        {
            if (contents is null) throw new InvalidOperationException($"'{tensor.Name}' has no bytes and nobody makes them");
            contents(tensor, to);
            return;
        }
        const int Piece = 1 << 24;
        for (long at = 0; at < tensor.ByteLength; at += Piece)
        {
            to.Write(new ReadOnlySpan<byte>(tensor.Data + at, (int)Math.Min(Piece, tensor.ByteLength - at)));
        }
    }
}
