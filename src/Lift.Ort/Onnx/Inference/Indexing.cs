namespace Lift.Ort.Onnx.Inference;

/// <summary>Operators that pick elements or put them somewhere.</summary>
internal static class Indexing
{
    [Infers("Gather")]
    static void Gather(Inferred n)
    {
        Shape? data = n.Shape(0), indices = n.Shape(1);
        int? axis = n.Axis(0, data?.Rank);
        n.Y(n.Element(), axis is not { } a || indices is null ? null : new Shape([.. data!.Dims[..a], .. indices.Dims, .. data.Dims[(a + 1)..]]));
        if (axis == 0 && n.Content(0) is { } content && n.Longs(1) is { } picks && picks.All(p => p >= -content.Length && p < content.Length))
        {
            n.Content([.. picks.Select(p => content[p < 0 ? p + content.Length : p])]);
        }
    }

    [Infers("Slice")]
    static void Slice(Inferred n)
    {
        if (n.Shape(0) is not { } s)
        {
            n.Y(n.Element(), null);
            return;
        }
        Dim[]? starts = n.Content(1), ends = n.Content(2);
        int? count = starts?.Length ?? ends?.Length ?? (int?)(n.Shape(1) is { Rank: 1 } t ? t[0].Value : null);
        long[]? axes = n.Has(3) ? n.Longs(3) : count is { } c ? [.. Enumerable.Range(0, c).Select(i => (long)i)] : null;
        long[]? steps = n.Has(4) ? n.Longs(4) : axes?.Select(_ => 1L).ToArray();
        if (axes is null)
        {
            n.Y(n.Element(), new Shape([.. new Dim[s.Rank]]));
            return;
        }
        var dims = s.Dims.ToArray();
        for (int i = 0; i < axes.Length; i++)
        {
            int axis = (int)(axes[i] < 0 ? axes[i] + s.Rank : axes[i]);
            dims[axis] = starts is null || ends is null || steps is null ? Dim.Unknown : Length(s[axis], starts[i], ends[i], steps[i]);
        }
        n.Y(n.Element(), new Shape([.. dims]));
        if (n.Elements(0) is { } elements && (s.IsStatic || s.Rank == 1) && axes.Length == 1 && n.Longs(1) is [var start] && n.Longs(2) is [var end] && steps is [not 0])
        {
            int axis = (int)(axes[0] < 0 ? axes[0] + s.Rank : axes[0]);
            n.Content(Pick(elements, s.Rank == 1 ? elements.Length : (int)s[axis].Value!.Value, (int)(s.Rank == 1 ? 1 : s.Dims.Skip(axis + 1).Aggregate(1L, (c, d) => c * d.Value!.Value)), start, end, steps[0]));
        }
    }

    /// <summary>The elements that a slice of one axis takes: the axis is <paramref name="length"/> long, and one step along it is <paramref name="inner"/> elements.</summary>
    private static Dim[] Pick(Dim[] elements, int length, int inner, long start, long end, long step)
    {
        var result = new List<Dim>();
        (start, end) = Bounds(length, start, end, step);
        for (int outer = 0; outer < elements.Length; outer += Math.Max(1, length * inner))
            for (long i = start; step > 0 ? i < end : i > end; i += step) result.AddRange(elements.Skip((int)(outer + (i * inner))).Take(inner));
        return [.. result];
    }

    private static (long Start, long End) Bounds(long length, long start, long end, long step)
    {
        if (start < 0) start += length;
        if (end < 0) end = end < -length ? -1 : end + length;
        return step > 0 ? (Math.Clamp(start, 0, length), Math.Clamp(end, 0, length)) : (Math.Clamp(start, 0, length - 1), Math.Clamp(end, -1, length - 1));
    }

