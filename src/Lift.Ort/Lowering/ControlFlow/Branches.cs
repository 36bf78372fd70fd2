using Google.Protobuf;
using Lift.Ort.Onnx;
using Lift.Ort.Onnx.Opsets;
using Lift.Ort.Onnx.Reading;
using Lift.Ort.Onnx.Writing;

namespace Lift.Ort.Lowering.ControlFlow;

/// <summary>A branch of an If as a graph of its own, and a graph as a branch.</summary>
internal static class Branches
{
    /// <summary>The branches of an If, in the order in which ONNX names them.</summary>
    public static readonly IReadOnlyList<string> Names = ["then_branch", "else_branch"];

    /// <summary>The message of a branch.</summary>
    /// <exception cref="LiftException">The node has none.</exception>
    public static GraphProto Of(Node node, string branch) => node.Attributes.GetValueOrDefault(branch)?.G ?? throw new LiftException($"{node} has no {branch}; export the model again.");

    /// <summary>A branch as a graph: in the forms of the graph around it, fused operators written out; what it takes from outside has its type and no maker.</summary>
    /// <exception cref="LiftException">The branch reads what nobody computed before.</exception>
    public static Graph Open(Graph outer, Node node, GraphProto body)
    {
        var inner = new Graph { Opset = outer.Opset, SubgraphOpset = outer.SubgraphOpset, Name = body.Name };
        foreach (var (domain, version) in outer.Domains) inner.Domains[domain] = version;
        foreach (string name in SubgraphNames.Captured(body)) Take(inner, outer, name);
        var (nodes, outputs) = Subgraph.Inline(inner, node, body, new Dictionary<string, string>());
        foreach (Node n in nodes)
        {
            List<Node> converted = outer.SubgraphOpset == 0 || n.Subgraphs.Any() ? [n] : OpsetConverter.Convert(inner, n, outer.SubgraphOpset, "the model");
            foreach (Node c in converted)
            {
                inner.Nodes.Add(c);
                ShapeInference.Infer(inner, c);
            }
        }
        inner.Outputs.AddRange(outputs.Select(o => new GraphValue(o, inner.TypeOf(o))));
        return LoweredGraph.Of(inner);
    }

    /// <summary>Lets a branch read a value of the graph around it.</summary>
    public static Var Take(Graph inner, Graph outer, string name)
    {
        inner.NewName(name); // nothing inside gets this name
        inner.Types[name] = outer.TypeOf(name);
        if (outer.ContentOf(name) is { } content) inner.Contents[name] = content;
        return inner.Var(name);
    }

    /// <summary>A graph as a branch of a node of <paramref name="outer"/>: its values get names that nobody there has.</summary>
    public static GraphProto Close(Graph outer, Graph inner, string name)
    {
        HashSet<string> own = [.. inner.Nodes.SelectMany(n => n.Outputs).Where(o => o.Length > 0)];
        foreach (int i in Enumerable.Range(0, inner.Outputs.Count)) // ONNX Runtime refuses an output from outside, and one given twice
        {
            GraphValue output = inner.Outputs[i];
            if (own.Contains(output.Name) && inner.Outputs.FindIndex(o => o.Name == output.Name) == i) continue;
            Var copy = inner.Var(output.Name).Identity();
            inner.Outputs[i] = output with { Name = copy.Name };
            own.Add(copy.Name);
        }
        Dictionary<string, string> names = own.Concat(inner.Initializers.Keys).ToDictionary(n => n, n => outer.NewName($"{name}/{n}"));
        var body = new GraphProto { Name = name };
        foreach (Tensor tensor in inner.Initializers.Values)
        {
            var proto = new TensorProto { Name = names[tensor.Name], DataType = (int)tensor.Type, RawData = ByteString.CopyFrom(tensor.AsSpan<byte>()) };
            proto.Dims.AddRange(tensor.Dims);
            body.Initializer.Add(proto);
        }
        foreach (Node node in inner.Nodes)
        {
            NodeProto proto = GraphWriter.Message(node).Clone();
            for (int i = 0; i < proto.Input.Count; i++) proto.Input[i] = names.GetValueOrDefault(proto.Input[i], proto.Input[i]);
            for (int i = 0; i < proto.Output.Count; i++) proto.Output[i] = names.GetValueOrDefault(proto.Output[i], proto.Output[i]);
            foreach (GraphProto g in proto.Attribute.SelectMany(SubgraphNames.Of)) SubgraphNames.Rename(g, names);
            proto.Name = proto.Output.First(o => o.Length > 0);
            body.Node.Add(proto);
        }
        body.Output.AddRange(inner.Outputs.Select(o => GraphWriter.Value(new(names[o.Name], new(o.Type.Element, null)))));
        return body;
    }
}
