namespace Lift.Ort.Onnx.Inference;

/// <summary>Operators that read or fill an image at given places.</summary>
internal static class Resampling
{
    /// <summary>(θ [N, 2, 3], size [N, C, H, W]) → [N, H, W, 2]; with a depth accordingly.</summary>
    [Infers("AffineGrid")]
    static void AffineGrid(Inferred n)
    {
        int? axes = n.Shape(1) is { Rank: 1 } s && s[0].Value is { } count ? (int)count - 2 : n.Shape(0) is { Rank: 3 } theta && theta[1].Value is { } rows ? (int)rows : null;
        Dim[]? size = n.Content(1);
        if (axes is not { } a) n.Y(n.Element(), null);
        else n.Y(n.Element(), new Shape([size is not null ? size[0] : n.Shape(0)?[0] ?? Dim.Unknown, .. Enumerable.Range(2, a).Select(i => size is not null ? size[i] : Dim.Unknown), (Dim)(long)a]));
    }

    /// <summary>(X [N, C, H, W], regions [R, 4], images [R]) → [R, C, output_height, output_width].</summary>
    [Infers("RoiAlign")]
    static void RoiAlign(Inferred n) => n.Y(n.Element(), new Shape(n.Shape(1)?[0] ?? Dim.Unknown, n.Shape(0)?[1] ?? Dim.Unknown, n.Node.Int("output_height", 1), n.Node.Int("output_width", 1)));

    /// <summary>(columns [N, C · window, places], image size, window size) → [N, C, image …].</summary>
    [Infers("Col2Im")]
    static void Col2Im(Inferred n)
    {
        Dim[]? image = n.Content(1), window = n.Content(2);
        Dim batch = n.Shape(0)?[0] ?? Dim.Unknown, channels = n.Shape(0) is { } x && window is not null ? DimMath.Quotient(x[1], DimMath.Product(window)) : Dim.Unknown;
        if (image is not null) n.Y(n.Element(), new Shape([batch, channels, .. image]));
        else n.Y(n.Element(), n.Shape(1) is { Rank: 1 } s && s[0].Value is { } rank and <= 64 ? new Shape([batch, channels, .. new Dim[rank]]) : null);
    }

    /// <summary>The given sizes, along all axes or along <c>axes</c>.</summary>
    [Infers("CenterCropPad")]
    static void CenterCropPad(Inferred n)
    {
        if (n.Shape(0) is not { } s)
        {
            n.Y(n.Element(), null);
            return;
        }
        Dim[] dims = [.. s.Dims];
        Dim[]? sizes = n.Content(1);
        long[] axes = n.Node.Ints("axes") ?? [.. Enumerable.Range(0, s.Rank).Select(i => (long)i)];
        for (int i = 0; i < axes.Length; i++) dims[axes[i] < 0 ? axes[i] + s.Rank : axes[i]] = sizes is not null && DimMath.IsNonNegative(sizes[i]) ? sizes[i] : Dim.Unknown;
        n.Y(n.Element(), new Shape([.. dims]));
    }

    /// <summary>The size given, or (d − 1) · stride − pads + window.</summary>
    [Infers("MaxUnpool")]
    static void MaxUnpool(Inferred n)
    {
        if (n.Shape(0) is not { } s || n.Node.Ints("kernel_shape") is not { } kernel)
        {
            n.Y(n.Element(), n.Shape(0) is { } like ? new Shape([.. new Dim[like.Rank]]) : null);
            return;
        }
        if (n.Has(2))
        {
            n.Y(n.Element(), n.Content(2) is { } given ? new Shape([.. given]) : new Shape([.. new Dim[s.Rank]]));
            return;
        }
        long[]? strides = n.Node.Ints("strides"), pads = n.Node.Ints("pads");
        n.Y(n.Element(), new Shape([s[0], s[1], .. kernel.Select((k, i) =>
            DimMath.Add(DimMath.Mul(DimMath.Sub(s[i + 2], 1), strides?[i] ?? 1), k - (pads is null ? 0 : pads[i] + pads[i + kernel.Length])))]));
    }
}
