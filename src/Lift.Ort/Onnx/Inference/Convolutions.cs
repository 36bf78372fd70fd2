namespace Lift.Ort.Onnx.Inference;

/// <summary>Convolution and pooling over [batch, channels, spatial …].</summary>
internal static class Convolutions
{
    [Infers("Conv")]
    static void Conv(Inferred n)
    {
        Shape? x = n.Shape(0), w = n.Shape(1);
        if (x is null) n.Y(n.Element(), null);
        else n.Y(n.Element(), new Shape([x[0], w is null ? Dim.Unknown : w[0], .. Spatial(n, x, n.Node.Ints("kernel_shape"), w)]));
    }

    [Infers("MaxPool", "AveragePool", "LpPool")]
    static void Pool(Inferred n)
    {
        Shape? s = n.Shape(0) is { } x ? new Shape([x[0], x[1], .. Spatial(n, x, n.Node.Ints("kernel_shape"), null)]) : null;
        n.Y(n.Element(), s);
        n.Y(ElementType.Int64, s, 1);
    }

    [Infers("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")]
    static void GlobalPool(Inferred n) => n.Y(n.Element(), n.Shape(0) is { } x ? new Shape([x[0], x[1], .. x.Dims.Skip(2).Select(_ => (Dim)1)]) : null);

    /// <summary>⌊(d + pads − dilation·(kernel − 1) − 1) / stride⌋ + 1, or ⌈d / stride⌉ where padding keeps the size (auto_pad SAME_*).</summary>
    internal static IEnumerable<Dim> Spatial(Inferred n, Shape x, long[]? kernel, Shape? weight)
    {
        string auto = n.Node.String("auto_pad", "NOTSET");
        long[]? strides = n.Node.Ints("strides"), dilations = n.Node.Ints("dilations"), pads = auto == "NOTSET" ? n.Node.Ints("pads") : null;
        bool up = n.Node.Int("ceil_mode") != 0;
        int axes = x.Rank - 2;
        for (int i = 0; i < axes; i++)
        {
            Dim k = kernel is not null ? kernel[i] : weight is not null ? weight[i + 2] : Dim.Unknown;
            long stride = strides?[i] ?? 1, dilation = dilations?[i] ?? 1, pad = pads is null ? 0 : pads[i] + pads[i + axes];
            if (auto.StartsWith("SAME", StringComparison.Ordinal)) yield return DimMath.Ceiling(x[i + 2], stride);
            else if (k.Value is not { } size) yield return Dim.Unknown;
            else if (x[i + 2].Value is { } d)
            {
                long room = d + pad - (dilation * (size - 1)) - 1;
                long count = (up ? (room + stride - 1) / stride : room / stride) + 1;
                if (up && (count - 1) * stride >= d + (pads?[i] ?? 0)) count--; // a window that begins in the padding at the end is left out
                yield return room < 0 ? Dim.Unknown : count;
            }
            else if (!up) yield return DimMath.Add(Strided(DimMath.Add(x[i + 2], pad - (dilation * (size - 1)) - 1), stride), 1);
            else yield return Dim.Unknown;
        }
    }

    private static Dim Strided(Dim room, long stride) => stride == 1 ? room : DimMath.Floor(room, stride);

