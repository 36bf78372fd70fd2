using Lift.Ort.Onnx;

namespace Lift.Ort.Lowering.Fused;

/// <summary>DeformConv, for which ONNX Runtime's CPU provider has no kernel in the opsets read here: the window's elements are looked up at places of their own.</summary>
internal static class DeformableConvolution
{
    /// <summary>
    /// y = W · (mask ⊙ x at the displaced elements of the window, read bilinearly, 0 outside) + b. Channels of one offset group share their places. Source: DeformConv of opset 19.
    /// </summary>
    [Lowering("DeformConv")]
    public static Var?[] DeformConv(FusedNode n)
    {
        Graph g = n.Graph;
        Var x = n.X(), w = n.X(1), offset = n.X(2);
        if (n.RankOf(x) != 4) throw n.Refuse("only images [N, C, H, W] are supported");
        long[] kernel = n.Node.Ints("kernel_shape") ?? (w.Shape is { } s && s[2].Value is { } kh && s[3].Value is { } kw ? [kh, kw] : throw n.Refuse("the size of its kernel is not known"));
        long[] strides = n.Node.Ints("strides") ?? [1, 1], dilations = n.Node.Ints("dilations") ?? [1, 1], pads = n.Node.Ints("pads") ?? [0, 0, 0, 0];
        long groups = n.Int("group", 1), shifts = n.Int("offset_group", 1), window = kernel[0] * kernel[1];
        Var images = n.DimOf(x, 0), channels = n.DimOf(x, 1), height = n.DimOf(offset, 2), width = n.DimOf(offset, 3), places = height * width;
        Var moves = offset.Reshape(g.Concat(0, images, g.Longs(shifts, window, 2), places)); // [N, offset groups, window, 2, places]

        var rows = Along(n, x, 2, moves.Slice(0, 1, 3), Grid(n, 0, kernel, strides, dilations, pads, height, width));
        var columns = Along(n, x, 3, moves.Slice(1, 2, 3), Grid(n, 1, kernel, strides, dilations, pads, height, width));
        Var perShift = channels / g.Longs(shifts), pixels = n.DimOf(x, 2) * n.DimOf(x, 3), reads = g.Longs(window) * places;
        Var flat = x.Reshape(g.Concat(0, images * g.Longs(shifts), perShift, pixels));
        Var? sum = null;
        foreach (var (row, rowWeight) in rows)
            foreach (var (column, columnWeight) in columns)
            {
                Var at = (row * n.DimOf(x, 3) + column).Reshape(g.Concat(0, images * g.Longs(shifts), g.Longs(1), reads)).Expand(g.Concat(0, images * g.Longs(shifts), perShift, reads));
                Var read = g.Add("GatherElements", [flat, at], a => a.With("axis", 2L)) * (rowWeight * columnWeight).Reshape(g.Concat(0, images * g.Longs(shifts), g.Longs(1), reads));
                sum = sum is null ? read : sum + read;
            }
        if (n.Maybe(4) is { } mask) sum = sum! * mask.Reshape(g.Concat(0, images * g.Longs(shifts), g.Longs(1), reads));

        Var patches = sum!.Reshape(g.Concat(0, images, g.Longs(groups), channels / g.Longs(groups) * g.Longs(window), places));
        Var filters = w.Reshape(g.Concat(0, g.Longs(1, groups), n.DimOf(w, 0) / g.Longs(groups), g.Longs(-1)));
        Var y = filters.MatMul(patches).Reshape(g.Concat(0, images, n.DimOf(w, 0), height, width));
        return [n.Maybe(3) is { } bias ? y + bias.Reshape(-1, 1, 1) : y];
    }

    /// <summary>Where the window's elements lie along one axis before they are displaced, float [window, 1, places].</summary>
    private static Var Grid(FusedNode n, int axis, long[] kernel, long[] strides, long[] dilations, long[] pads, Var height, Var width)
    {
        Graph g = n.Graph;
        Var Numbers(Var count) => g.Add("Range", [g.Scalar(0, ElementType.Int64), count.Reshape([]), g.Scalar(1, ElementType.Int64)]);
        Var start = (Numbers(axis == 0 ? height : width) * g.Longs(strides[axis]) - g.Longs(pads[axis])).Reshape(axis == 0 ? [-1, 1] : [1, -1]);
        Var all = start.Expand(g.Concat(0, height, width)).Reshape(1, 1, -1);
        long[] elements = [.. Enumerable.Range(0, (int)(kernel[0] * kernel[1])).Select(k => dilations[axis] * (axis == 0 ? k / kernel[1] : k % kernel[1]))];
        return (all + g.Constant<long>(elements, [elements.Length, 1, 1])).Cast(n.X().Element);
    }

    /// <summary>The two pixels on either side of each place along one axis, inside the image, and their weights; 0 for those outside.</summary>
    private static (Var Pixel, Var Weight)[] Along(FusedNode n, Var x, int axis, Var move, Var grid)
    {
        Graph g = n.Graph;
        Var at = move + grid, first = g.Add("Floor", [at]), rest = at - first, last = n.DimOf(x, axis) - g.Longs(1), zero = g.Longs(0);
        return [.. new[] { (Pixel: first.Cast(ElementType.Int64), Weight: 1 - rest), (Pixel: first.Cast(ElementType.Int64) + g.Longs(1), Weight: rest) }.Select(p =>
        {
            Var inside = g.Add("And", [g.Add("GreaterOrEqual", [p.Pixel, zero]), g.Add("LessOrEqual", [p.Pixel, last])]).Cast(x.Element);
            return (g.Add("Min", [g.Add("Max", [p.Pixel, zero]), last]), p.Weight * inside);
        })];
    }
}
