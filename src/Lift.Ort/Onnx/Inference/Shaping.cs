namespace Lift.Ort.Onnx.Inference;

/// <summary>Operators that move elements without changing them.</summary>
internal static class Shaping
{
    [Infers("Shape")]
    static void ShapeOf(Inferred n)
    {
        if (n.Shape(0) is not { } shape)
        {
            n.Y(ElementType.Int64, new Shape(Dim.Unknown));
            return;
        }
        long start = Clamp(n.Node.Int("start"), shape.Rank), end = Clamp(n.Node.Int("end", shape.Rank), shape.Rank);
        Dim[] dims = [.. shape.Dims.Skip((int)start).Take((int)Math.Max(0, end - start))];
        n.Y(ElementType.Int64, new Shape(dims.Length));
        n.Content(dims);
    }

    private static long Clamp(long at, int rank) => Math.Clamp(at < 0 ? at + rank : at, 0, rank);

    [Infers("Size")]
    static void Size(Inferred n)
    {
        n.Y(ElementType.Int64, Shape.Scalar);
        if (n.Shape(0) is { } shape) n.Content([DimMath.Product(shape.Dims)]);
    }

    [Infers("Reshape")]
    static void Reshape(Inferred n)
    {
        if (n.Content(1) is not { } target)
        {
            n.Y(n.Element(), n.Shape(1) is { Rank: 1 } s && s[0].Value is { } rank and <= 64 ? new Shape([.. new Dim[rank]]) : null);
            return;
        }
        Shape? from = n.Shape(0);
        bool copies = n.Node.Int("allowzero") == 0;
        var dims = new Dim[target.Length];
        int open = -1;
        for (int i = 0; i < dims.Length; i++)
        {
            if (target[i].Value == 0 && copies) dims[i] = from is not null && i < from.Rank ? from[i] : Dim.Unknown;
            else if (target[i].Value == -1) open = i;
            else if (target[i].IsKnown || DimMath.IsNonNegative(target[i])) dims[i] = target[i];
        }
        if (from is not null)
        {
            if (open >= 0) dims[open] = Rest(from.Dims, dims.Where((_, i) => i != open));
            else if (dims.Count(d => d == Dim.Unknown) == 1) { int i = Array.IndexOf(dims, Dim.Unknown); dims[i] = Rest(from.Dims, dims.Where((_, j) => j != i)); }
        }
        n.Y(n.Element(), new Shape([.. dims]));
        n.Content(n.Elements(0));
    }

    /// <summary>The dimension that is left of <paramref name="all"/> elements beside <paramref name="others"/>; equal dimensions cancel first, unknown ones too.</summary>
    private static Dim Rest(IEnumerable<Dim> all, IEnumerable<Dim> others)
    {
        List<Dim> above = [.. all], below = [];
        foreach (Dim d in others)
        {
            if (d == Dim.Unknown || !above.Remove(d)) below.Add(d);
        }
        return DimMath.Quotient(DimMath.Product(above), DimMath.Product(below));
    }

    [Infers("Flatten")]
    static void Flatten(Inferred n)
    {
        if (n.Shape(0) is not { } s)
        {
            n.Y(n.Element(), new Shape(Dim.Unknown, Dim.Unknown));
            return;
        }
        long axis = n.Node.Int("axis", 1);
        if (axis < 0) axis += s.Rank;
        n.Y(n.Element(), new Shape(DimMath.Product(s.Dims.Take((int)axis)), DimMath.Product(s.Dims.Skip((int)axis))));
    }

    [Infers("Transpose")]
    static void Transpose(Inferred n)
    {
        Shape? s = n.Shape(0);
        if (n.Node.Ints("perm") is { } perm) n.Y(n.Element(), s is null ? new Shape([.. new Dim[perm.Length]]) : new Shape([.. perm.Select(p => s.Dims[(int)p])]));
        else n.Y(n.Element(), s is null ? null : new Shape([.. s.Dims.Reverse()]));
        if (s is { IsStatic: true } && n.Elements(0) is { } elements) n.Content(Turned(elements, s, n.Node.Ints("perm") ?? [.. Enumerable.Range(0, s.Rank).Reverse().Select(i => (long)i)]));
    }

