using Lift.Ort.Onnx;

namespace Lift.Ort.Gradients.Rules;

/// <summary>Rules of operators that move elements without changing them: the gradient moves back.</summary>
internal static class Shaping
{
    /// <summary>y = x in another shape ⇒ dx = dy in x's shape</summary>
    [Gradient("Reshape"), Gradient("Flatten"), Gradient("Squeeze"), Gradient("Unsqueeze")]
    public static Var?[] Reshape(Backward b) => [b.Like(b.Dy.Reshape(b.Dims(b.X())), b.X())];

    /// <summary>y = x with axes permuted by p ⇒ dx = dy permuted by p⁻¹</summary>
    [Gradient("Transpose")]
    public static Var?[] Transpose(Backward b)
    {
        long[] p = b.Node.Ints("perm") ?? [.. Enumerable.Range(0, b.RankOf(b.X())).Select(i => (long)i).Reverse()];
        var inverse = new long[p.Length];
        for (int i = 0; i < p.Length; i++) inverse[p[i]] = i;
        Var dy = b.Dy;
        // (A' B')ᵀ = B'ᵀ A'ᵀ: a weight that is stored [out, in] and transposed before its product gets its gradient straight in its own layout.
        if (p is [1, 0] && b.Graph.Nodes.FindLast(n => n.Outputs[0] == dy.Name) is { OpType: "Gemm", Inputs.Count: 2 } g)
            return [b.Gemm(b.Graph.Var(g.Inputs[1]), b.Graph.Var(g.Inputs[0]), g.Int("transB") == 0, g.Int("transA") == 0, g.Float("alpha", 1))];
        return [dy.Transpose(inverse)];
    }

    /// <summary>y = x repeated to a larger shape ⇒ dx = dy summed back</summary>
    [Gradient("Expand", Broadcasts = true)]
    public static Var?[] Expand(Backward b) => [b.Dy];

    /// <summary>y = [x₀, x₁, …] ⇒ dxᵢ = its part of dy</summary>
    [Gradient("Concat"), Gradient("com.microsoft.ConcatTraining")]
    public static Var?[] Concat(Backward b)
    {
        int axis = b.Axis(b.RankOf(b.Y), 0);
        if (b.InputCount == 1) return [b.Dy];
        Var sizes = b.Graph.Concat(0, Enumerable.Range(0, b.InputCount).Select(i => b.DimOf(b.X(i), axis)));
        Var[] parts = b.Graph.AddMany("Split", b.InputCount, [b.Dy, sizes], n => n.With("axis", (long)axis));
        return [.. parts.Select((p, i) => b.Like(p, b.X(i)))];
    }

    /// <summary>[y₀, y₁, …] = x ⇒ dx = [dy₀, dy₁, …], zeros where a part was not used</summary>
    [Gradient("Split")]
    public static Var?[] Split(Backward b)
    {
        int axis = b.Axis(b.RankOf(b.X()), 0);
        return [b.Graph.Concat(axis, Enumerable.Range(0, b.OutputCount).Select(i => b.DyOf(i) ?? b.ZerosLike(b.Out(i))))];
    }

    /// <summary>y = x[start:end:step] ⇒ dx = dy with zeros around it (step 1), or scattered into zeros</summary>
    [Gradient("Slice")]
    public static Var?[] Slice(Backward b)
    {
        Var x = b.X();
        int rank = b.RankOf(x);
        long[]? starts = b.Longs(b.Node.Inputs[1]);
        long[]? axes = b.HasX(3) ? b.Longs(b.Node.Inputs[3]) : starts is null ? null : [.. Enumerable.Range(0, starts.Length).Select(i => (long)i)];
        long[]? steps = b.HasX(4) ? b.Longs(b.Node.Inputs[4]) : [];
        bool contiguous = starts is not null && axes is not null && steps is not null && steps.All(s => s == 1) && starts.All(s => s >= 0);
        return [b.Like(contiguous ? PadAround(b, x, rank, starts!, axes!) : ScatterBack(b, x), x)];
    }

    /// <summary>y = x repeated n times along each axis ⇒ dx = Σ over the repeats</summary>
    [Gradient("Tile")]
    public static Var?[] Tile(Backward b)
    {
        Var x = b.X();
        int rank = b.RankOf(x);
        Var split = b.Graph.Concat(1, b.X(1).Unsqueeze(1), b.Dims(x).Unsqueeze(1)).Reshape(-1); // n₀, d₀, n₁, d₁, …
        return [b.Like(b.Dy.Reshape(split).ReduceSum([.. Enumerable.Range(0, rank).Select(i => 2L * i)], keepDims: false), x)];
    }

