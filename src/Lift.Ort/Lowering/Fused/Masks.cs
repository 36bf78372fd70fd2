using Lift.Ort.Onnx;

namespace Lift.Ort.Lowering.Fused;

/// <summary>Padding masks of ONNX Runtime's attention operators, int32, in their several forms; each becomes an addend of the scores [B or 1, 1, S or 1, T].</summary>
internal static class Masks
{
    /// <summary>
    /// [B]: number of keys that count; [2·B]: where they end, then where they begin; [B, T] and [B, S, T]: 1 for a key that counts.
    /// A key that does not count gets <paramref name="filter"/> (−10000 where the operator has no other) added to its score.
    /// </summary>
    public static Var Padding(FusedNode n, Var mask, Var q, Var k, int axis, float filter) => n.Shared($"padding {mask.Name} {FusedNode.KeyOf(k, axis)} {filter} {q.Element}", () =>
    {
        Graph g = n.Graph;
        Var counted;
        switch (n.RankOf(mask))
        {
            case 1:
                if (mask.Shape![0].Value is { } length && q.Shape![0].Value is { } batch && length != batch && length != 2 * batch) throw n.Refuse($"its mask '{mask.Name}' {mask.Shape} is of packed sequences");
                Var rows = n.DimOf(q, 0), zero = g.Longs(0);
                Var end = g.Add("Slice", [mask, zero, rows, zero]);
                Var begin = g.Add("Slice", [g.Concat(0, mask, end - end), rows, rows * 2, zero]); // zeros where the mask has no second half
                Var at = n.Positions(k, axis).Cast(mask.Element).Unsqueeze(0);
                counted = g.Add("And", [g.Add("Less", [at, end.Unsqueeze(1)]), g.Add("GreaterOrEqual", [at, begin.Unsqueeze(1)])]).Unsqueeze(1, 2);
                break;
            case 2:
                counted = Positive(mask).Unsqueeze(1, 2);
                break;
            case 3:
                counted = Positive(mask).Unsqueeze(1);
                break;
            default:
                throw n.Refuse($"its mask '{mask.Name}' {mask.Shape} is of a rank that only other processors take");
        }
        return counted.Where(g.Scalar(0, q.Element), g.Scalar(filter, q.Element));
    });

    private static Var Positive(Var mask) => mask.Graph.Add("Greater", [mask, mask.Like(0)]);
}