    /// <summary>Elements, row by row, after their axes are permuted.</summary>
    private static Dim[] Turned(Dim[] elements, Shape shape, long[] permutation)
    {
        var result = new Dim[elements.Length];
        long[] dims = [.. shape.Dims.Select(d => d.Value!.Value)], steps = new long[dims.Length], at = new long[dims.Length];
        for (int i = dims.Length - 1, step = 1; i >= 0; step *= (int)dims[i--]) steps[i] = step;
        for (int k = 0; k < result.Length; k++)
        {
            result[k] = elements[permutation.Select((p, i) => at[i] * steps[p]).Sum()];
            for (int i = permutation.Length - 1; i >= 0 && ++at[i] == dims[permutation[i]]; i--) at[i] = 0;
        }
        return result;
    }

    [Infers("Squeeze")]
    static void Squeeze(Inferred n)
    {
        var (given, axes) = n.Axes(1);
        Shape? s = n.Shape(0);
        if (s is null || (given && axes is null) || (!given && !s.Dims.All(d => d.IsKnown)))
        {
            n.Y(n.Element(), null);
            return;
        }
        n.Y(n.Element(), new Shape([.. s.Dims.Where((d, i) => given ? !axes!.Contains(i) && !axes!.Contains(i - s.Rank) : d.Value != 1)]));
        n.Content(n.Elements(0));
    }

    [Infers("Unsqueeze")]
    static void Unsqueeze(Inferred n)
    {
        if (n.Shape(0) is not { } s || n.Axes(1).Values is not { } axes)
        {
            n.Y(n.Element(), null);
            return;
        }
        int rank = s.Rank + axes.Length;
        var dims = new Dim[rank];
        foreach (long axis in axes) dims[axis < 0 ? axis + rank : axis] = 1;
        int from = 0;
        bool[] isNew = [.. Enumerable.Range(0, rank).Select(i => axes.Contains(i) || axes.Contains(i - rank))];
        for (int i = 0; i < rank; i++)
        {
            if (!isNew[i]) dims[i] = s[from++];
        }
        n.Y(n.Element(), new Shape([.. dims]));
        n.Content(n.Elements(0));
    }

    [Infers("Concat", "com.microsoft.ConcatTraining")]
    static void Concat(Inferred n)
    {
        Shape?[] parts = [.. Enumerable.Range(0, n.InputCount).Select(n.Shape)];
        ElementType element = Enumerable.Range(0, n.InputCount).Select(n.Element).FirstOrDefault(e => e != ElementType.Undefined);
        int? rank = parts.FirstOrDefault(p => p is not null)?.Rank;
        if (n.Axis(0, rank) is not { } axis || parts.Any(p => p is not null && p.Rank != rank))
        {
            n.Y(element, null);
            return;
        }
        var dims = new Dim[rank!.Value];
        for (int i = 0; i < dims.Length; i++)
        {
            dims[i] = i == axis
                ? parts.Any(p => p is null) ? Dim.Unknown : DimMath.Sum(parts.Select(p => p!.Dims[i]))
                : parts.Where(p => p is not null).Select(p => p!.Dims[i]).OrderBy(d => d.IsKnown ? 0 : d.Symbol is not null ? 1 : 2).First();
        }
        n.Y(element, new Shape([.. dims]));
        if (dims.Length == 1 && parts.All(p => p?[0].Value is <= Inferred.MaxContent))
        {
            n.Content([.. Enumerable.Range(0, n.InputCount).SelectMany(i => n.Content(i) ?? new Dim[parts[i]![0].Value!.Value])]);
        }
        n.Y(ElementType.Int64, new Shape(n.InputCount), 1);
    }

