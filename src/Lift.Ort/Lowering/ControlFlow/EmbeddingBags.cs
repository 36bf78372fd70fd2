using Lift.Ort.Onnx;
using Lift.Ort.Onnx.Reading;

namespace Lift.Ort.Lowering.ControlFlow;

/// <summary>
/// PyTorch's EmbeddingBag as its exporter writes it: a Loop over the bags, each of which slices its indices out of the flat list, gathers their rows and reduces them.
/// Here all rows are gathered at once and added up by the number of their bag, however many bags a batch has.
/// </summary>
internal sealed class EmbeddingBags(Graph graph, Node loop, KnownNumbers numbers, Action<IEnumerable<Node>> take)
{
    private readonly GraphProto? body = loop.Attributes.GetValueOrDefault("body")?.G;

    /// <summary>False leaves the graph as it was: the Loop is something else.</summary>
    public bool TryUnfold()
    {
        if (body is null || loop.Inputs.Count != 2 || loop.Input(0) is not { } count || loop.Outputs.Count != 1 || body.Input.Count != 2 || body.Output.Count != 2 || !GoesOn(body.Output[0].Name)) return false;
        if (Maker(body.Output[1].Name) is not { OpType: "ReduceSum" or "ReduceMean" or "ReduceMax" } reduce || reduce.Attribute.FirstOrDefault(a => a.Name == "keepdims")?.I != 0 || !Is(Axes(reduce), 0)) return false;
        NodeProto? rows = Maker(reduce.Input[0]), scale = null;
        if (rows is { OpType: "Mul" })
        {
            scale = Maker(rows.Input[1]);
            rows = Maker(rows.Input[0]);
            if (scale is not { OpType: "Unsqueeze" } || !Is(Axes(scale), 1)) return false;
        }
        if (rows is not { OpType: "Gather" } || Axis(rows) != 0 || !IsOuter(rows.Input[0]) || graph.TypeOf(rows.Input[0]) is not { Rank: 2 } table || Part(rows.Input[1]) is not var (indices, starts, ends)) return false;
        string? weights = null;
        if (scale is not null && (Part(scale.Input[0]) is not { } part || part.Starts != starts || part.Ends != ends || (weights = part.Of).Length == 0)) return false;
        if (!Follow(starts, ends)) return false;

        string? outer = graph.Scope;
        graph.Scope = loop.Outputs[0];
        Var bags = Write(reduce.OpType, graph.Var(count).Reshape(1), graph.Var(rows.Input[0]), graph.Var(indices), graph.Var(starts), graph.Var(ends), weights is null ? null : graph.Var(weights), table.Element);
        graph.Scope = outer;
        take([new Node("Identity", "", [bags.Name], [loop.Outputs[0]], loop.Outputs[0])]);
        return true;
    }

    /// <summary>Every index has the number of its bag, counted from 1 (0 lies before the first bag): a running sum of the bags that begin at or before it.</summary>
    private Var Write(string op, Var count, Var table, Var indices, Var starts, Var ends, Var? weights, ElementType type)
    {
        Var zero = graph.Longs(0), one = graph.Longs(1);
        Var begins = graph.Add("Slice", [starts, zero, count, zero]);
        Var length = indices.ShapeOf(), places = graph.Add("Add", [length, one]);
        Var marks = Added(places, begins.Unsqueeze(1), one.Expand(count), ElementType.Int64);
        Var bag = graph.Add("Slice", [graph.Add("CumSum", [marks, graph.Scalar(0, ElementType.Int64)]), zero, length, zero]);
        Var rows = table.Gather(indices);
        if (weights is not null) rows *= weights.Unsqueeze(1);
        if (op == "ReduceMax")
        {
            Var own = graph.Add("Range", [graph.Scalar(1, ElementType.Int64), graph.Add("Add", [count, one]).Squeeze(0), graph.Scalar(1, ElementType.Int64)]).Unsqueeze(1).EqualTo(bag.Unsqueeze(0));
            return own.Unsqueeze(2).Where(rows.Unsqueeze(0), graph.Scalar(double.NegativeInfinity, type)).Reduce("ReduceMax", [1], keepDims: false);
        }
        Var shape = graph.Concat(0, graph.Add("Add", [count, one]), rows.ShapeOf().Slice(1, 2, 0));
        Var sums = graph.Add("Slice", [Added(shape, bag.Unsqueeze(1), rows, type), one, graph.Longs(long.MaxValue), zero]);
        if (op == "ReduceSum") return sums;
        Var sizes = graph.Add("Sub", [graph.Add("Min", [graph.Add("Slice", [ends, zero, count, zero]), length]), begins]);
        return sums / sizes.Cast(type).Unsqueeze(1);
    }

