using Lift.Ort.Onnx;

namespace Lift.Ort.Lowering.Fused;

/// <summary>Attention of opset 23 and 24: queries may share key-value heads, a mask of bools or floats, a cache. Source: Attention in ONNX's operator reference.</summary>
internal static class StandardAttention
{
    // Q, K, V, attn_mask, past_key, past_value, nonpad_kv_seqlen
    private const int Mask = 3, PastKey = 4, PastValue = 5, Lengths = 6;

    /// <summary>
    /// softmax(cap(q kᵀ · scale) + masks) v; Q [B, N, S, D] or [B, S, N·D] with q_num_heads, K and V likewise. Outputs: Y in Q's form, present key and value
    /// [B, K, T, D], and the scores as qk_matmul_output_mode says: 0 as computed, 1 with softcap and 2 with masks too, 3 after the softmax.
    /// </summary>
    [Lowering("Attention")]
    public static Var?[] Lower(FusedNode n)
    {
        Graph g = n.Graph;
        bool flat = n.RankOf(n.X()) == 3;
        long Number(string attribute, int input) => flat ? n.Count(attribute) : n.X(input).Shape?[1].Value ?? n.Int(attribute);
        long count = Number("q_num_heads", 0), shared = Number("kv_num_heads", 1);
        if (count < 1 || shared < 1) throw n.Refuse("its number of heads is not known");
        var heads = new Heads(n, count, shared);
        Var q = flat ? heads.Queries(n.X()) : heads.QueriesByHead(n.X());
        Var k = flat ? heads.Keys(n.X(1)) : heads.KeysByHead(n.X(1)), v = flat ? heads.Keys(n.X(2)) : heads.KeysByHead(n.X(2));
        Var? before = null;
        if (n.Maybe(PastKey) is { } past && past.Shape?[2].Value != 0)
        {
            before = n.DimOf(past, 2);
            (k, v) = (g.Concat(heads.Axis, heads.KeysByHead(past), k), g.Concat(heads.Axis, heads.KeysByHead(n.X(PastValue)), v));
        }
        Var computed = heads.Scores(q, k, n.Float("scale")), capped = Heads.Cap(computed, n.Float("softcap")), masked = capped;
        if (n.Maybe(Mask) is { } mask) masked += heads.Bias(mask.Element == ElementType.Bool ? heads.Blocked(mask, q.Element) : mask);
        if (n.Maybe(Lengths) is { } lengths) masked += heads.Blocked(g.Add("Less", [n.Positions(k, heads.Axis), lengths.Reshape(heads.Axis == 2 ? [-1, 1, 1, 1] : [-1, 1, 1, 1, 1])]), q.Element);
        if (n.Int("is_causal") == 1) masked += heads.Causal(q, k, before, 0, q.Element);
        var precision = (ElementType)n.Int("softmax_precision", (long)q.Element);
        Var shares = heads.Shares(masked.Cast(precision), null).Cast(q.Element);
        Var y = shares.MatMul(v);
        Var? scores = !n.Wants(3) ? null : heads.ByHead(n.Int("qk_matmul_output_mode") switch { 0 => computed, 1 => capped, 2 => masked, _ => shares });
        return [flat ? heads.Join(y) : heads.ByHead(y), n.Wants(1) ? heads.Cache(k) : null, n.Wants(2) ? heads.Cache(v) : null, scores];
    }
}
