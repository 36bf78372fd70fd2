using Lift.Ort.Onnx;

namespace Lift.Ort.Lowering.ControlFlow;

/// <summary>Numbers that a graph computes from constants and from shapes only: what conditions and counts of control flow are made of.</summary>
internal sealed class KnownNumbers
{
    private const int Most = 256;

    private readonly Graph graph;
    private readonly Dictionary<string, Node> makers = [];
    private readonly Dictionary<string, double[]?> known = [];

    public KnownNumbers(Graph graph)
    {
        this.graph = graph;
        foreach (Node node in graph.Nodes) Add(node);
    }

    /// <summary>Takes note of a node that was put into the graph.</summary>
    public void Add(Node node)
    {
        foreach (string output in node.Outputs) makers[output] = node;
    }

    /// <summary>The elements of a value, or null where they depend on the run.</summary>
    public double[]? Of(string name, int depth = 0)
    {
        if (known.TryGetValue(name, out double[]? values)) return values;
        if (depth > 64) return null;
        return known[name] = graph.TryGetLongs(name, out long[] longs) ? Array.ConvertAll(longs, v => (double)v)
            : graph.Initializers.TryGetValue(name, out Tensor? tensor) ? Read(tensor)
            : makers.TryGetValue(name, out Node? node) ? Compute(node, depth) : null;
    }

    private static double[]? Read(Tensor tensor) => tensor.Count > Most || tensor.Type is not (ElementType.Float or ElementType.Double or ElementType.Float16 or ElementType.Int64 or ElementType.Int32 or ElementType.Bool or ElementType.UInt8 or ElementType.Int8)
        ? null : tensor.Type is ElementType.Int64 or ElementType.Int32 ? Array.ConvertAll(tensor.ToLongs(), v => (double)v) : Array.ConvertAll(tensor.ToFloats(), v => (double)v);

    private double[]? Compute(Node node, int depth)
    {
        if (node.Domain.Length > 0 || node.Outputs.Count != 1) return null;
        var x = new double[node.Inputs.Count][];
        for (int i = 0; i < x.Length; i++)
        {
            if (node.Input(i) is not { } input || Of(input, depth + 1) is not { } values) return null;
            x[i] = values;
        }
        return node.OpType switch
        {
            "Identity" or "Reshape" or "Squeeze" or "Unsqueeze" or "Flatten" => x[0],
            "Cast" => Cast(x[0], (ElementType)node.Int("to")),
            "Not" => Array.ConvertAll(x[0], v => v == 0 ? 1.0 : 0),
            "Neg" => Array.ConvertAll(x[0], v => -v),
            "Abs" => Array.ConvertAll(x[0], Math.Abs),
            "Sign" => Array.ConvertAll(x[0], v => (double)Math.Sign(v)),
            "ReduceMax" when x.Length == 1 && !node.Has("axes") && x[0].Length > 0 => [x[0].Max()],
            "ReduceMin" when x.Length == 1 && !node.Has("axes") && x[0].Length > 0 => [x[0].Min()],
            "ReduceSum" when x.Length == 1 && node.Int("noop_with_empty_axes") == 0 => [x[0].Sum()],
            "Greater" => Zip(x, (a, b) => a > b ? 1 : 0),
            "GreaterOrEqual" => Zip(x, (a, b) => a >= b ? 1 : 0),
            "Less" => Zip(x, (a, b) => a < b ? 1 : 0),
            "LessOrEqual" => Zip(x, (a, b) => a <= b ? 1 : 0),
            "Equal" => Zip(x, (a, b) => a == b ? 1 : 0),
            "And" => Zip(x, (a, b) => a != 0 && b != 0 ? 1 : 0),
            "Or" => Zip(x, (a, b) => a != 0 || b != 0 ? 1 : 0),
            "Xor" => Zip(x, (a, b) => (a != 0) != (b != 0) ? 1 : 0),
            "Add" => Zip(x, (a, b) => a + b),
            "Sub" => Zip(x, (a, b) => a - b),
            "Mul" => Zip(x, (a, b) => a * b),
            "Max" when x.Length == 2 => Zip(x, Math.Max),
            "Min" when x.Length == 2 => Zip(x, Math.Min),
            "Div" when graph.TypeOf(node.Inputs[0]).Element.IsFloat() => Zip(x, (a, b) => a / b),
            _ => null,
        };
    }

    private static double[] Cast(double[] x, ElementType to) =>
        to == ElementType.Bool ? Array.ConvertAll(x, v => v != 0 ? 1.0 : 0) : to.IsFloat() ? x : Array.ConvertAll(x, Math.Truncate);

    private static double[]? Zip(double[][] x, Func<double, double, double> f)
    {
        if (x.Length != 2) return null;
        double[] a = x[0], b = x[1];
        if (a.Length != b.Length && a.Length != 1 && b.Length != 1) return null;
        return [.. Enumerable.Range(0, a.Length == 1 ? b.Length : a.Length).Select(i => f(a[a.Length == 1 ? 0 : i], b[b.Length == 1 ? 0 : i]))];
    }
}
