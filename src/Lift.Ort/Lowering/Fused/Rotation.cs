using Lift.Ort.Onnx;

namespace Lift.Ort.Lowering.Fused;

/// <summary>Rotary position embedding of values whose last axis is the head size D, by tables whose last axis is R/2: the first R ≤ D entries of a head are rotated.</summary>
internal static class Rotation
{
    /// <summary>
    /// (x₁, x₂) ⇒ (x₁ cos − x₂ sin, x₁ sin + x₂ cos), where x₁ and x₂ are the two halves of the rotated entries, or their even and odd ones when interleaved.
    /// </summary>
    /// <param name="cos">Cosines that broadcast against x without its last axis, then [R/2].</param>
    public static Var Rotate(FusedNode n, Var x, Var cos, Var sin, bool interleaved)
    {
        Graph g = x.Graph;
        long? rotated = cos.Shape?[-1].Value * 2, head = x.Shape?[-1].Value;
        if (rotated is not null && head == rotated) return Whole(n, x, cos, sin, interleaved);
        Var end = rotated is { } r ? g.Longs(r) : cos.ShapeOf().Slice(-1, long.MaxValue, 0) * 2, last = g.Longs(-1);
        Var first = g.Add("Slice", [x, g.Longs(0), end, last]), rest = g.Add("Slice", [x, end, g.Longs(long.MaxValue), last]);
        return g.Concat(-1, Whole(n, first, cos, sin, interleaved), rest);
    }

    /// <summary>The same where R is known to be the head size.</summary>
    private static Var Whole(FusedNode n, Var x, Var cos, Var sin, bool interleaved) => interleaved ? Pairs(x, cos, sin) : Halves(n, x, cos, sin);

    /// <summary>Both halves of a table for <see cref="Rotate"/> of halves: [.., R/2] ⇒ [.., R].</summary>
    private static Var Twice(FusedNode n, Var table) => n.Shared($"twice {table.Name}", () => n.Graph.Concat(-1, table, table));

    /// <summary>x · (cos, cos) + (−x₂, x₁) · (sin, sin): the form that a session knows as one operator.</summary>
    private static Var Halves(FusedNode n, Var x, Var cos, Var sin)
    {
        Graph g = x.Graph;
        Var[] halves;
        if ((x.Shape?[-1].Value ?? cos.Shape?[-1].Value * 2) is { } size) halves = Split(x, -1, size / 2, size / 2);
        else
        {
            Var half = cos.ShapeOf().Slice(-1, long.MaxValue, 0), zero = g.Longs(0), last = g.Longs(-1);
            halves = [g.Add("Slice", [x, zero, half, last]), g.Add("Slice", [x, half, g.Longs(long.MaxValue), last])];
        }
        return x * Twice(n, cos) + g.Concat(-1, -halves[1], halves[0]) * Twice(n, sin);
    }

    private static Var Pairs(Var x, Var cos, Var sin)
    {
        Graph g = x.Graph;
        Var pairs = x.Reshape(g.Concat(0, x.ShapeOf().Slice(0, -1, 0), g.Longs(-1, 2)));
        Var[] parts = Split(pairs, -1, 1, 1);
        (cos, sin) = (cos.Unsqueeze(-1), sin.Unsqueeze(-1));
        return g.Concat(-1, parts[0] * cos - parts[1] * sin, parts[0] * sin + parts[1] * cos).Reshape(x.ShapeOf());
    }

    /// <summary>Parts of given sizes along an axis.</summary>
    public static Var[] Split(Var x, long axis, params long[] sizes) =>
        x.Graph.AddMany("Split", sizes.Length, [x, x.Graph.Longs(sizes)], n => n.With("axis", axis));
}