    /// <summary>
    /// y = x with a border ⇒ constant: dx = dy with the opposite border (a cut for what was added, zeros for what was cut), dconstant = the rest of dy; reflect, edge, wrap:
    /// dy added at the elements that the border repeats, which the node itself names when it pads their numbers.
    /// </summary>
    [Gradient("Pad")]
    public static Var?[] Pad(Backward b)
    {
        Var x = b.X(), pads = b.X(1);
        Var? axes = b.HasX(3) ? b.X(3) : null;
        if (b.Node.String("mode", "constant") == "constant")
        {
            Var dx = b.Like(b.Graph.Add("Pad", axes is null ? [b.Dy, -pads] : [b.Dy, -pads, null, axes]), x);
            return [dx, null, b.Needs(2) ? b.Like(All(b.Dy) - All(dx), b.X(2)) : null];
        }
        Var dims = b.Dims(x), count = b.Graph.Add("ReduceProd", [dims], n => n.With("keepdims", 0L));
        Var numbers = b.Graph.Add("Range", [b.Graph.Scalar(0, ElementType.Int64), count, b.Graph.Scalar(1, ElementType.Int64)]).Reshape(dims);
        Var repeated = b.Graph.Add("Pad", axes is null ? [numbers, pads] : [numbers, pads, null, axes], n => n.With("mode", b.Node.String("mode"))).Reshape(-1);
        Var zeros = count.Reshape(1).Filled(0).Cast(x.Element);
        return [b.Like(b.Graph.Add("ScatterElements", [zeros, repeated, b.Dy.Reshape(-1)], n => n.With("axis", 0L).With("reduction", "add")).Reshape(dims), x)];
    }

    private static Var All(Var x) => x.Reshape(-1).ReduceSum([0], keepDims: false);

    /// <summary>y = the upper or lower triangle of x ⇒ dx = that triangle of dy</summary>
    [Gradient("Trilu")]
    public static Var?[] Trilu(Backward b) =>
        [b.Graph.Add("Trilu", [b.Dy, b.HasX(1) ? b.X(1) : null], n => n.With("upper", b.Node.Int("upper", 1)))];

    /// <summary>y = depth moved into blocks of space ⇒ dx = the blocks of dy moved back</summary>
    [Gradient("DepthToSpace")]
    public static Var?[] DepthToSpace(Backward b)
    {
        if (b.Node.String("mode", "DCR") == "DCR") return [b.Graph.Add("SpaceToDepth", [b.Dy], n => n.With("blocksize", b.Node.Int("blocksize")))];
        long s = b.Node.Int("blocksize");
        Var x = b.X();
        Var dims = b.Dims(x), h = b.DimOf(x, 2), w = b.DimOf(x, 3);
        Var blocks = b.Dy.Reshape(b.Graph.Concat(0, b.DimOf(x, 0), b.DimOf(x, 1) / b.Graph.Longs(s * s), h, b.Graph.Longs(s), w, b.Graph.Longs(s)));
        return [b.Like(blocks.Transpose(0, 1, 3, 5, 2, 4).Reshape(dims), x)];
    }

    /// <summary>y = blocks of space moved into depth ⇒ dx = the depth of dy moved back</summary>
    [Gradient("SpaceToDepth")]
    public static Var?[] SpaceToDepth(Backward b) => [b.Graph.Add("DepthToSpace", [b.Dy], n => n.With("blocksize", b.Node.Int("blocksize")).With("mode", "DCR"))];

    private static Var PadAround(Backward b, Var x, int rank, long[] starts, long[] axes)
    {
        var before = new long[rank];
        for (int i = 0; i < axes.Length; i++) before[axes[i] < 0 ? axes[i] + rank : axes[i]] = starts[i];
        Var front = b.Graph.Longs(before);
        if (x.Shape!.IsStatic && b.Y.Shape is { IsStatic: true } y)
        {
            for (int i = 0; i < rank; i++) before[i] = Math.Min(before[i], x.Shape[i].Value!.Value); // a start past the end
            long[] after = [.. Enumerable.Range(0, rank).Select(i => x.Shape[i].Value!.Value - y[i].Value!.Value - before[i])];
            return b.Graph.Add("Pad", [b.Dy, b.Graph.Longs([.. before, .. after])]);
        }
        // A start past the end gives an empty slice; the border is then cut to x's size by the formula itself.
        Var dims = x.ShapeOf();
        front = b.Graph.Add("Min", [front, dims]);
        return b.Graph.Add("Pad", [b.Dy, b.Graph.Concat(0, front, dims - b.Y.ShapeOf() - front)]);
    }

    private static Var ScatterBack(Backward b, Var x)
    {
        Var dims = b.Dims(x), count = dims.Graph.Add("ReduceProd", [dims], n => n.With("keepdims", 0L));
        Var positions = b.Graph.Add("Range", [x.Graph.Scalar(0, ElementType.Int64), count, x.Graph.Scalar(1, ElementType.Int64)]).Reshape(dims);
        Var[] arguments = [.. Enumerable.Range(1, b.InputCount - 1).Where(b.HasX).Select(b.X)];
        Var picked = b.Graph.Add("Slice", [positions, .. arguments]).Reshape(-1);
        Var zeros = count.Reshape(1).Filled(0).Cast(b.Dy.Element);
        return b.Graph.Add("ScatterElements", [zeros, picked, b.Dy.Reshape(-1)], n => n.With("axis", 0L)).Reshape(dims);
    }
}
