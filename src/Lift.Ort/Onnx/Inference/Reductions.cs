namespace Lift.Ort.Onnx.Inference;

/// <summary>Operators that make one number of many.</summary>
internal static class Reductions
{
    [Infers("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare")]
    static void Reduce(Inferred n)
    {
        var (given, axes) = n.Axes(1);
        bool keep = n.Node.Int("keepdims", 1) != 0;
        n.Y(n.Element(), Reduced(n.Shape(0), given, axes, keep, n.Node.Int("noop_with_empty_axes") != 0));
        bool whole = !given || axes is [0] or [-1];
        if (whole && n.Element() is ElementType.Int64 or ElementType.Int32 && n.Shape(0)?.Rank == 1 && n.Content(0) is { Length: > 0 } content)
        {
            Dim? result = n.Node.OpType switch
            {
                "ReduceSum" => DimMath.Sum(content),
                "ReduceProd" => DimMath.Product(content),
                "ReduceMax" => content.Aggregate(DimMath.Max),
                "ReduceMin" => content.Aggregate(DimMath.Min),
                _ => (Dim?)null,
            };
            if (result is { } r) n.Content([r]);
        }
    }

    public static Shape? Reduced(Shape? s, bool given, long[]? axes, bool keep, bool noop)
    {
        if (s is null) return !given && !keep ? Shape.Scalar : null;
        if (given && axes is null) return keep ? new Shape([.. new Dim[s.Rank]]) : null;
        if (axes is null or [])
        {
            if (noop) return s;
            axes = [.. Enumerable.Range(0, s.Rank).Select(i => (long)i)];
        }
        bool Gone(int i) => axes.Contains(i) || axes.Contains(i - s.Rank);
        return keep ? new Shape([.. s.Dims.Select((d, i) => Gone(i) ? 1 : d)]) : new Shape([.. s.Dims.Where((_, i) => !Gone(i))]);
    }

    [Infers("ArgMax", "ArgMin")]
    static void Position(Inferred n) =>
        n.Y(ElementType.Int64, Reduced(n.Shape(0), true, [n.Node.Int("axis")], n.Node.Int("keepdims", 1) != 0, false));
}
