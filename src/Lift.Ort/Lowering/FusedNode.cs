using Lift.Ort.Onnx;

namespace Lift.Ort.Lowering;

/// <summary>What a lowering sees of one node: its inputs X as values of the graph to which it appends.</summary>
/// <param name="shared">Values that nodes of one graph have in common (a causal mask), by a key that says what they are.</param>
internal sealed class FusedNode(Graph graph, Node node, Dictionary<string, Var> shared)
{
    public Graph Graph => graph;

    public Node Node => node;

    public Var X(int index = 0) => Maybe(index) ?? throw Refuse($"its input {index} is missing");

    public Var? Maybe(int index) => node.Input(index) is { } name ? graph.Var(name) : null;

    public bool Has(int index) => node.Input(index) is not null;

    /// <summary>What the lowering of another of ONNX Runtime's operators makes of these inputs, with this node's outputs and attributes.</summary>
    /// <param name="change">Changes the attributes.</param>
    public Var?[] Instead(string op, IEnumerable<Var?> inputs, Action<Node>? change = null)
    {
        var other = new Node(op, "com.microsoft", [.. inputs.Select(i => i?.Name ?? "")], node.Outputs, node.Name);
        foreach (AttributeProto attribute in node.Attributes.Values) other.Set(attribute);
        change?.Invoke(other);
        return Lowerings.Find(other.Operator)!(new(graph, other, shared));
    }

    /// <summary>An input that is a table and no weight, also where it is an initializer of the file.</summary>
    public Var Table(int index)
    {
        Var table = X(index);
        if (graph.Initializers.ContainsKey(table.Name)) graph.Buffers.Add(table.Name);
        return table;
    }

    /// <summary>True when somebody may read output <paramref name="index"/>.</summary>
    public bool Wants(int index) => node.Output(index) is not null;

    public long Int(string attribute, long otherwise = 0) => node.Int(attribute, otherwise);

    public float Float(string attribute, float otherwise = 0) => node.Float(attribute, otherwise);

    /// <summary>Writes those of the node's attributes with these names onto another node.</summary>
    public Action<Node> Copy(params string[] names) => to =>
    {
        foreach (string name in names)
            if (node.Attributes.TryGetValue(name, out var attribute)) to.Set(attribute);
    };

    /// <summary>An attribute of 1 or more that the operator cannot do without.</summary>
    public long Count(string attribute) => node.Int(attribute) is > 0 and var count ? count : throw Refuse($"its attribute {attribute} is {(node.Has(attribute) ? node.Int(attribute) : "missing")}");

    /// <summary>The rank of a value that a lowering cannot do without.</summary>
    public int RankOf(Var value) => value.Rank ?? throw Refuse($"the rank of '{value.Name}' could not be inferred");

    /// <summary>An axis, counted from the front.</summary>
    /// <exception cref="LiftException">A value of this rank has no such axis.</exception>
    public int Axis(int rank, string attribute, long otherwise) => node.Int(attribute, otherwise) is var axis && axis >= -rank && axis < rank
        ? (int)(axis < 0 ? axis + rank : axis)
        : throw Refuse($"its {attribute} {axis} is none of a value with {rank} axes");

    /// <summary>The elements of a small integer input that is a constant of the file or folds to one; null otherwise.</summary>
    public long[]? Longs(int index) => node.Input(index) is { } name && graph.TryGetLongs(name, out long[] values) ? values : null;

    /// <summary>The value that an earlier node of this graph made under the same key, or the one that <paramref name="make"/> makes now.</summary>
    public Var Shared(string key, Func<Var> make) => shared.TryGetValue(key, out Var? value) ? value : shared[key] = make();

    /// <summary>The name under which a dimension is the same number in every value that has it: its number, its symbol, or that of one axis of one value.</summary>
    public static string KeyOf(Var x, int axis) => x.Shape?[axis] is { } d && (d.IsKnown || d.Symbol is not null) ? d.ToString() : $"{x.Name}@{axis}";

    /// <summary>Number of elements along <paramref name="axis"/> (from the front), an int64 vector of one.</summary>
    public Var DimOf(Var x, int axis) => x.Shape?[axis].Value is { } n
        ? Shared($"dim {n}", () => graph.Longs(n))
        : Shared($"dim {KeyOf(x, axis)}", () => x.ShapeOf().Slice(axis, axis + 1, 0));

    /// <summary>0, 1, … up to the number of elements along <paramref name="axis"/>, int64.</summary>
    public Var Positions(Var x, int axis) => Shared($"positions {KeyOf(x, axis)}",
        () => graph.Add("Range", [graph.Scalar(0, ElementType.Int64), DimOf(x, axis).Squeeze(0), graph.Scalar(1, ElementType.Int64)]));

    /// <summary>Zeros of the shape and type of <paramref name="x"/>: a constant where the shape is known.</summary>
    public Var ZerosLike(Var x) => x.Shape is { IsStatic: true, Count: <= 1 << 20 } s && x.Element == ElementType.Float
        ? graph.Constant<float>(new float[s.Count!.Value], [.. s.Dims.Select(d => d.Value!.Value)])
        : x * 0;

    /// <summary>The lowest finite number of a type, which takes what it is added to out of a softmax.</summary>
    public static double Lowest(ElementType type) => type switch { ElementType.Float16 => -65504, ElementType.BFloat16 => -3.3e38, _ => float.MinValue };

    public LiftException Refuse(string why) => new($"{node} cannot be written out in standard operators: {why}.");
}
