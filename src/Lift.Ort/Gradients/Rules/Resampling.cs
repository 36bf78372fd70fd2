using Lift.Ort.Onnx;

namespace Lift.Ort.Gradients.Rules;

/// <summary>Rules of operators that read an image at other places along its axes: linear in the image, so the gradient is the transposed map.</summary>
internal static class Resampling
{
    /// <summary>
    /// y = x resampled along each axis by a matrix M: yᵢ = Σⱼ Mⱼᵢ xⱼ ⇒ dx = dy · Mᵀ along each axis. Row j of M is the node itself, run on the j-th unit vector, so every
    /// mode, coordinate transformation, antialias and policy is the forward's own. Whole-numbered nearest upsampling is a mean over blocks, times their size.
    /// </summary>
    [Gradient("Resize")]
    public static Var?[] Resize(Backward b)
    {
        Var x = b.X(), y = b.Y, dx = b.Dy;
        int rank = b.RankOf(x);
        int[] axes = [.. Enumerable.Range(0, rank).Where(a => Changes(b, a))];
        if (axes.Length == 0) return [dx];
        if (Blocks(b, axes) is { } size) return [b.Like(BlockSums(b, axes, size), x)];
        foreach (int axis in axes)
        {
            Var matrix = Matrix(b, axis); // [x's size, y's size]
            if (axis == rank - 1) dx = dx.MatMul(matrix.Transpose(1, 0));
            else if (axis == rank - 2) dx = matrix.MatMul(dx);
            else
            {
                long[] last = [.. Enumerable.Range(0, rank)];
                (last[axis], last[rank - 1]) = (rank - 1, axis);
                dx = dx.Transpose(last).MatMul(matrix.Transpose(1, 0)).Transpose(last);
            }
        }
        return [b.Like(dx, x)];
    }

    /// <summary>y = points of a standard grid, mapped by θ ⇒ dθ = dyᵀ · (points, 1)</summary>
    [Gradient("AffineGrid")]
    public static Var?[] AffineGrid(Backward b)
    {
        Var theta = b.X(), size = b.X(1), dy = b.Dy;
        int axes = b.RankOf(b.Y) - 2;
        float[] identity = [.. Enumerable.Range(0, axes * (axes + 1)).Select(i => i / (axes + 1) == i % (axes + 1) ? 1f : 0f)];
        Var one = b.Graph.Concat(0, b.Graph.Longs(1), size.Slice(1, long.MaxValue, 0));
        Var points = b.Graph.Add("AffineGrid", [b.Graph.Constant<float>(identity, [1, axes, axes + 1]), one], n => n.With("align_corners", b.Node.Int("align_corners"))).Reshape(-1, axes);
        Var padded = b.Graph.Add("Pad", [points, b.Graph.Longs(0, 0, 0, 1), b.Graph.Scalar(1, ElementType.Float)]).Cast(theta.Element);
        return [b.Like(dy.Reshape(0, -1, axes).Transpose(0, 2, 1).MatMul(padded), theta)];
    }

    /// <summary>y = columns added into an image ⇒ dx = the patches of dy: a convolution that picks each element of the window</summary>
    [Gradient("Col2Im")]
    public static Var?[] Col2Im(Backward b)
    {
        Var x = b.X(), dy = b.Dy;
        long[] kernel = b.Longs(b.Node.Inputs[2]) ?? throw b.Refuse("its block_shape is not a constant");
        int count = (int)kernel.Aggregate(1L, (p, k) => p * k);
        float[] pick = [.. Enumerable.Range(0, count * count).Select(i => i / count == i % count ? 1f : 0f)];
        Var single = dy.Reshape(b.Graph.Concat(0, b.Graph.Longs(-1, 1), b.X(1)));
        Var patches = b.Graph.Add("Conv", [single, b.Graph.Constant<float>(pick, [count, 1, .. kernel]).Cast(x.Element)], n =>
        {
            foreach (string name in (string[])["strides", "dilations", "pads"])
                if (b.Node.Ints(name) is { } values) n.With(name, values);
        });
        return [b.Like(patches.Reshape(b.Dims(x)), x)];
    }

