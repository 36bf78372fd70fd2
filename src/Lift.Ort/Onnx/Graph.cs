namespace Lift.Ort.Onnx;

/// <summary>A named value at the border of a graph.</summary>
public sealed record GraphValue(string Name, TensorType Type)
{
    /// <summary>What the value is to a decoder, where that was looked for.</summary>
    internal InputRole Role { get; init; }
}

/// <summary>
/// A model's graph in the normal form that <see cref="OnnxFile"/> reads every file into: opset 17 to 21, standard domain spelt "",
/// nodes in topological order, initializers as <see cref="Tensor"/>s (Constant nodes are initializers too), types of all values where they can be inferred.
/// </summary>
public sealed class Graph
{
    private readonly Dictionary<string, int> counters = [];
    private readonly HashSet<string> names = [];
    private bool namesSeen;

    public string Name { get; set; } = "graph";

    /// <summary>Version of the standard operators; 17 to 21 after reading.</summary>
    public int Opset { get; set; } = 17;

    /// <summary>Version in which the nodes inside subgraphs are written; 0 where it is <see cref="Opset"/>. Subgraphs travel as they are until they are unfolded.</summary>
    internal int SubgraphOpset { get; set; }

    public int IrVersion { get; set; } = 8;

    /// <summary>Imported domains other than the standard one, with their versions.</summary>
    public Dictionary<string, int> Domains { get; } = [];

    public List<GraphValue> Inputs { get; } = [];

    public List<GraphValue> Outputs { get; } = [];

    /// <summary>Constants by name, in file order. A name that is also an input of the graph does not occur here.</summary>
    public OrderedDictionary<string, Tensor> Initializers { get; } = [];

    /// <summary>Names of those initializers that the file spells as Constant nodes: numbers of the computation, rarely weights.</summary>
    public HashSet<string> Constants { get; } = [];

    /// <summary>Names of those initializers that are never weights: numbers that a lowering brought along, and tables that a fused operator calls so (cosines, sines).</summary>
    internal HashSet<string> Buffers { get; } = [];

    public List<Node> Nodes { get; } = [];

    /// <summary>Values through which no gradient passes, whatever their operator; see <see cref="GraphOps.Detach"/>.</summary>
    internal HashSet<string> Detached { get; } = [];

    public List<FunctionProto> Functions { get; } = [];

    /// <summary>What is known of each value (inputs, initializers, node outputs), by name; filled by <see cref="ShapeInference"/>.</summary>
    public Dictionary<string, TensorType> Types { get; } = [];

    /// <summary>Elements of small integer values (shapes, axes) as far as they are known, by name; filled by <see cref="ShapeInference"/>.</summary>
    internal Dictionary<string, Dim[]> Contents { get; } = [];

    /// <summary>The type of a value, <see cref="TensorType.Unknown"/> where nothing is known.</summary>
    public TensorType TypeOf(string name) =>
        Types.TryGetValue(name, out var type) ? type : Initializers.TryGetValue(name, out var tensor) ? tensor.TensorType : TensorType.Unknown;

    /// <summary>
    /// The elements of an integer or bool value that is an initializer, or that shape arithmetic folds to numbers. False when it depends on the run.
    /// </summary>
    public bool TryGetLongs(string name, out long[] values)
    {
        values = ContentOf(name) is { } content && content.All(d => d.IsKnown) ? [.. content.Select(d => d.Value!.Value)] : [];
        return values.Length > 0 || (ContentOf(name) is { Length: 0 });
    }

    /// <summary>The elements of an integer or bool value of rank 0 or 1 as numbers or symbols, unknown ones included; null when nothing is known of them.</summary>
    internal Dim[]? ContentOf(string name) => TypeOf(name).Rank > 1 ? null : ElementsOf(name);

