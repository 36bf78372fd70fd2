using Lift.Ort.Onnx;

namespace Lift.Ort.Gradients.Rules;

/// <summary>Rules of operators that pick elements by index: gradients are added up where an element was picked more than once.</summary>
internal static class Indexing
{
    /// <summary>y = x[indices] along an axis ⇒ dx = GatherGrad(shape of x, indices, dy): dy added into zeros at the indices</summary>
    [Gradient("Gather"), Gradient("com.microsoft.ShrunkenGather")]
    public static Var?[] Gather(Backward b) => [b.Like(Scatter(b, b.X(), b.X(1), b.Dy, b.Axis(b.RankOf(b.X()), 0)), b.X())];

    /// <summary>y = x picked element by element ⇒ dx = dy added into zeros at the indices</summary>
    [Gradient("GatherElements")]
    public static Var?[] GatherElements(Backward b) => [b.Graph.Add("ScatterElements", [b.ZerosLike(b.X()), b.X(1), b.Dy], n =>
        n.With("axis", b.Node.Int("axis")).With("reduction", "add"))];

    /// <summary>y = slices of x at index tuples (below the leading batch_dims axes) ⇒ dx = dy added into zeros there</summary>
    [Gradient("GatherND"), Gradient("com.microsoft.GatherND")]
    public static Var?[] GatherND(Backward b) =>
        [b.Graph.Add("ScatterND", [b.ZerosLike(b.X()), Absolute(b, (int)b.Node.Int("batch_dims")).Cast(ElementType.Int64), b.Dy], n => n.With("reduction", "add"))];

    /// <summary>values, indices = the k largest ⇒ dx = dvalues scattered into zeros at the indices</summary>
    [Gradient("TopK")]
    public static Var?[] TopK(Backward b) =>
        [b.Graph.Add("ScatterElements", [b.ZerosLike(b.X()), b.Out(1), b.Dy], n => n.With("axis", b.Node.Int("axis", -1)))];

    /// <summary>y = the slices of x (or, without an axis, its elements) where the condition holds ⇒ dx = dy put back there, zeros elsewhere</summary>
    [Gradient("Compress")]
    public static Var?[] Compress(Backward b)
    {
        Var x = b.X(), places = b.Graph.Add("NonZero", [b.X(1)]).Reshape(-1);
        if (b.Node.Has("axis")) return [b.Like(Scatter(b, x, places, b.Dy, b.Axis(b.RankOf(x), 0)), x)];
        return [b.Graph.Add("ScatterElements", [b.ZerosLike(x).Reshape(-1), places, b.Dy], n => n.With("axis", 0L)).Reshape(b.Dims(x))];
    }

    /// <summary>y = x with the first steps of each sequence in reverse order ⇒ dx = dy reversed in the same way</summary>
    [Gradient("ReverseSequence")]
    public static Var?[] ReverseSequence(Backward b) => [b.Graph.Add("ReverseSequence", [b.Dy, b.X(1)], n =>
        n.With("batch_axis", b.Node.Int("batch_axis", 1)).With("time_axis", b.Node.Int("time_axis")))];

    /// <summary>y = off, but on at the index, (off, on) = values ⇒ dvalues = (Σ dy elsewhere, Σ dy at the index); depth and indices are no reals</summary>
    [Gradient("OneHot")]
    public static Var?[] OneHot(Backward b)
    {
        Var hit = b.Graph.Add("OneHot", [b.X(0), b.X(1), b.Graph.Constant<float>([0, 1])], n => n.With("axis", b.Node.Int("axis", -1))).Cast(b.X(2).Element);
        Var on = (b.Dy * hit).Reshape(-1).ReduceSum([0]), all = b.Dy.Reshape(-1).ReduceSum([0]);
        return [null, null, b.Graph.Concat(0, all - on, on)];
    }

    /// <summary>y = rows of x put among rows of zeros, whose axis becomes two ⇒ dx = those rows of dy</summary>
    [Gradient("com.microsoft.PadAndUnflatten")]
    public static Var?[] PadAndUnflatten(Backward b) => [b.Like(b.Graph.AddMany("FlattenAndUnpad", 2, [b.Dy, b.X(1)], domain: "com.microsoft")[0], b.X())];

    /// <summary>y = the rows of x at the indices, counted over its first two axes ⇒ dx = dy put among rows of zeros</summary>
    [Gradient("com.microsoft.FlattenAndUnpad")]
    public static Var?[] FlattenAndUnpad(Backward b) => [b.Like(b.Training("PadAndUnflatten", b.Dy, b.X(1), b.Out(1)), b.X())];

    /// <summary>Zeros like x, with dy added at the indices of an axis. GatherGrad's fallback knows axis 0 only, so the picked axes travel to the front and back.</summary>
    private static Var Scatter(Backward b, Var x, Var indices, Var dy, int axis)
    {
        int rank = b.RankOf(x);
        if (axis == 0) return b.Graph.Add("GatherGrad", [b.Dims(x), indices, dy], n => n.With("axis", 0L), "com.microsoft");
        int picked = b.RankOf(indices), rankY = rank - 1 + picked;
        long[] front = [.. Enumerable.Range(axis, picked), .. Enumerable.Range(0, axis), .. Enumerable.Range(axis + picked, rankY - axis - picked)];
        long[] order = [axis, .. Enumerable.Range(0, axis), .. Enumerable.Range(axis + 1, rank - axis - 1)];
        var back = new long[rank];
        for (int i = 0; i < rank; i++) back[order[i]] = i;
        Var dims = b.Dims(x).Gather(b.Graph.Longs(order));
        return b.Graph.Add("GatherGrad", [dims, indices, dy.Transpose(front)], n => n.With("axis", 0L), "com.microsoft").Transpose(back);
    }

    /// <summary>The index tuples of GatherND with the places of the batch axes in front, as ScatterND wants them.</summary>
    private static Var Absolute(Backward b, int batch)
    {
        Var indices = b.X(1);
        if (batch == 0) return indices;
        int rank = b.RankOf(indices);
        if (batch < 0 || batch >= rank) throw b.Refuse($"its batch_dims {batch} is none of 0 to {rank - 1}");
        Var dims = b.Graph.Concat(0, [.. Enumerable.Range(0, rank - 1).Select(axis => b.DimOf(indices, axis)), b.Graph.Longs(1)]);
        IEnumerable<Var> places = Enumerable.Range(0, batch).Select(axis =>
        {
            long[] column = [.. Enumerable.Repeat(1L, rank)];
            column[axis] = -1;
            return b.Range(b.DimOf(indices, axis)).Reshape(column).Expand(dims);
        });
        return b.Graph.Concat(rank - 1, [.. places, indices.Cast(ElementType.Int64)]);
    }
}
