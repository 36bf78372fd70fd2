namespace Lift.Ort.Onnx.Inference;

/// <summary>One node as an inference rule sees it: types and small contents of its inputs, and where to put those of its outputs.</summary>
internal sealed class Inferred(Graph graph, Node node)
{
    /// <summary>Contents of more elements than this are data, not shapes.</summary>
    public const int MaxContent = 256;

    public Graph Graph => graph;

    public Node Node => node;

    public int InputCount => node.Inputs.Count;

    public bool Has(int input) => node.Input(input) is not null;

    public TensorType X(int input) => node.Input(input) is { } name ? graph.TypeOf(name) : TensorType.Unknown;

    public ElementType Element(int input = 0) => X(input).Element;

    public Shape? Shape(int input = 0) => X(input).Shape;

    /// <summary>An axis attribute counted from the front, or null when the rank is unknown or the axis outside of it.</summary>
    public int? Axis(long otherwise, int? rank, string attribute = "axis") => Axis(node.Int(attribute, otherwise), rank);

    public static int? Axis(long axis, int? rank) => rank is { } r && axis >= -r && axis < r ? (int)(axis < 0 ? axis + r : axis) : null;

    /// <summary>The elements of an integer or bool input of rank 0 or 1, as far as they are known.</summary>
    public Dim[]? Content(int input) => node.Input(input) is { } name ? graph.ContentOf(name) : null;

    /// <summary>As <see cref="Content(int)"/> for any rank, row by row: for rules that keep track of the order.</summary>
    public Dim[]? Elements(int input) => node.Input(input) is { } name ? graph.ElementsOf(name) : null;

    /// <summary>The elements of an integer input when all are numbers.</summary>
    public long[]? Longs(int input) => node.Input(input) is { } name && graph.TryGetLongs(name, out long[] values) ? values : null;

    /// <summary>Axes from input <paramref name="input"/> or, in older forms, from the attribute. Given = false when neither is there.</summary>
    public (bool Given, long[]? Values) Axes(int input, string attribute = "axes") =>
        node.Ints(attribute) is { } values ? (true, values) : Has(input) ? (true, Longs(input)) : (false, null);

    /// <summary>Records an output's type. Of what the file declares (or was inferred before), only element type and rank are believed, and only where the rule knows nothing.</summary>
    public void Y(ElementType element, Shape? shape, int output = 0)
    {
        if (node.Output(output) is not { } name) return;
        TensorType before = graph.Types.GetValueOrDefault(name, TensorType.Unknown);
        if (element == ElementType.Undefined) element = before.Element;
        if (shape is null && before.Rank is { } rank) shape = new Shape([.. new Dim[rank]]);
        graph.Types[name] = new(element, Named(name, shape));
    }

    public void Y(TensorType type, int output = 0) => Y(type.Element, type.Shape, output);

    public void Content(Dim[]? values, int output = 0)
    {
        if (node.Output(output) is { } name && values is { Length: <= MaxContent } && values.Any(v => v.IsKnown || v.Symbol is not null)) graph.Contents[name] = values;
    }

    /// <summary>A dimension nobody knows is still one number per run: it is named after its value.</summary>
    public static Shape? Named(string name, Shape? shape) =>
        shape is null ? null : new([.. shape.Dims.Select((d, i) => d.IsKnown || d.Symbol is not null ? d : $"dim({name},{i})")]);
}

/// <summary>Marks an inference rule and names its operators, as <see cref="Node.Operator"/> spells them.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class InfersAttribute(params string[] operators) : Attribute
{
    public IReadOnlyList<string> Operators { get; } = operators;
}
