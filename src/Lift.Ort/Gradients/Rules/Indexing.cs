using Lift.Ort.Onnx;

namespace Lift.Ort.Gradients.Rules;

/// <summary>Rules of operators that pick elements by index: gradients are added up where an element was picked more than once.</summary>
internal static class Indexing
{
    /// <summary>y = x[indices] along an axis ⇒ dx = GatherGrad(shape of x, indices, dy): dy added into zeros at the indices</summary>
    [Gradient("Gather")]
    public static Var?[] Gather(Backward b)
    {
        Var x = b.X(), indices = b.X(1), dy = b.Dy;
        int rank = b.RankOf(x), axis = b.Axis(rank, 0);
        if (axis == 0) return [b.Like(Scatter(b, b.Dims(x), indices, dy), x)];
        // GatherGrad's fallback knows axis 0 only, so the picked axes travel to the front and back.
        int picked = b.RankOf(indices), rankY = rank - 1 + picked;
        long[] front = [.. Enumerable.Range(axis, picked), .. Enumerable.Range(0, axis), .. Enumerable.Range(axis + picked, rankY - axis - picked)];
        long[] order = [axis, .. Enumerable.Range(0, axis), .. Enumerable.Range(axis + 1, rank - axis - 1)];
        var back = new long[rank];
        for (int i = 0; i < rank; i++) back[order[i]] = i;
        Var moved = Scatter(b, b.Dims(x).Gather(b.Graph.Longs(order)), indices, dy.Transpose(front));
        return [b.Like(moved.Transpose(back), x)];
    }

    /// <summary>y = x picked element by element ⇒ dx = dy added into zeros at the indices</summary>
    [Gradient("GatherElements")]
    public static Var?[] GatherElements(Backward b) => [b.Graph.Add("ScatterElements", [b.ZerosLike(b.X()), b.X(1), b.Dy], n =>
        n.With("axis", b.Node.Int("axis")).With("reduction", "add"))];

    /// <summary>y = slices of x at index tuples ⇒ dx = dy added into zeros there</summary>
    [Gradient("GatherND")]
    public static Var?[] GatherND(Backward b)
    {
        if (b.Node.Int("batch_dims") != 0) throw b.Refuse("batch_dims other than 0 is not supported");
        return [b.Graph.Add("ScatterND", [b.ZerosLike(b.X()), b.X(1), b.Dy], n => n.With("reduction", "add"))];
    }

    /// <summary>y = x with updates u at the indices ⇒ dx = dy with zeros there, du = dy there (with reduction add: dx = dy)</summary>
    [Gradient("ScatterElements")]
    public static Var?[] ScatterElements(Backward b)
    {
        long axis = b.Node.Int("axis");
        Var du = b.Graph.Add("GatherElements", [b.Dy, b.X(1)], n => n.With("axis", axis));
        return [Adds(b) ? b.Dy : b.Graph.Add("ScatterElements", [b.Dy, b.X(1), b.ZerosLike(b.X(2))], n => n.With("axis", axis)), null, du];
    }

    /// <summary>y = x with slices u at the index tuples ⇒ dx = dy with zeros there, du = dy there (with reduction add: dx = dy)</summary>
    [Gradient("ScatterND")]
    public static Var?[] ScatterND(Backward b)
    {
        Var du = b.Graph.Add("GatherND", [b.Dy, b.X(1)]);
        return [Adds(b) ? b.Dy : b.Graph.Add("ScatterND", [b.Dy, b.X(1), b.ZerosLike(b.X(2))]), null, du];
    }

    /// <summary>values, indices = the k largest ⇒ dx = dvalues scattered into zeros at the indices</summary>
    [Gradient("TopK")]
    public static Var?[] TopK(Backward b) =>
        [b.Graph.Add("ScatterElements", [b.ZerosLike(b.X()), b.Out(1), b.Dy], n => n.With("axis", b.Node.Int("axis", -1)))];

    private static Var Scatter(Backward b, Var shape, Var indices, Var dy) =>
        b.Graph.Add("GatherGrad", [shape, indices, dy], n => n.With("axis", 0L), "com.microsoft");

    private static bool Adds(Backward b) => b.Node.String("reduction", "none") switch
    {
        "none" => false,
        "add" => true,
        var other => throw b.Refuse($"reduction '{other}' is not supported"),
    };
}
