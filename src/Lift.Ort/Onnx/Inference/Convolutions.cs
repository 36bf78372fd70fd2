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
    private static IEnumerable<Dim> Spatial(Inferred n, Shape x, long[]? kernel, Shape? weight)
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
}