    /// <summary>Zeros of a shape, with each row of <paramref name="values"/> added at its place.</summary>
    private Var Added(Var shape, Var at, Var values, ElementType type)
    {
        Var zeros = graph.Scalar(0, type).Expand(shape);
        return graph.Add("ScatterND", [zeros, at, values], n => n.With("reduction", "add"));
    }

    /// <summary>What a body's value is cut out of, from which starts to which ends: <c>x[starts[i] : ends[i]]</c>.</summary>
    private (string Of, string Starts, string Ends)? Part(string name) =>
        Maker(name) is { OpType: "Slice", Input.Count: 4 or 5 } slice && IsOuter(slice.Input[0]) && graph.TypeOf(slice.Input[0]).Rank == 1 && Is(slice.Input[3], 0) && (slice.Input.Count == 4 || slice.Input[4].Length == 0 || Is(slice.Input[4], 1))
        && Element(slice.Input[1]) is { } starts && Element(slice.Input[2]) is { } ends ? (slice.Input[0], starts, ends) : null;

    /// <summary>The list that the loop's counter takes an element of.</summary>
    private string? Element(string name)
    {
        while (Maker(name) is { OpType: "Unsqueeze" or "Cast" or "Identity" or "Reshape" } shaping) name = shaping.Input[0];
        return Maker(name) is { OpType: "Gather" } gather && Axis(gather) == 0 && gather.Input[1] == body!.Input[0].Name && IsOuter(gather.Input[0]) && graph.TypeOf(gather.Input[0]) is { Rank: 1, Element: ElementType.Int64 } ? gather.Input[0] : null;
    }

    /// <summary>True where each bag ends where the next one starts: <c>ends = starts[1:]</c>, so that no index lies in two bags.</summary>
    private bool Follow(string starts, string ends) =>
        graph.Nodes.Find(n => n.Outputs.Contains(ends)) is { OpType: "Slice" } slice && slice.Inputs[0] == starts && Is(slice.Inputs[1], 1) && slice.Input(2) is { } last && graph.TryGetLongs(last, out long[] to) && to is [>= int.MaxValue]
        && (slice.Input(3) is not { } axes || Is(axes, 0)) && (slice.Input(4) is not { } steps || Is(steps, 1));

    /// <summary>True where the loop's condition is true from beginning to end.</summary>
    private bool GoesOn(string name)
    {
        while (Maker(name) is { OpType: "Cast" or "Identity" } copy) name = copy.Input[0];
        if (name == body!.Input[1].Name) name = loop.Input(1) ?? "";
        return name.Length == 0 || (Constant(name)?.ToFloats() is [not 0]) || (IsOuter(name) && numbers.Of(name) is [not 0]);
    }

    private NodeProto? Maker(string name) => body!.Node.FirstOrDefault(n => n.Output.Contains(name));

    private bool IsOuter(string name) => name.Length > 0 && Maker(name) is null && body!.Input.All(i => i.Name != name) && body.Initializer.All(i => i.Name != name);

    private static long Axis(NodeProto gather) => gather.Attribute.FirstOrDefault(a => a.Name == "axis")?.I ?? 0;

    /// <summary>The axes of a reduction or Unsqueeze, an attribute or an input, whichever its opset has.</summary>
    private static object? Axes(NodeProto node) => node.Attribute.FirstOrDefault(a => a.Name == "axes")?.Ints.ToArray() ?? (object?)(node.Input.Count > 1 ? node.Input[1] : null);

    /// <summary>True where the numbers are one, and that is <paramref name="value"/>.</summary>
    private bool Is(object? numbers, long value) => numbers switch
    {
        long[] given => given is [var only] && only == value,
        string { Length: > 0 } name => (Constant(name)?.ToLongs() ?? (Maker(name) is null ? Outer(name) : null)) is [var only] && only == value,
        _ => false,
    };

    private long[]? Outer(string name) => graph.TryGetLongs(name, out long[] values) ? values : null;

    /// <summary>A constant of the body.</summary>
    private Tensor? Constant(string name)
    {
        string where = $"the subgraph of {loop}";
        if (body!.Initializer.FirstOrDefault(i => i.Name == name) is { } tensor) return TensorReader.Copy(tensor, name, where);
        return Maker(name) is { OpType: "Constant" } node ? GraphReader.ConstantValue(node, (t, n) => TensorReader.Copy(t, n, where)) : null;
    }
}
