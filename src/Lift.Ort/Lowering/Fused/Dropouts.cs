using Lift.Ort.Onnx;

namespace Lift.Ort.Lowering.Fused;

/// <summary>Dropout fused with sums or with a packed mask. Training keeps Dropout off, as at inference.</summary>
internal static class Dropouts
{
    /// <summary>y = x + bias (+ residual)</summary>
    [Lowering("com.microsoft.BiasDropout"), Lowering("com.microsoft.BitmaskBiasDropout")]
    public static Var?[] BiasDropout(FusedNode n)
    {
        Var y = n.X() + n.X(1);
        return [n.Maybe(2) is { } residual ? y + residual : y];
    }

    /// <summary>y = x</summary>
    [Lowering("com.microsoft.BitmaskDropout")]
    public static Var?[] BitmaskDropout(FusedNode n) => [n.X().Identity()];

    /// <summary>y = softmax(x + bias) over all axes from <c>axis</c> on; where the bias is repeated, its axes are 1 or left out</summary>
    [Lowering("com.microsoft.BiasSoftmax")]
    public static Var?[] BiasSoftmax(FusedNode n)
    {
        Graph g = n.Graph;
        Var sum = n.X() + n.X(1);
        int rank = n.RankOf(n.X());
        int axis = n.Axis(rank, "axis", 1);
        if (axis == rank - 1) return [g.Add("Softmax", [sum], a => a.With("axis", -1L))];
        Var dims = n.X().ShapeOf(), rows = g.Concat(0, dims.Slice(0, axis, 0), g.Longs(-1));
        return [g.Add("Softmax", [sum.Reshape(rows)], a => a.With("axis", -1L)).Reshape(dims)];
    }
}