    /// <summary>As <see cref="ContentOf"/> for any rank, row by row.</summary>
    internal Dim[]? ElementsOf(string name)
    {
        if (!Initializers.TryGetValue(name, out Tensor? tensor)) return Contents.GetValueOrDefault(name);
        if (tensor.Count > Inference.Inferred.MaxContent) return null;
        return tensor.Type switch
        {
            ElementType.Int64 or ElementType.Int32 => Array.ConvertAll(tensor.ToLongs(), v => (Dim)v),
            ElementType.Bool => Array.ConvertAll(tensor.AsSpan<byte>().ToArray(), v => (Dim)(v == 0 ? 0 : 1)),
            _ => null,
        };
    }

    /// <summary>What names of values begin with that are made without a name of their own; null where <see cref="Add"/> names them after their operator.</summary>
    internal string? Scope { get; set; }

    public Var Var(string name) => new(this, name);

    /// <summary>A name that no value of this graph has: <paramref name="stem"/>, or the stem with a number.</summary>
    public string NewName(string stem)
    {
        if (!namesSeen) ReserveNames();
        string name = stem;
        while (!names.Add(name)) name = $"{stem}_{counters[stem] = counters.GetValueOrDefault(stem) + 1}";
        return name;
    }

    /// <summary>Takes note of all names in use; <see cref="NewName"/> does it by itself, once, so call this before nodes are taken out for a while.</summary>
    internal void ReserveNames()
    {
        names.UnionWith(Inputs.Select(i => i.Name));
        names.UnionWith(Outputs.Select(o => o.Name));
        names.UnionWith(Initializers.Keys);
        foreach (Node node in Nodes) names.UnionWith(node.Outputs);
        namesSeen = true;
    }

    /// <summary>Appends a node with one new output and returns that output, its type inferred where possible.</summary>
    public Var Add(string opType, IEnumerable<Var?> inputs, Action<Node>? attributes = null, string domain = "", string? output = null) =>
        AddMany(opType, 1, inputs, attributes, domain, output)[0];

    /// <summary>Appends a node with <paramref name="outputs"/> new outputs.</summary>
    public Var[] AddMany(string opType, int outputs, IEnumerable<Var?> inputs, Action<Node>? attributes = null, string domain = "", string? output = null)
    {
        string stem = NewName(output ?? (Scope is null ? $"{opType}_grad_out" : $"{Scope}/{opType}"));
        string[] results = [stem, .. Enumerable.Range(1, outputs - 1).Select(i => NewName($"{stem}.{i}"))];
        var node = new Node(opType, domain, inputs.Select(v => v?.Name ?? ""), results, results[0]);
        attributes?.Invoke(node);
        Nodes.Add(node);
        if (domain.Length > 0) Domains.TryAdd(domain, 1);
        ShapeInference.Infer(this, node);
        return [.. results.Select(Var)];
    }

    /// <summary>Adds a constant and returns it as a value.</summary>
    public Var Constant<T>(ReadOnlySpan<T> values, long[]? dims = null, string stem = "const") where T : unmanaged
    {
        string name = NewName(Scope is null ? stem : $"{Scope}/{stem}");
        Tensor tensor = Tensor.From(name, values, dims ?? [values.Length]);
        Initializers.Add(name, tensor);
        if (Scope is not null) Buffers.Add(name);
        Types[name] = tensor.TensorType;
        return Var(name);
    }

    /// <summary>A copy whose lists can be changed without touching this graph; tensors' bytes are shared.</summary>
    public Graph Clone()
    {
        var copy = new Graph { Name = Name, Opset = Opset, SubgraphOpset = SubgraphOpset, IrVersion = IrVersion };
        foreach (var (k, v) in Domains) copy.Domains[k] = v;
        copy.Inputs.AddRange(Inputs);
        copy.Outputs.AddRange(Outputs);
        foreach (var (k, v) in Initializers) copy.Initializers.Add(k, v);
        copy.Constants.UnionWith(Constants);
        copy.Buffers.UnionWith(Buffers);
        copy.Detached.UnionWith(Detached);
        copy.Nodes.AddRange(Nodes.Select(n => n.Clone()));
        copy.Functions.AddRange(Functions);
        foreach (var (k, v) in Types) copy.Types[k] = v;
        foreach (var (k, v) in Contents) copy.Contents[k] = v;
        return copy;
    }
}
