namespace Lift.Ort.Onnx.Reading;

/// <summary>
/// Replaces calls of a model's own functions by their bodies, so that rules see standard operators. Functions of ONNX's and ONNX Runtime's domains stay
/// (they are fallbacks for operators with meaning of their own), and so do functions written for another opset than the model's.
/// </summary>
internal sealed class FunctionInliner
{
    private const int MaxDepth = 64, MaxNodes = 1_000_000;

    private readonly ModelProto model;
    private readonly string path;
    private readonly Dictionary<(string Domain, string Name, string Overload), FunctionProto> functions = [];
    private readonly HashSet<string> names = [], nodeNames = [];
    private int made;

    public FunctionInliner(ModelProto model, string path)
    {
        (this.model, this.path) = (model, path);
        foreach (FunctionProto f in model.Functions.Where(CanInline)) functions[(f.Domain, f.Name, f.Overload)] = f;
        if (functions.Count == 0) return;
        names.UnionWith(model.Graph.Input.Select(i => i.Name));
        names.UnionWith(model.Graph.Initializer.Select(i => i.Name));
        nodeNames.UnionWith(model.Graph.Node.Select(n => n.Name));
        Take(model.Graph);
    }

    /// <summary>The functions that are still called by name afterwards.</summary>
    public IEnumerable<FunctionProto> Kept => model.Functions.Where(f => !functions.ContainsKey((f.Domain, f.Name, f.Overload)));

    public IEnumerable<NodeProto> Expand(IEnumerable<NodeProto> nodes, int depth = 0) =>
        nodes.SelectMany(n => functions.TryGetValue((n.Domain, n.OpType, n.Overload), out var f) ? Expand(Body(n, f, depth), depth + 1) : [ExpandInside(n, depth)]);

    /// <summary>Calls inside a node's subgraphs.</summary>
    private NodeProto ExpandInside(NodeProto node, int depth)
    {
        if (functions.Count == 0) return node;
        foreach (GraphProto graph in node.Attribute.SelectMany(SubgraphNames.Of))
        {
            NodeProto[] expanded = [.. Expand(graph.Node.ToArray(), depth)];
            graph.Node.Clear();
            graph.Node.AddRange(expanded);
        }
        return node;
    }

    private void Take(GraphProto graph)
    {
        names.UnionWith(graph.Node.SelectMany(n => n.Output));
        foreach (GraphProto inner in graph.Node.SelectMany(n => n.Attribute).SelectMany(SubgraphNames.Of)) Take(inner);
    }

    private bool CanInline(FunctionProto f)
    {
        if (f.Domain is "" or "ai.onnx" || f.Domain.StartsWith("com.microsoft", StringComparison.Ordinal)) return false;
        return f.OpsetImport.All(own => model.OpsetImport.FirstOrDefault(o => Standard(o.Domain) == Standard(own.Domain)) is not { } whole || whole.Version == own.Version);
    }

    private static string Standard(string domain) => domain == "ai.onnx" ? "" : domain;

    private IEnumerable<NodeProto> Body(NodeProto call, FunctionProto f, int depth)
    {
        if (depth > MaxDepth || (made += f.Node.Count) > MaxNodes) throw new LiftException($"Function '{f.Domain}.{f.Name}' of '{path}' calls itself or unfolds to more than {MaxNodes} nodes.");
        string prefix = call.Name.Length > 0 ? call.Name : call.Output.FirstOrDefault() ?? f.Name;
        var renamed = new Dictionary<string, string> { [""] = "" };
        for (int i = 0; i < f.Input.Count; i++) renamed[f.Input[i]] = i < call.Input.Count ? call.Input[i] : "";
        for (int i = 0; i < f.Output.Count; i++)
        {
            bool wanted = i < call.Output.Count && call.Output[i].Length > 0;
            renamed.TryAdd(f.Output[i], wanted ? call.Output[i] : Unused(names, $"{prefix}/{f.Output[i]}"));
        }
        foreach (string inner in f.Node.SelectMany(n => n.Output).Where(o => !renamed.ContainsKey(o))) renamed[inner] = Unused(names, $"{prefix}/{inner}");
        var given = f.AttributeProto.Concat(call.Attribute).GroupBy(a => a.Name).ToDictionary(g => g.Key, g => g.Last());
        foreach (NodeProto node in f.Node)
        {
            NodeProto copy = Renamed(node, renamed, given);
            copy.Name = Unused(nodeNames, $"{prefix}/{(node.Name.Length > 0 ? node.Name : node.OpType)}");
            yield return copy;
        }
    }

    private static NodeProto Renamed(NodeProto node, IReadOnlyDictionary<string, string> renamed, Dictionary<string, AttributeProto> given)
    {
        NodeProto copy = node.Clone();
        for (int i = 0; i < copy.Input.Count; i++) copy.Input[i] = renamed.GetValueOrDefault(copy.Input[i], copy.Input[i]);
        for (int i = 0; i < copy.Output.Count; i++) copy.Output[i] = renamed.GetValueOrDefault(copy.Output[i], copy.Output[i]);
        copy.Attribute.Clear();
        foreach (AttributeProto attribute in node.Attribute)
        {
            if (attribute.RefAttrName.Length > 0 && !given.ContainsKey(attribute.RefAttrName)) continue; // not given by the call: the operator's default holds
            AttributeProto value = (attribute.RefAttrName.Length > 0 ? given[attribute.RefAttrName] : attribute).Clone();
            value.Name = attribute.Name;
            foreach (GraphProto graph in SubgraphNames.Of(value)) Rename(graph, renamed, given);
            copy.Attribute.Add(value);
        }
        return copy;
    }

    /// <summary>In a subgraph only what it takes from outside is renamed; its own names hide the function's.</summary>
    private static void Rename(GraphProto graph, IReadOnlyDictionary<string, string> renamed, Dictionary<string, AttributeProto> given)
    {
        var own = new HashSet<string>([.. graph.Input.Select(i => i.Name), .. graph.Initializer.Select(i => i.Name), .. graph.Node.SelectMany(n => n.Output)]);
        var outside = renamed.Where(r => !own.Contains(r.Key)).ToDictionary();
        for (int i = 0; i < graph.Node.Count; i++) graph.Node[i] = Renamed(graph.Node[i], outside, given);
        foreach (ValueInfoProto output in graph.Output) output.Name = outside.GetValueOrDefault(output.Name, output.Name);
    }

    private static string Unused(HashSet<string> taken, string stem)
    {
        string name = stem;
        for (int i = 1; !taken.Add(name); i++) name = $"{stem}_{i}";
        return name;
    }
}