    /// <summary>How many elements a slice takes of a dimension.</summary>
    private static Dim Length(Dim dim, Dim start, Dim end, long step)
    {
        if (step == 0) return Dim.Unknown;
        if (dim.Value is { } n && start.Value is { } s && end.Value is { } e)
        {
            (s, e) = Bounds(n, s, e, step);
            return Math.Max(0, step > 0 ? (e - s + step - 1) / step : (s - e - step - 1) / -step);
        }
        if (step == -1 && start.Value == -1 && end.Value <= -int.MaxValue) return dim;
        if (step < 1) return Dim.Unknown;
        Dim from = At(dim, start), to = end.Value >= int.MaxValue ? dim : At(dim, end);
        if (!end.IsKnown || end.Value is >= 0 and < int.MaxValue) to = DimMath.Min(dim, to);
        // "the last 512" of a shorter axis is the whole axis; the last one is always there
        bool certain = DimMath.IsNonNegative(from) || start.Value == -1;
        Dim length = certain ? DimMath.Sub(to, from) : Dim.Unknown;
        if (length.Value < 0) return 0;
        return step == 1 ? length : DimMath.Ceiling(length, step);
    }

    /// <summary>A bound counted from the front; a negative one counts from the end.</summary>
    private static Dim At(Dim dim, Dim at) => at.IsKnown ? at.Value < 0 ? DimMath.Add(dim, at) : at
        : DimMath.IsNonNegative(at) ? at
        : DimMath.IsNonNegative(DimMath.Sub(0, at)) ? DimMath.Add(dim, at) : Dim.Unknown;

    [Infers("GatherElements")]
    static void GatherElements(Inferred n) => n.Y(n.Element(), n.Shape(1));

    /// <summary>indices [.., k] pick the leading k axes after <c>batch_dims</c>.</summary>
    [Infers("GatherND", "com.microsoft.GatherND")]
    static void GatherND(Inferred n)
    {
        int batch = (int)n.Node.Int("batch_dims");
        bool known = n.Shape(0) is not null && n.Shape(1) is { Rank: > 0 } i && i[-1].IsKnown;
        n.Y(n.Element(), known ? new Shape([.. n.Shape(1)!.Dims[..^1], .. n.Shape(0)!.Dims[(batch + (int)n.Shape(1)![-1].Value!.Value)..]]) : null);
    }

    [Infers("ScatterElements", "ScatterND", "Scatter", "TensorScatter")]
    static void Scatter(Inferred n) => n.Y(n.X(0));

    [Infers("TopK")]
    static void TopK(Inferred n)
    {
        Shape? s = n.Shape(0);
        Shape? top = n.Axis(-1, s?.Rank) is { } axis ? new Shape(s!.Dims.SetItem(axis, n.Content(1) is [var k] && DimMath.IsNonNegative(k) ? k : Dim.Unknown)) : null;
        n.Y(n.Element(), top);
        n.Y(ElementType.Int64, top, 1);
    }

    [Infers("OneHot")]
    static void OneHot(Inferred n)
    {
        Shape? s = n.Shape(0);
        Dim depth = n.Content(1) is [var d] && DimMath.IsNonNegative(d) ? d : Dim.Unknown;
        n.Y(n.Element(2), n.Axis(-1, s?.Rank + 1) is { } axis ? new Shape(s!.Dims.Insert(axis, depth)) : null);
    }

    [Infers("NonZero")]
    static void NonZero(Inferred n) => n.Y(ElementType.Int64, n.Shape(0) is { Rank: > 0 } s ? new Shape(s.Rank, Dim.Unknown) : new Shape(Dim.Unknown, Dim.Unknown));

    [Infers("Compress")]
    static void Compress(Inferred n)
    {
        Shape? s = n.Shape(0);
        n.Y(n.Element(), !n.Node.Has("axis") ? new Shape(Dim.Unknown) : n.Axis(0, s?.Rank) is { } axis ? new Shape(s!.Dims.SetItem(axis, Dim.Unknown)) : null);
    }

    [Infers("Pad")]
    static void Pad(Inferred n)
    {
        Shape? s = n.Shape(0);
        long[]? axes = !n.Has(3) ? s is null ? null : [.. Enumerable.Range(0, s.Rank).Select(i => (long)i)] : n.Longs(3);
        if (s is null || axes is null || n.Content(1) is not { } pads)
        {
            n.Y(n.Element(), s is null ? null : new Shape([.. new Dim[s.Rank]]));
            return;
        }
        var dims = s.Dims.ToArray();
        for (int i = 0; i < axes.Length; i++)
        {
            int axis = (int)(axes[i] < 0 ? axes[i] + s.Rank : axes[i]);
            dims[axis] = DimMath.Add(dims[axis], DimMath.Add(pads[i], pads[i + axes.Length]));
        }
        n.Y(n.Element(), new Shape([.. dims]));
    }
}
