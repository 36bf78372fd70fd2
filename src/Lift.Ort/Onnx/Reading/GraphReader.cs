using Google.Protobuf;

namespace Lift.Ort.Onnx.Reading;

/// <summary>Builds a <see cref="Graph"/> from a model's messages: names and values as the file has them, Constant nodes as initializers.</summary>
internal sealed class GraphReader(MappedFile file, Skeleton skeleton)
{
    private readonly TensorReader tensors = new(file, skeleton);

    public Graph Read()
    {
        ModelProto model = skeleton.Model;
        GraphProto proto = model.Graph ?? throw new LiftException($"'{file.Path}' is no ONNX model: it has no graph.");
        if (proto.Output.Count == 0) throw new LiftException($"'{file.Path}' has a graph without outputs.");
        if (proto.SparseInitializer.Count > 0) throw new LiftException($"'{file.Path}' has the sparse initializer '{proto.SparseInitializer[0].Values?.Name}'; store it dense.");
        var graph = new Graph { Name = proto.Name, IrVersion = (int)Math.Clamp(model.IrVersion, 0, int.MaxValue), Opset = 1 };
        foreach (var import in model.OpsetImport)
        {
            int version = (int)Math.Clamp(import.Version, 0, int.MaxValue);
            if (import.Domain is "" or "ai.onnx") graph.Opset = version;
            else graph.Domains[import.Domain] = version;
        }

        foreach (var tensor in proto.Initializer.Where(t => t.DataType != (int)ElementType.String)) Define(graph, tensors.Read(tensor, tensor.Name));
        foreach (var input in proto.Input)
        {
            if (input.Type is { ValueCase: not (TypeProto.ValueOneofCase.TensorType or TypeProto.ValueOneofCase.None) })
            {
                throw new LiftException($"Input '{input.Name}' of '{file.Path}' is a {input.Type.ValueCase}; only models whose inputs are tensors can be trained.");
            }
            if (!graph.Initializers.ContainsKey(input.Name)) graph.Inputs.Add(new(input.Name, TypeOf(input)));
        }
        graph.Outputs.AddRange(proto.Output.Select(o => new GraphValue(o.Name, TypeOf(o))));
        var inside = new SubgraphWeights(proto, tensors);
        inside.MoveOut();
        foreach (Tensor weight in inside.Tensors) Define(graph, weight);
        foreach (TensorProto strings in proto.Initializer.Where(t => t.DataType == (int)ElementType.String))
        {
            graph.Nodes.Add(Strings(strings));
            graph.Types[strings.Name] = new(ElementType.String, null);
        }
        var inliner = new FunctionInliner(model, file.Path);
        foreach (var node in inliner.Expand(proto.Node)) Add(graph, node);
        foreach (var function in inliner.Kept)
        {
            foreach (var node in function.Node) Inline(node);
            graph.Functions.Add(function);
        }
        foreach (string domain in graph.Domains.Keys.Where(d => model.Functions.Any(f => f.Domain == d)).ToList())
        {
            if (!graph.Nodes.Any(n => n.Domain == domain) && !graph.Functions.Any(f => f.Domain == domain || f.OpsetImport.Any(o => o.Domain == domain))) graph.Domains.Remove(domain);
        }
        foreach (var hint in proto.ValueInfo) graph.Types.TryAdd(hint.Name, TypeOf(hint)); // believed only where inference knows nothing
        return graph;
    }

    /// <summary>A declared type; dimensions that are zero or negative say nothing.</summary>
    public static TensorType TypeOf(ValueInfoProto value)
    {
        if (value.Type?.TensorType is not { } tensor) return TensorType.Unknown;
        var element = Enum.IsDefined((ElementType)tensor.ElemType) ? (ElementType)tensor.ElemType : ElementType.Undefined;
        return new(element, tensor.Shape is null ? null : new Shape([.. tensor.Shape.Dim.Select(DimOf)]));
    }

    private static Dim DimOf(TensorShapeProto.Types.Dimension d) =>
        d.HasDimValue && d.DimValue > 0 ? d.DimValue : d.HasDimParam && d.DimParam.Length > 0 ? d.DimParam : Dim.Unknown;

    private void Add(Graph graph, NodeProto proto)
    {
        if (proto.OpType == "Constant" && proto.Domain is "" or "ai.onnx" && proto.Output.Count == 1 && ConstantValue(proto) is { } tensor)
        {
            Define(graph, tensor);
            graph.Constants.Add(tensor.Name);
            return;
        }
        Inline(proto);
        graph.Nodes.Add(Node.Of(proto));
    }

    /// <summary>Strings (names of classes) are no tensor here: the initializer becomes a Constant node, which training never reaches.</summary>
    private static Node Strings(TensorProto tensor)
    {
        var node = new Node("Constant", "", [], [tensor.Name], tensor.Name);
        node.Attributes["value"] = new AttributeProto { Name = "value", Type = AttributeProto.Types.AttributeType.Tensor, T = tensor };
        return node;
    }

    private void Define(Graph graph, Tensor tensor)
    {
        if (tensor.Name.Length == 0) throw new LiftException($"'{file.Path}' has an initializer without a name.");
        if (!graph.Initializers.TryAdd(tensor.Name, tensor)) throw new LiftException($"'{file.Path}' defines the value '{tensor.Name}' twice.");
    }

    private Tensor? ConstantValue(NodeProto node) => ConstantValue(node, tensors.Read);

    /// <summary>The tensor that a Constant node stands for; null where it holds strings or a sparse tensor (then the node stays a node).</summary>
    public static Tensor? ConstantValue(NodeProto node, Func<TensorProto, string, Tensor> read)
    {
        string name = node.Output[0];
        AttributeProto? a = node.Attribute.FirstOrDefault(a => a.Name.StartsWith("value", StringComparison.Ordinal));
        return a?.Name switch
        {
            "value" when a.T is not null && a.T.DataType != (int)ElementType.String => read(a.T, name),
            "value_float" => Tensor.Scalar(name, a.F),
            "value_int" => Tensor.Scalar(name, a.I),
            "value_floats" => Tensor.From<float>(name, [.. a.Floats], a.Floats.Count),
            "value_ints" => Tensor.From<long>(name, [.. a.Ints], a.Ints.Count),
            _ => null,
        };
    }

    /// <summary>Puts the bytes back into tensors of attributes and subgraphs, so that those messages are complete by themselves.</summary>
    private void Inline(NodeProto node)
    {
        foreach (var attribute in node.Attribute)
        {
            if (attribute.T is not null) Inline(attribute.T, node);
            foreach (var tensor in attribute.Tensors) Inline(tensor, node);
            foreach (var graph in attribute.G is null ? attribute.Graphs : attribute.Graphs.Append(attribute.G))
            {
                foreach (var tensor in graph.Initializer) Inline(tensor, node);
                foreach (var inner in graph.Node) Inline(inner);
            }
        }
    }

    private void Inline(TensorProto tensor, NodeProto node)
    {
        bool apart = tensor.DataLocation == TensorProto.Types.DataLocation.External || skeleton.TryFind(tensor.RawData.Span, out _, out _);
        if (!apart) return;
        Tensor read = tensors.Read(tensor, tensor.HasName ? tensor.Name : node.Name);
        tensor.RawData = ByteString.CopyFrom(read.AsSpan<byte>());
        tensor.ExternalData.Clear();
        tensor.ClearDataLocation();
    }
}
