using Lift.Ort.Onnx;

namespace Lift.Ort.Lowering.Fused;

/// <summary>A cache that is written in place, as opset 24 says it. Source: TensorScatter in ONNX's operator reference.</summary>
internal static class CacheUpdates
{
    /// <summary>
    /// past_cache [B, …, T, …] with update [B, …, S, …] written from place write_indices[b] on (0 where absent) along axis (−2); in mode circular places go round at T.
    /// </summary>
    [Lowering("TensorScatter")]
    public static Var?[] Lower(FusedNode n)
    {
        Graph g = n.Graph;
        Var past = n.X(), update = n.X(1);
        int rank = n.RankOf(past), axis = (int)n.Int("axis", -2);
        if (axis < 0) axis += rank;
        if (axis < 1 || axis >= rank) throw n.Refuse($"its axis {n.Int("axis", -2)} is none of 1 to {rank - 1}");
        Var places = n.Positions(update, axis).Unsqueeze(0);
        if (n.Maybe(2) is { } start) places = start.Cast(ElementType.Int64).Unsqueeze(1) + places;
        if (n.Node.String("mode", "linear") == "circular") places = g.Add("Mod", [places, n.DimOf(past, axis)]);
        long[] others = [.. Enumerable.Range(1, rank - 1).Where(i => i != axis).Select(i => (long)i)];
        if (others.Length > 0) places = places.Unsqueeze(others);
        return [g.Add("ScatterElements", [past, places.Expand(update.ShapeOf()), update], s => s.With("axis", (long)axis))];
    }
}
