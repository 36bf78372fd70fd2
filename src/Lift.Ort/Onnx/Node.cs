using Google.Protobuf;
using Lift.Ort.Onnx.Reading;

namespace Lift.Ort.Onnx;

/// <summary>One operation of a graph. An empty input or output name means "not given", as in ONNX.</summary>
public sealed class Node(string opType, string domain, IEnumerable<string> inputs, IEnumerable<string> outputs, string name = "")
{
    /// <summary>A node as a file spells it.</summary>
    internal static Node Of(NodeProto proto)
    {
        var node = new Node(proto.OpType, proto.Domain, proto.Input, proto.Output, proto.Name);
        foreach (AttributeProto attribute in proto.Attribute) node.Attributes[attribute.Name] = attribute;
        return node;
    }

    public string OpType { get; set; } = opType;

    /// <summary>"" for standard ONNX operators ("ai.onnx" is normalised to it), "com.microsoft" for ONNX Runtime's.</summary>
    public string Domain { get; set; } = domain == "ai.onnx" ? "" : domain;

    public string Name { get; set; } = name;

    public List<string> Inputs { get; } = [.. inputs];

    public List<string> Outputs { get; } = [.. outputs];

    public Dictionary<string, AttributeProto> Attributes { get; } = [];

    /// <summary>The operator as tables spell it: "MatMul", "com.microsoft.FusedMatMul".</summary>
    public string Operator => Domain.Length == 0 ? OpType : $"{Domain}.{OpType}";

    /// <summary>The name of input <paramref name="index"/>, or null where it is absent or empty.</summary>
    public string? Input(int index) => index < Inputs.Count && Inputs[index].Length > 0 ? Inputs[index] : null;

    /// <summary>The name of output <paramref name="index"/>, or null where it is absent or empty.</summary>
    public string? Output(int index) => index < Outputs.Count && Outputs[index].Length > 0 ? Outputs[index] : null;

    /// <summary>The subgraphs of If, Loop and Scan.</summary>
    internal IEnumerable<GraphProto> Subgraphs => Attributes.Values.SelectMany(SubgraphNames.Of);

    /// <summary>Values that subgraphs of this node take from outside without being among its inputs.</summary>
    internal IEnumerable<string> Captured => Subgraphs.SelectMany(SubgraphNames.Captured).Distinct();

    /// <summary>All values that the node reads: its inputs, and what its subgraphs take from outside.</summary>
    internal IEnumerable<string> Reads => Attributes.Count == 0 ? Inputs : Inputs.Concat(Captured);

    public bool Has(string attribute) => Attributes.ContainsKey(attribute);

    public long Int(string attribute, long otherwise = 0) => Attributes.TryGetValue(attribute, out var a) ? a.I : otherwise;

    public float Float(string attribute, float otherwise = 0) => Attributes.TryGetValue(attribute, out var a) ? a.F : otherwise;

    public string String(string attribute, string otherwise = "") => Attributes.TryGetValue(attribute, out var a) ? a.S.ToStringUtf8() : otherwise;

    public long[]? Ints(string attribute) => Attributes.TryGetValue(attribute, out var a) ? [.. a.Ints] : null;

    public Node With(string attribute, long value) => Set(new() { Name = attribute, Type = AttributeProto.Types.AttributeType.Int, I = value });

    public Node With(string attribute, float value) => Set(new() { Name = attribute, Type = AttributeProto.Types.AttributeType.Float, F = value });

    public Node With(string attribute, string value) =>
        Set(new() { Name = attribute, Type = AttributeProto.Types.AttributeType.String, S = ByteString.CopyFromUtf8(value) });

    public Node With(string attribute, IEnumerable<long> values)
    {
        var a = new AttributeProto { Name = attribute, Type = AttributeProto.Types.AttributeType.Ints };
        a.Ints.AddRange(values);
        return Set(a);
    }

    public Node Set(AttributeProto attribute)
    {
        Attributes[attribute.Name] = attribute;
        return this;
    }

    /// <summary>A copy that shares nothing changeable but the attribute values.</summary>
    public Node Clone()
    {
        var copy = new Node(OpType, Domain, Inputs, Outputs, Name);
        foreach (var (key, value) in Attributes) copy.Attributes[key] = value;
        return copy;
    }

    /// <summary>How errors name a node: <c>MatMul '/layers.0/q/MatMul'</c>.</summary>
    public override string ToString() => Name.Length > 0 ? $"{Operator} '{Name}'" : $"{Operator} (output '{Outputs.FirstOrDefault()}')";
}