    /// <summary>y = x cut and padded around its centre ⇒ dx = dy padded and cut back</summary>
    [Gradient("CenterCropPad")]
    public static Var?[] CenterCropPad(Backward b)
    {
        Var x = b.X();
        int rank = b.RankOf(x);
        long[]? axes = b.Node.Ints("axes")?.Select(a => a < 0 ? a + rank : a).ToArray();
        Var dims = axes is null ? b.Dims(x) : b.Dims(x).Gather(b.Graph.Longs(axes));
        return [b.Like(b.Graph.Add("CenterCropPad", [b.Dy, dims], n =>
        {
            if (axes is not null) n.With("axes", axes);
        }), x)];
    }

    /// <summary>
    /// y = means of bilinear samples in each bin of each region ⇒ along either axis a bin's mean is a weighted sum of pixels, y = A x Bᵀ, so dx = Σ Aᵀ dy B over the regions of
    /// each image. Regions get no gradient, as in PyTorch.
    /// </summary>
    [Gradient("RoiAlign")]
    public static Var?[] RoiAlign(Backward b)
    {
        if (b.Node.String("mode", "avg") != "avg") throw b.Refuse("mode 'max' is not supported, only 'avg'");
        Graph g = b.Graph;
        Var x = b.X(), rois = b.X(1), dy = b.Dy;
        Var images = b.DimOf(x, 0), channels = b.DimOf(x, 1), rows = b.DimOf(x, 2), columns = b.DimOf(x, 3), regions = b.DimOf(rois, 0);
        long height = b.Node.Int("output_height", 1), width = b.Node.Int("output_width", 1);
        Var a = BinWeights(b, rois, 1, height, rows), c = BinWeights(b, rois, 0, width, columns); // [regions, bins, pixels]
        Var spread = dy.MatMul(c.Unsqueeze(1)); // [regions, channels, height, columns]
        Var flat = spread.Transpose(0, 2, 1, 3).Reshape(g.Concat(0, regions * g.Longs(height), channels * columns));
        Var numbers = g.Add("Range", [g.Scalar(0, ElementType.Int64), images.Reshape([]), g.Scalar(1, ElementType.Int64)]).Reshape(-1, 1);
        Var mine = numbers.EqualTo(b.X(2).Reshape(1, -1)).Cast(x.Element).Unsqueeze(2, 3); // [images, regions, 1, 1]
        Var all = (mine * a.Unsqueeze(0)).Reshape(g.Concat(0, images, regions * g.Longs(height), rows)).Transpose(0, 2, 1);
        return [b.Like(all.MatMul(flat).Reshape(g.Concat(0, images, rows, channels, columns)).Transpose(0, 2, 1, 3), x), null, null];
    }