    [Infers("Split")]
    static void Split(Inferred n)
    {
        int outputs = n.Node.Outputs.Count;
        Shape? s = n.Shape(0);
        if (n.Axis(0, s?.Rank) is not { } axis)
        {
            for (int i = 0; i < outputs; i++) n.Y(n.Element(), null, i);
            return;
        }
        Dim[]? sizes = n.Content(1);
        long count = n.Node.Int("num_outputs", outputs);
        long start = 0;
        for (int i = 0; i < outputs; i++)
        {
            Dim size = n.Has(1) ? sizes is not null && i < sizes.Length ? sizes[i] : Dim.Unknown : Part(s![axis], count, i);
            n.Y(n.Element(), new Shape(s!.Dims.SetItem(axis, size)), i);
            if (n.Content(0) is { } content && size.Value is { } length && start + length <= content.Length) n.Content(content[(int)start..(int)(start + length)], i);
            start += size.Value ?? Inferred.MaxContent;
        }
    }

    /// <summary>Part <paramref name="i"/> of a dimension split into equal chunks, the last one being smaller.</summary>
    private static Dim Part(Dim dim, long count, int i)
    {
        if (dim.Value is { } n)
        {
            long chunk = (n + count - 1) / count;
            return Math.Min(chunk, Math.Max(0, n - (i * chunk)));
        }
        return DimMath.Quotient(dim, count);
    }

    [Infers("Expand")]
    static void Expand(Inferred n)
    {
        Shape? target = n.Content(1) is { } content ? new Shape([.. content.Select(d => d.IsKnown || DimMath.IsNonNegative(d) ? d : Dim.Unknown)])
            : n.Shape(1) is { Rank: 1 } s && s[0].Value is { } rank and <= 64 ? new Shape([.. new Dim[rank]]) : null;
        n.Y(n.Element(), Elementwise.Broadcast(n.Shape(0), target));
        if (n.Content(0) is { Length: 1 } one && target?.Rank == 1 && target[0].Value is { } length and <= Inferred.MaxContent) n.Content([.. Enumerable.Repeat(one[0], (int)length)]);
    }

    [Infers("Tile")]
    static void Tile(Inferred n)
    {
        n.Y(n.Element(), n.Shape(0) is not { } s ? null : new Shape([.. s.Dims.Select((d, i) => n.Content(1) is { } r && i < r.Length ? DimMath.Mul(d, r[i]) : Dim.Unknown)]));
        if (n.Shape(0) is { Rank: 1 } && n.Content(0) is { } part && n.Content(1) is [{ Value: >= 0 and <= Inferred.MaxContent and { } times }])
            n.Content([.. Enumerable.Repeat(part, (int)times).SelectMany(p => p)]);
    }

    [Infers("ConstantOfShape")]
    static void ConstantOfShape(Inferred n)
    {
        ElementType element = n.Node.Attributes.TryGetValue("value", out var value) ? (ElementType)value.T.DataType : ElementType.Float;
        Shape? shape = n.Content(0) is { } content ? new Shape([.. content.Select(d => d.IsKnown || DimMath.IsNonNegative(d) ? d : Dim.Unknown)])
            : n.Shape(0) is { Rank: 1 } s && s[0].Value is { } rank and <= 64 ? new Shape([.. new Dim[rank]]) : null;
        n.Y(element, shape);
        if (element == ElementType.Int64 && shape is { Rank: <= 1, Count: <= Inferred.MaxContent } && Fill(value?.T) is { } fill)
        {
            n.Content([.. Enumerable.Repeat((Dim)fill, (int)shape.Count!.Value)]);
        }
    }

    private static long? Fill(TensorProto? t) => t is null ? 0 : t.Int64Data.Count > 0 ? t.Int64Data[0] : t.RawData.Length == 8 ? BitConverter.ToInt64(t.RawData.Span) : null;

    [Infers("Range")]
    static void Range(Inferred n)
    {
        Dim length = n.Content(0) is [var start] && n.Content(1) is [var limit] && n.Content(2) is [{ Value: { } step }] && step != 0
            ? step > 0 ? DimMath.Ceiling(DimMath.Sub(limit, start), step) : DimMath.Ceiling(DimMath.Sub(start, limit), -step) : Dim.Unknown;
        if (length.Value < 0) length = 0;
        n.Y(n.Element(), new Shape(length));
        if (length.Value is { } count and <= Inferred.MaxContent && n.Longs(0) is [var first] && n.Longs(2) is [var by])
        {
            n.Content([.. Enumerable.Range(0, (int)count).Select(i => (Dim)(first + (i * by)))]);
        }
    }
}
