using Lift.Ort.Onnx;

namespace Lift.Ort.Lowering.Fused;

/// <summary>Operators that ONNX has too: ONNX Runtime's own spelling of them, from before the standard had them.</summary>
internal static class OwnSpellings
{
    private const long MostWindow = 1 << 20; // elements; a window's indices are a constant of the graph

    /// <summary>y = x with a border; the pads may lie in a matrix of one row</summary>
    [Lowering("com.microsoft.Pad")]
    public static Var?[] Pad(FusedNode n) => [n.Graph.Add("Pad", [n.X(), n.X(1).Cast(ElementType.Int64).Reshape(-1), n.Maybe(2)], n.Copy("mode"))];

    /// <summary>y = the upper or lower triangle of x</summary>
    [Lowering("com.microsoft.Trilu")]
    public static Var?[] Trilu(FusedNode n) => [n.Graph.Add("Trilu", [n.X(), n.Maybe(1)], n.Copy("upper"))];

    /// <summary>y = x read at the points of a grid</summary>
    [Lowering("com.microsoft.GridSample")]
    public static Var?[] GridSample(FusedNode n) => [n.Graph.Add("GridSample", [n.X(), n.X(1)], a =>
    {
        n.Copy("align_corners", "padding_mode")(a);
        a.With("mode", Mode(n));
    })];

    /// <summary>y = x with an axis of 1 more</summary>
    [Lowering("com.microsoft.ExpandDims")]
    public static Var?[] ExpandDims(FusedNode n) => [n.Graph.Add("Unsqueeze", [n.X(), n.X(1).Cast(ElementType.Int64).Reshape(-1)])];

    /// <summary>y = x</summary>
    [Lowering("com.microsoft.SampleOp")]
    public static Var?[] SampleOp(FusedNode n) => [n.X().Identity()];

    /// <summary>y = windows of x along an axis, whose places stand in that axis and whose elements in a new last one</summary>
    [Lowering("com.microsoft.UnfoldTensor")]
    public static Var?[] UnfoldTensor(FusedNode n)
    {
        Graph g = n.Graph;
        Var x = n.X();
        int rank = n.RankOf(x);
        int axis = n.Axis(rank, "dim", -1);
        long size = n.Count("size"), step = n.Int("step", 1);
        if (size > MostWindow) throw n.Refuse($"its windows have {size} elements, more than {MostWindow}");
        Var places = g.Add("Range", [g.Scalar(0, ElementType.Int64), (n.DimOf(x, axis) - g.Longs(size - 1)).Reshape([]), g.Scalar(step, ElementType.Int64)]);
        Var windows = x.Gather(places.Unsqueeze(1) + g.Longs([.. Enumerable.Range(0, (int)size)]), axis); // […, places, size, …]
        return [windows.Transpose([.. Enumerable.Range(0, axis + 1), .. Enumerable.Range(axis + 2, rank - axis - 1), axis + 1])];
    }

    /// <summary>d[i, j] = ‖aᵢ − bⱼ‖, or its square. Source: scipy.spatial.distance.cdist.</summary>
    [Lowering("com.microsoft.CDist")]
    public static Var?[] CDist(FusedNode n)
    {
        Var difference = n.X().Unsqueeze(1) - n.X(1).Unsqueeze(0);
        return [n.Node.String("metric", "sqeuclidean") switch
        {
            "euclidean" => difference.Reduce("ReduceL2", [2], keepDims: false),
            "sqeuclidean" => difference.Reduce("ReduceSumSquare", [2], keepDims: false),
            var other => throw n.Refuse($"its metric '{other}' is not known"),
        }];
    }

    /// <summary>y = a b of complex numbers, whose parts lie along the last axis</summary>
    [Lowering("com.microsoft.ComplexMul")]
    public static Var?[] ComplexMul(FusedNode n) => [Product(n, 1)];

    /// <summary>y = a b̄</summary>
    [Lowering("com.microsoft.ComplexMulConj")]
    public static Var?[] ComplexMulConj(FusedNode n) => [Product(n, -1)];

    private static Var Product(FusedNode n, double sign)
    {
        Var[] a = Rotation.Split(n.X(), -1, 1, 1), b = Rotation.Split(n.X(1), -1, 1, 1);
        Var imaginary = sign < 0 ? -b[1] : b[1];
        return n.Graph.Concat(-1, a[0] * b[0] - a[1] * imaginary, a[0] * imaginary + a[1] * b[0]);
    }

    /// <summary>Opset 20 renamed the modes.</summary>
    private static string Mode(FusedNode n) => n.Node.String("mode", "bilinear") switch
    {
        "bilinear" when n.Graph.Opset >= 20 => "linear",
        "bicubic" when n.Graph.Opset >= 20 => "cubic",
        var mode => mode,
    };
}