    /// <summary>How much each pixel counts in each bin of each region along one axis, [regions, bins, pixels].</summary>
    private static Var BinWeights(Backward b, Var rois, int axis, long bins, Var pixels)
    {
        Graph g = b.Graph;
        bool half = b.Node.String("coordinate_transformation_mode", "half_pixel") == "half_pixel";
        Var corners = rois * b.Node.Float("spatial_scale", 1);
        if (half) corners = corners - 0.5;
        Var start = corners.Slice(axis, axis + 1, 1), size = corners.Slice(axis + 2, axis + 3, 1) - start; // [regions, 1]
        if (!half) size = g.Add("Max", [size, size.Like(1)]);
        Var bin = size / bins;
        long ratio = b.Node.Int("sampling_ratio");
        Var samples = ratio > 0 ? bin * 0 + ratio : g.Add("Max", [b.Unary("Ceil", bin), bin.Like(1)]);
        Var most = ratio > 0 ? g.Scalar(ratio, ElementType.Int64)
            : g.Add("ReduceMax", [g.Concat(0, samples.Reshape(-1), g.Constant<float>([1f]).Cast(samples.Element))], n => n.With("keepdims", 0L)).Cast(ElementType.Int64);
        Var Numbers(Var count) => g.Add("Range", [g.Scalar(0, ElementType.Int64), count.Reshape([]), g.Scalar(1, ElementType.Int64)]).Cast(rois.Element);
        Var sample = Numbers(most), length = pixels.Cast(rois.Element);
        Var there = g.Add("Less", [sample, samples]).Cast(rois.Element).Unsqueeze(1); // [regions, 1, samples]
        Var at = start.Unsqueeze(2) + bin.Unsqueeze(2) * (Numbers(g.Scalar(bins, ElementType.Int64)).Reshape(1, -1, 1) + ((sample + 0.5) / samples).Unsqueeze(1));
        Var inside = g.Add("And", [g.Add("GreaterOrEqual", [at, at.Like(-1)]), g.Add("LessOrEqual", [at, length])]).Cast(rois.Element);
        Var clamped = g.Add("Min", [g.Add("Max", [at, at.Like(0)]), length - 1]);
        Var hat = g.Add("Relu", [1 - b.Unary("Abs", clamped.Unsqueeze(3) - Numbers(pixels))]); // [regions, bins, samples, pixels]
        return ((there * inside).Unsqueeze(3) * hat).ReduceSum([2], keepDims: false) / samples.Unsqueeze(2);
    }

    /// <summary>True unless the axis certainly passes as it is.</summary>
    private static bool Changes(Backward b, int axis)
    {
        string coordinates = b.Node.String("coordinate_transformation_mode", "half_pixel");
        if (coordinates is "tf_crop_and_resize" or "tf_half_pixel_for_nn") return axis > 1 || b.RankOf(b.X()) < 3 || !Same(b, axis);
        return !Same(b, axis);
    }

    private static bool Same(Backward b, int axis)
    {
        int at = InputAxis(b, axis);
        if (at < 0) return true;
        if (ScalesOf(b) is { } s && b.Graph.Initializers.TryGetValue(s.Name, out Tensor? t) && t.ToFloats() is var scales && at < scales.Length) return scales[at] == 1;
        return b.X().Shape is { } x && b.Y.Shape is { } y && x[axis].SameAs(y[axis]);
    }

    /// <summary>Where scales or sizes speak of an axis: at its own number, or among <c>axes</c>; −1 where they do not.</summary>
    private static int InputAxis(Backward b, int axis)
    {
        int rank = b.RankOf(b.X());
        return b.Node.Ints("axes") is { } axes ? Array.FindIndex(axes, a => (a < 0 ? a + rank : a) == axis) : axis;
    }

    private static Var? ScalesOf(Backward b) => b.HasX(2) && b.X(2).Shape?.Count != 0 ? b.X(2) : null;

    /// <summary>The factors of a nearest upsampling that repeats each pixel, or null.</summary>
    private static long[]? Blocks(Backward b, int[] axes)
    {
        if (axes[0] < 2 || b.Node.String("mode", "nearest") != "nearest" || b.RankOf(b.X()) is < 3 or > 5) return null;
        string rounding = b.Node.String("nearest_mode", "round_prefer_floor"), coordinates = b.Node.String("coordinate_transformation_mode", "half_pixel");
        bool repeats = coordinates switch
        {
            "asymmetric" => rounding == "floor",
            "half_pixel" or "half_pixel_symmetric" => rounding.StartsWith("round", StringComparison.Ordinal),
            _ => false,
        };
        if (!repeats || ScalesOf(b) is not { } given || !b.Graph.Initializers.TryGetValue(given.Name, out Tensor? t)) return null;
        float[] scales = t.ToFloats();
        long[] size = [.. Enumerable.Range(2, b.RankOf(b.X()) - 2).Select(a => InputAxis(b, a) is >= 0 and var at && at < scales.Length && scales[at] == MathF.Floor(scales[at]) ? (long)scales[at] : InputAxis(b, a) < 0 ? 1 : 0)];
        return size.All(s => s > 0) ? size : null;
    }

