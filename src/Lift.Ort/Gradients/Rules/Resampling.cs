using Lift.Ort.Onnx;

namespace Lift.Ort.Gradients.Rules;

/// <summary>Rules of operators that read an image at other places along its axes: linear in the image, so the gradient is the transposed map.</summary>
internal static class Resampling
{
    /// <summary>Elements of a Col2Im window at most: its gradient convolves with their square.</summary>
    private const int MaxWindow = 4096;

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
        return [b.Like(dy.Reshape(b.Graph.Concat(0, b.DimOf(theta, 0), b.Graph.Add("ReduceProd", [size.Slice(2, long.MaxValue, 0)], n => n.With("keepdims", 1L)), b.Graph.Longs(axes))).Transpose(0, 2, 1).MatMul(padded), theta)];
    }

    /// <summary>Elements of a window; null where there are none, or more than a matrix of their square could be held for.</summary>
    private static int? Window(long[] kernel)
    {
        long count = 1;
        foreach (long k in kernel)
        {
            if (k is < 1 or > MaxWindow) return null;
            count = Math.Min(count * k, MaxWindow + 1L);
        }
        return count <= MaxWindow ? (int)count : null;
    }

    /// <summary>y = columns added into an image ⇒ dx = the patches of dy: a convolution that picks each element of the window</summary>
    [Gradient("Col2Im")]
    public static Var?[] Col2Im(Backward b)
    {
        Var x = b.X(), dy = b.Dy;
        long[] kernel = b.Longs(b.Node.Inputs[2]) ?? throw b.Refuse("its block_shape is not a constant");
        int count = Window(kernel) ?? throw b.Refuse($"its block_shape [{string.Join(", ", kernel)}] is no window of 1 to {MaxWindow} elements");
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
        if (NeedsAll(b)) return MatrixOfAll(b, axis);
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

    /// <summary>True where the node has one scale for all axes, and looks at the image's border along each.</summary>
    private static bool NeedsAll(Backward b) => b.Node.String("keep_aspect_ratio_policy", "stretch") != "stretch" && b.HasX(3) && CommonScale(b) is null
        && b.Node.String("coordinate_transformation_mode", "half_pixel") is not ("align_corners" or "tf_crop_and_resize");

    /// <summary>The same by the node with all its axes, so that it finds its scale itself: the unit vectors lie along the first axis that it keeps, and are constant along the others.</summary>
    private static Var MatrixOfAll(Backward b, int axis)
    {
        Graph g = b.Graph;
        int rank = b.RankOf(b.X()), images = Array.FindIndex([.. Enumerable.Range(0, rank)], a => !Changes(b, a));
        if (images < 0) throw b.Refuse($"keep_aspect_ratio_policy '{b.Node.String("keep_aspect_ratio_policy")}' with half_pixel_symmetric, antialias or exclude_outside needs an axis that is not resized");
        Var n = b.DimOf(b.X(), axis), m = b.DimOf(b.Y, axis), one = g.Longs(1);
        Var Along(int a, Var kept, Var resized) => a == images ? n : Changes(b, a) ? resized : kept;
        Var[] unitDims = [.. Enumerable.Range(0, rank).Select(a => a == images || a == axis ? n : one)];
        Var unit = g.Add("EyeLike", [g.Concat(0, n, n).Filled(0)]).Reshape(g.Concat(0, unitDims)).Expand(g.Concat(0, Enumerable.Range(0, rank).Select(a => Along(a, one, b.DimOf(b.X(), a)))));
        if (axis < images) throw b.Refuse("it resizes an axis in front of all that it keeps");
        Var sizes = b.Node.Has("axes") ? b.X(3) : g.Concat(0, Enumerable.Range(0, rank).Select(a => Along(a, one, b.X(3).Slice(a, a + 1, 0))));
        Var y = g.Add("Resize", [unit, null, null, sizes], node =>
        {
            foreach (var attribute in b.Node.Attributes.Values) node.Set(attribute);
        });
        foreach (int other in Enumerable.Range(0, rank).Where(a => a != images && a != axis)) y = y.Slice(0, 1, other);
        return y.Reshape(g.Concat(0, n, m)).Cast(b.X().Element);
    }

    /// <summary>The scale of a node that keeps the aspect ratio; null where the axes have scales of their own, or only the sizes count.</summary>
    private static Var? CommonScale(Backward b)
    {
        string policy = b.Node.String("keep_aspect_ratio_policy", "stretch"), coordinates = b.Node.String("coordinate_transformation_mode", "half_pixel");
        if (policy == "stretch" || !b.HasX(3) || coordinates is "align_corners" or "tf_crop_and_resize") return null;
        if (coordinates == "half_pixel_symmetric" || b.Node.Int("antialias") != 0 || b.Node.Int("exclude_outside") != 0) return null;
        Var x = b.X(), dims = b.Node.Ints("axes") is { } axes ? b.Dims(x).Gather(b.Graph.Longs(b.Axes(x, axes))) : b.Dims(x);
        return b.Graph.Add(policy == "not_larger" ? "ReduceMin" : "ReduceMax", [b.X(3).Cast(ElementType.Float) / dims.Cast(ElementType.Float)], n => n.With("keepdims", 0L));
    }
}
