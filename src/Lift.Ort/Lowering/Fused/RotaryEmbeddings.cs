using Lift.Ort.Onnx;

namespace Lift.Ort.Lowering.Fused;

/// <summary>Rotary position embedding as an operator of its own, in both domains.</summary>
internal static class RotaryEmbeddings
{
    /// <summary>
    /// input [B, S, N·D] or [B, N, S, D], position_ids [1] (the first position) or [B, S], tables [P, R/2] ⇒ input with the first R entries of each head rotated.
    /// Source: com.microsoft.RotaryEmbedding.
    /// </summary>
    [Lowering("com.microsoft.RotaryEmbedding")]
    public static Var?[] RotaryEmbedding(FusedNode n)
    {
        if (n.Int("is_packed_batching") != 0) throw n.Refuse("its tokens are packed (is_packed_batching = 1)");
        Graph g = n.Graph;
        Var x = n.X(), ids = n.X(1), cos = n.Table(2), sin = n.Table(3);
        bool byHead = n.RankOf(x) == 4;
        if (n.RankOf(ids) == 2) return [Apply(n, x, Gathered(n, cos, ids, byHead), Gathered(n, sin, ids, byHead), cos)];
        Var length = n.DimOf(x, byHead ? 2 : 1);
        Var Rows(Var table) => n.Shared($"rotation rows {table.Name} {ids.Name} {FusedNode.KeyOf(x, byHead ? 2 : 1)} {byHead}", () =>
        {
            Var start = ids.Reshape(-1), rows = g.Add("Slice", [table, start, start + length, g.Longs(0)]);
            return byHead ? rows : rows.Unsqueeze(1);
        });
        return [Apply(n, x, Rows(cos), Rows(sin), cos)];
    }

    /// <summary>
    /// X [B, S, N·D] or [B, N, S, D], tables [P, R/2] with position_ids [B, S], or tables [B, S, R/2] without ⇒ X with the first R entries of each head rotated.
    /// Source: RotaryEmbedding of opset 23.
    /// </summary>
    [Lowering("RotaryEmbedding")]
    public static Var?[] Standard(FusedNode n)
    {
        Var x = n.X(), cos = n.Table(1), sin = n.Table(2);
        bool byHead = n.RankOf(x) == 4;
        if (n.Maybe(3) is { } ids) return [Apply(n, x, Gathered(n, cos, ids, byHead), Gathered(n, sin, ids, byHead), cos)];
        Var ForHeads(Var table) => n.Shared($"rotation of rows {table.Name} {byHead}", () => table.Unsqueeze(byHead ? 1 : 2));
        return [Apply(n, x, ForHeads(cos), ForHeads(sin), cos)];
    }

    /// <summary>q ⇒ q cos e + q′ sin e and the same of k, where e [B, S, D] are angles and ′ are the turned heads that the model computes itself. Source: com.microsoft.GemmaRotaryEmbedding.</summary>
    [Lowering("com.microsoft.GemmaRotaryEmbedding")]
    public static Var?[] Gemma(FusedNode n)
    {
        Graph g = n.Graph;
        ElementType type = n.X(1).Element;
        Var cos = g.Add("Cos", [n.X()]).Cast(type).Unsqueeze(1), sin = g.Add("Sin", [n.X()]).Cast(type).Unsqueeze(1);
        return [n.X(1) * cos + n.X(2) * sin, n.X(3) * cos + n.X(4) * sin];
    }

    /// <summary>The tables' rows for positions [B, S], as they broadcast against the heads.</summary>
    private static Var Gathered(FusedNode n, Var table, Var ids, bool byHead) =>
        n.Shared($"rotation gathered {table.Name} {ids.Name} {byHead}", () => table.Gather(ids).Unsqueeze(byHead ? 1 : 2));

    private static Var Apply(FusedNode n, Var x, Var cos, Var sin, Var table)
    {
        bool interleaved = n.Int("interleaved") == 1;
        if (n.RankOf(x) == 4) return Rotation.Rotate(n, x, cos, sin, interleaved);
        long heads = n.Int("num_heads"), size = table.Shape?[-1].Value * 2 ?? 0;
        if (heads == 0 && size == 0) throw n.Refuse("it has no attribute num_heads, and the width of its tables is unknown");
        Var split = heads > 0 ? x.Reshape(0, 0, heads, -1) : x.Reshape(0, 0, -1, size);
        return Rotation.Rotate(n, split, cos, sin, interleaved).Reshape(0, 0, -1);
    }
}