    private static Var BlockSums(Backward b, int[] axes, long[] size) =>
        b.Graph.Add("AveragePool", [b.Dy], n => n.With("kernel_shape", size).With("strides", size)) * size.Aggregate(1.0, (p, s) => p * s);

    /// <summary>The node along one axis: row j is what becomes of the j-th unit vector, [x's size, y's size].</summary>
    private static Var Matrix(Backward b, int axis)
    {
        Graph g = b.Graph;
        Var n = b.DimOf(b.X(), axis), m = b.DimOf(b.Y, axis), one = g.Longs(1);
        Var unit = g.Add("EyeLike", [g.Concat(0, n, n).Filled(0)]).Reshape(g.Concat(0, n, one, one, n));
        int at = InputAxis(b, axis);
        Var? scales = ScalesOf(b), sizes = null, roi = null;
        if (CommonScale(b) is { } common)
        {
            // One scale for all axes, and sizes that are rounded: a longer image, its last pixel repeated, gives the places that rounding down would lose.
            unit = g.Add("Pad", [unit, g.Concat(0, g.Longs(0, 0, 0, 0, 0, 0, 0), (2 / common).Reshape(1).Cast(ElementType.Int64) + g.Longs(4))], a => a.With("mode", "edge"));
            scales = g.Concat(0, g.Constant<float>([1f, 1f, 1f]), common.Reshape(1));
        }
        else if (scales is not null) scales = g.Concat(0, g.Constant<float>([1f, 1f, 1f]), scales.Gather(g.Longs(at)));
        else sizes = g.Concat(0, n, one, one, m);
        if (b.Node.String("coordinate_transformation_mode") == "tf_crop_and_resize")
        {
            Var given = b.X(1);
            long count = b.Node.Ints("axes")?.Length ?? b.RankOf(b.X());
            roi = g.Concat(0, g.Constant<float>([0f, 0f, 0f]), given.Gather(g.Longs(at)).Cast(ElementType.Float), g.Constant<float>([1f, 1f, 1f]), given.Gather(g.Longs(at + count)).Cast(ElementType.Float));
        }
        Var rows = g.Add("Resize", [unit, roi, scales, sizes], node =>
        {
            foreach (var attribute in b.Node.Attributes.Values.Where(a => a.Name is not ("axes" or "keep_aspect_ratio_policy" or "extrapolation_value"))) node.Set(attribute);
        });
        if (CommonScale(b) is not null) rows = g.Add("Slice", [rows, g.Longs(0), m, g.Longs(3)]);
        return rows.Reshape(g.Concat(0, n, m)).Cast(b.X().Element);
    }

    /// <summary>The scale of a node that keeps the aspect ratio; null where the axes have scales of their own, or only the sizes count.</summary>
    private static Var? CommonScale(Backward b)
    {
        string policy = b.Node.String("keep_aspect_ratio_policy", "stretch"), coordinates = b.Node.String("coordinate_transformation_mode", "half_pixel");
        if (policy == "stretch" || !b.HasX(3) || coordinates is "align_corners" or "tf_crop_and_resize") return null;
        if (coordinates == "half_pixel_symmetric" || b.Node.Int("antialias") != 0 || b.Node.Int("exclude_outside") != 0)
            throw b.Refuse($"keep_aspect_ratio_policy '{policy}' together with half_pixel_symmetric, antialias or exclude_outside is not supported");
        Var x = b.X(), dims = b.Node.Ints("axes") is { } axes ? b.Dims(x).Gather(b.Graph.Longs(b.Axes(x, axes))) : b.Dims(x);
        return b.Graph.Add(policy == "not_larger" ? "ReduceMin" : "ReduceMax", [b.X(3).Cast(ElementType.Float) / dims.Cast(ElementType.Float)], n => n.With("keepdims", 0L));
    }
}