    /// <summary>stride·(d − 1) + output padding + dilation·(kernel − 1) + 1 − pads; d·stride where padding keeps the size.</summary>
    [Infers("ConvTranspose")]
    static void ConvTranspose(Inferred n)
    {
        if (n.Shape(0) is not { } x)
        {
            n.Y(n.Element(), null);
            return;
        }
        Shape? w = n.Shape(1);
        string auto = n.Node.String("auto_pad", "NOTSET");
        long[]? strides = n.Node.Ints("strides"), dilations = n.Node.Ints("dilations"), kernel = n.Node.Ints("kernel_shape");
        long[]? pads = auto == "NOTSET" ? n.Node.Ints("pads") : null, extra = n.Node.Ints("output_padding"), given = n.Node.Ints("output_shape");
        int axes = x.Rank - 2;
        var dims = new List<Dim> { x[0], w is null ? Dim.Unknown : DimMath.Mul(w[1], n.Node.Int("group", 1)) };
        for (int i = 0; i < axes; i++)
        {
            Dim k = kernel is not null ? kernel[i] : w is not null ? w[i + 2] : Dim.Unknown;
            long stride = strides?[i] ?? 1, pad = pads is null ? 0 : pads[i] + pads[i + axes];
            Dim grown = DimMath.Mul(DimMath.Sub(x[i + 2], 1), stride);
            Dim reach = DimMath.Add(DimMath.Mul(DimMath.Sub(k, 1), dilations?[i] ?? 1), (extra?[i] ?? 0) + 1 - pad);
            dims.Add(given is not null ? given[given.Length - axes + i] : auto.StartsWith("SAME", StringComparison.Ordinal) ? DimMath.Mul(x[i + 2], stride) : DimMath.Add(grown, reach));
        }
        n.Y(n.Element(), new Shape([.. dims]));
    }

    [Infers("com.microsoft.FusedConv")]
    static void FusedConv(Inferred n) => Conv(n);

    /// <summary>Sizes from the last input, or ⌊d · scale⌋ from the scales; given for all axes or for <c>axes</c>.</summary>
    [Infers("Resize", "Upsample")]
    static void Resize(Inferred n)
    {
        if (n.Shape(0) is not { } s)
        {
            n.Y(n.Element(), null);
            return;
        }
        long[] axes = n.Node.Ints("axes") ?? [.. Enumerable.Range(0, s.Rank).Select(i => (long)i)];
        string? name = n.Node.Input(n.Node.OpType == "Upsample" ? 1 : 2);
        float[]? scales = name is not null && n.Graph.Initializers.TryGetValue(name, out Tensor? t) && t.Count == axes.Length ? t.ToFloats() : null;
        Dim[]? sizes = n.Node.String("keep_aspect_ratio_policy", "stretch") == "stretch" ? n.Content(3) : null;
        var dims = n.Has(2) || n.Has(3) || scales is not null ? s.Dims.ToArray() : new Dim[s.Rank];
        for (int i = 0; i < axes.Length; i++)
        {
            int axis = (int)(axes[i] < 0 ? axes[i] + s.Rank : axes[i]);
            dims[axis] = n.Has(3) ? sizes is not null && DimMath.IsNonNegative(sizes[i]) ? sizes[i] : Dim.Unknown
                : scales is null ? Dim.Unknown
                : s[axis].Value is { } d ? (long)Math.Floor(d * scales[i])
                : scales[i] == Math.Floor(scales[i]) ? DimMath.Mul(s[axis], (long)scales[i]) : Dim.Unknown;
        }
        n.Y(n.Element(), new Shape([.. dims]));
    }

    [Infers("DepthToSpace")]
    static void DepthToSpace(Inferred n)
    {
        long b = n.Node.Int("blocksize", 1);
        n.Y(n.Element(), n.Shape(0) is { Rank: 4 } s ? new Shape(s[0], DimMath.Quotient(s[1], b * b), DimMath.Mul(s[2], b), DimMath.Mul(s[3], b)) : null);
    }

    [Infers("SpaceToDepth")]
    static void SpaceToDepth(Inferred n)
    {
        long b = n.Node.Int("blocksize", 1);
        n.Y(n.Element(), n.Shape(0) is { Rank: 4 } s ? new Shape(s[0], DimMath.Mul(s[1], b * b), DimMath.Quotient(s[2], b), DimMath.Quotient(s[3], b)) : null);
    }

    [Infers("GridSample")]
    static void GridSample(Inferred n) =>
        n.Y(n.Element(), n.Shape(0) is { } x && n.Shape(1) is { } grid ? new Shape([x[0], x[1], .. grid.Dims[1..^1]]) : null);
}
