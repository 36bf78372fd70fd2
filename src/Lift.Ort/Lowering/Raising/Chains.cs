using Lift.Ort.Onnx;

namespace Lift.Ort.Lowering.Raising;

/// <summary>A graph as patterns see it: who makes a value, what scalars hold.</summary>
internal sealed class Chains
{
    private readonly Dictionary<string, Node> makers = [];
    private readonly Dictionary<string, int> readers = [];

    public Chains(Graph graph)
    {
        Graph = graph;
        foreach (Node node in graph.Nodes)
        {
            foreach (string output in node.Outputs.Where(o => o.Length > 0)) makers[output] = node;
            foreach (string input in node.Reads) Count(input, 1);
        }
        foreach (GraphValue output in graph.Outputs) Count(output.Name, 1);
    }

    public Graph Graph { get; }

    /// <summary>True when no node and no output of the graph reads the value any more.</summary>
    public bool IsDead(string value) => readers.GetValueOrDefault(value) <= 0;

    /// <summary>The node that makes a value, seen through copies and casts to the type that the value has; null for inputs and constants.</summary>
    public Node? Maker(string value)
    {
        if (!makers.TryGetValue(value, out Node? node)) return null;
        bool copies = node.OpType == "Identity" || (node.OpType == "Cast" && Graph.TypeOf(node.Inputs[0]).Element is var from && from != ElementType.Undefined && from == (ElementType)node.Int("to"));
        return copies && node.Domain.Length == 0 ? Maker(node.Inputs[0]) ?? node : node;
    }

    /// <summary>The node of this standard operator that makes a value, or null.</summary>
    public Node? Maker(string value, string op) => Maker(value) is { Domain.Length: 0 } node && node.OpType == op ? node : null;

    /// <summary>The value behind copies and casts to its own type.</summary>
    public string Source(string value)
    {
        while (makers.TryGetValue(value, out Node? node) && node.Domain.Length == 0 && (node.OpType == "Identity" || (node.OpType == "Cast" && Graph.TypeOf(node.Inputs[0]).Element == (ElementType)node.Int("to")))) value = node.Inputs[0];
        return value;
    }

    public bool Same(string a, string b) => Source(a) == Source(b);

    /// <summary>The number that a constant of one float element holds, or null.</summary>
    public double? Number(string value) =>
        Graph.Initializers.TryGetValue(Source(value), out Tensor? t) && t.Count == 1 && t.Type is ElementType.Float or ElementType.Int64 or ElementType.Int32 ? Read(Graph.Initializers[Source(value)]) : null;

    /// <summary>The number beside the other input of a node with two inputs, and that other input.</summary>
    public (double Number, string Other)? Scalar(Node node)
    {
        if (node.Inputs.Count != 2) return null;
        if (Number(node.Inputs[1]) is { } second) return (second, node.Inputs[0]);
        return Number(node.Inputs[0]) is { } first ? (first, node.Inputs[1]) : null;
    }

    /// <summary>Both orders of the inputs of a node with two.</summary>
    public static IEnumerable<(string First, string Second)> Orders(Node node) =>
        node.Inputs.Count != 2 ? [] : [(node.Inputs[0], node.Inputs[1]), (node.Inputs[1], node.Inputs[0])];

    /// <summary>True for the mean of <paramref name="node"/>'s input over its last axis alone, which stays as 1.</summary>
    public bool IsMeanOfLast(Node node)
    {
        long[]? axes = node.Ints("axes") ?? (node.Input(1) is { } input && Graph.TryGetLongs(input, out long[] values) ? values : null);
        return axes is [var axis] && (axis == -1 || axis + 1 == Graph.TypeOf(node.Inputs[0]).Rank) && node.Int("keepdims", 1) == 1;
    }

    /// <summary>The width of a float32 value whose last axis a scale or a bias of this one axis goes with; false where that is not certain.</summary>
    public bool GoesWithLastAxis(string scale, string x)
    {
        TensorType s = Graph.TypeOf(scale), of = Graph.TypeOf(x);
        return of.Element == ElementType.Float && s.Element == ElementType.Float && s.Shape is { Rank: 1 } && of.Shape is { Rank: > 0 } shape && s.Shape[0].SameAs(shape[-1]);
    }

    public void Replace(Node last, Node made)
    {
        foreach (string input in made.Reads) Count(input, 1);
        Release(last);
        makers[made.Outputs[0]] = made;
    }

    /// <summary>A node that nobody reads takes its own reading back, and so on upwards.</summary>
    private void Release(Node node)
    {
        foreach (string input in node.Reads)
        {
            Count(input, -1);
            if (IsDead(input) && makers.TryGetValue(input, out Node? maker) && maker.Outputs.All(o => o.Length == 0 || IsDead(o))) Release(maker);
        }
    }

    private void Count(string value, int by) => readers[value] = readers.GetValueOrDefault(value) + by;

    private static double Read(Tensor t) => t.Type == ElementType.Float ? t.ToFloats()[0] : t.ToLongs()[0];
}
