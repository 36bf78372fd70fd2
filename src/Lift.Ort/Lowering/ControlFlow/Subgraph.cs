using Lift.Ort.Onnx;
using Lift.Ort.Onnx.Reading;

namespace Lift.Ort.Lowering.ControlFlow;

/// <summary>A branch or body that is put into the graph around it: its values get names that nobody has, its constants become initializers.</summary>
internal static class Subgraph
{
    /// <summary>The nodes of a subgraph as nodes of <paramref name="graph"/>, in order.</summary>
    /// <param name="owner">The node that the subgraph belongs to.</param>
    /// <param name="inputs">What stands for the subgraph's inputs, by their names.</param>
    /// <param name="results">Names that the subgraph's outputs shall have; null where any name will do.</param>
    /// <returns>The nodes, and the names of the outputs.</returns>
    /// <exception cref="LiftException">The subgraph reads what nobody computed before.</exception>
    public static (List<Node> Nodes, string[] Outputs) Inline(Graph graph, Node owner, GraphProto body, IReadOnlyDictionary<string, string> inputs, IReadOnlyList<string?>? results = null)
    {
        var names = new Dictionary<string, string>(inputs);
        string where = $"the subgraph of {owner}";
        for (int i = 0; i < body.Output.Count; i++)
        {
            string inner = body.Output[i].Name;
            if (results?.ElementAtOrDefault(i) is { Length: > 0 } wanted && !names.ContainsKey(inner) && body.Node.Any(n => n.Output.Contains(inner) && !IsConstant(n))) names[inner] = wanted;
        }
        var ready = new HashSet<string>(inputs.Keys);
        foreach (TensorProto tensor in body.Initializer.Where(t => !inputs.ContainsKey(t.Name))) AddConstant(TensorReader.Copy(tensor, tensor.Name, where));
        var nodes = new List<Node>();
        HashSet<string> own = [.. body.Node.SelectMany(n => n.Output)];
        foreach (NodeProto proto in body.Node)
        {
            if (IsConstant(proto) && GraphReader.ConstantValue(proto, (t, name) => TensorReader.Copy(t, name, where)) is { } value)
            {
                AddConstant(value);
                continue;
            }
            NodeProto copy = proto.Clone();
            var inner = copy.Attribute.SelectMany(SubgraphNames.Of).ToList();
            if (copy.Input.Concat(inner.SelectMany(SubgraphNames.Captured)).FirstOrDefault(i => own.Contains(i) && !ready.Contains(i)) is { } early)
                throw new LiftException($"{Node.Of(proto)} in {where} reads '{early}' before it is computed; export the model again.");
            for (int i = 0; i < copy.Input.Count; i++) copy.Input[i] = names.GetValueOrDefault(copy.Input[i], copy.Input[i]);
            foreach (GraphProto g in inner) SubgraphNames.Rename(g, names);
            for (int i = 0; i < copy.Output.Count; i++)
            {
                string output = copy.Output[i];
                if (output.Length == 0) continue;
                if (!ready.Add(output)) throw new LiftException($"{Node.Of(proto)} in {where} computes '{output}' a second time; export the model again.");
                if (!names.ContainsKey(output)) names[output] = graph.NewName(output);
                copy.Output[i] = names[output];
            }
            nodes.Add(Node.Of(copy));
        }

        var outputs = new string[body.Output.Count];
        for (int i = 0; i < outputs.Length; i++)
        {
            outputs[i] = names.GetValueOrDefault(body.Output[i].Name, body.Output[i].Name);
            if (results?.ElementAtOrDefault(i) is not { Length: > 0 } wanted || wanted == outputs[i]) continue;
            nodes.Add(new Node("Identity", "", [outputs[i]], [wanted], wanted));
            outputs[i] = wanted;
        }
        return (nodes, outputs);

        void AddConstant(Tensor tensor)
        {
            ready.Add(tensor.Name);
            string name = names[tensor.Name] = graph.NewName(tensor.Name);
            graph.Initializers.Add(name, tensor.Rename(name));
            graph.Buffers.Add(name);
            graph.Types[name] = tensor.TensorType;
        }
    }

    private static bool IsConstant(NodeProto node) => node.OpType == "Constant" && node.Domain is "" or "ai.onnx" && node.Output.Count == 1;
}
