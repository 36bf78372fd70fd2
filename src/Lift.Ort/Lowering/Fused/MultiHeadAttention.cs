using Lift.Ort.Onnx;

namespace Lift.Ort.Lowering.Fused;

/// <summary>Attention with as many key-value heads as query heads, in ONNX Runtime's two forms: with and without the projection before it.</summary>
internal static class MultiHeadAttention
{
    /// <summary>
    /// softmax(q kᵀ · scale + masks) v; query [B, S, N·D], or [B, S, N, 3, D] with key and value packed in; key [B, T, N·D], [B, T, N, 2, D] with the value packed
    /// in, or [B, N, T, D]. Outputs: [B, S, N·D], present key and value [B, N, T, D], the scores. Source: com.microsoft.MultiHeadAttention.
    /// </summary>
    [Lowering("com.microsoft.MultiHeadAttention")]
    public static Var?[] Lower(FusedNode n)
    {
        if (n.Has(8) || n.Has(9)) throw n.Refuse("its cache is a buffer shared by past and present");
        var heads = new Heads(n, n.Count("num_heads"), n.Count("num_heads"));
        var (q, k, v) = Projected(n, heads);
        (q, k, v) = (heads.Queries(q), n.RankOf(k) == 4 && n.Has(1) && n.RankOf(n.X(1)) == 4 ? k : heads.Keys(k), n.Has(2) && n.RankOf(n.X(2)) == 4 ? v : heads.Keys(v));
        Var? before = null;
        if (n.Maybe(6) is { } past && past.Shape?[2].Value != 0)
        {
            before = n.DimOf(past, 2);
            (k, v) = (n.Graph.Concat(2, past, k), n.Graph.Concat(2, n.X(7), v));
        }
        var (y, scores) = Attend(n, heads, q, k, v, n.Maybe(4), n.Maybe(5), before);
        return [heads.Join(y), k, v, scores];
    }

    /// <summary>
    /// input [B, S, I] · weights [I, Hq + Hk + Hv] + bias, then as MultiHeadAttention; past and present [2, B, N, T, D]. Source: com.microsoft.Attention.
    /// </summary>
    [Lowering("com.microsoft.Attention")]
    public static Var?[] WithProjection(FusedNode n)
    {
        if (n.Int("do_rotary") != 0) throw n.Refuse("it rotates queries and keys by angles of its own (do_rotary = 1)");
        if (n.Int("past_present_share_buffer") != 0 || n.Has(6)) throw n.Refuse("its cache is a buffer shared by past and present");
        Graph g = n.Graph;
        var heads = new Heads(n, n.Count("num_heads"), n.Count("num_heads"));
        Var all = n.X().MatMul(n.X(1));
        if (n.Maybe(2) is { } bias) all += bias;
        long[]? sizes = n.Node.Ints("qkv_hidden_sizes") is { Length: 3 } given ? given : all.Shape?[-1].Value is { } width ? [width / 3, width / 3, width / 3] : null;
        Var[] parts = sizes is not null ? Rotation.Split(all, -1, sizes) : [.. Rotation.Split(all.Reshape(0, 0, 3, -1), 2, 1, 1, 1).Select(p => p.Squeeze(2))];
        Var q = heads.Queries(parts[0]), k = heads.Keys(parts[1]), v = heads.Keys(parts[2]);
        Var? before = null;
        if (n.Maybe(4) is { } past && past.Shape?[3].Value != 0)
        {
            before = n.DimOf(past, 3);
            Var Half(int index) => past.Gather(g.Scalar(index, ElementType.Int64));
            (k, v) = (g.Concat(2, Half(0), k), g.Concat(2, Half(1), v));
        }
        Var y = Attend(n, heads, q, k, v, n.Maybe(3), n.Maybe(5), before).Result;
        return [heads.Join(y), n.Wants(1) ? g.Concat(0, k.Unsqueeze(0), v.Unsqueeze(0)) : null];
    }

    private static (Var Result, Var Scores) Attend(FusedNode n, Heads heads, Var q, Var k, Var v, Var? mask, Var? bias, Var? past)
    {
        Var scores = heads.Scores(q, k, n.Float("scale"));
        if (bias is not null) scores += heads.Bias(bias);
        if (mask is not null) scores += Masks.Padding(n, mask, q, k, heads.Axis, n.Float("mask_filter_value", -10000));
        if (n.Int("unidirectional") == 1) scores += heads.Causal(q, k, past, 0, scores.Element);
        return (heads.Shares(scores, null).MatMul(v), scores);
    }

    /// <summary>Query, key and value unpacked, with their parts of the bias [Hq + Hk + Hv] added; a cached key or value has its bias already.</summary>
    private static (Var Q, Var K, Var V) Projected(FusedNode n, Heads heads)
    {
        Var q = n.X();
        Var? k = n.Maybe(1), v = n.Maybe(2);
        if (n.RankOf(q) == 5)
        {
            Var[] three = [.. Rotation.Split(q, 3, 1, 1, 1).Select(p => p.Squeeze(3))];
            (q, k, v) = (three[0], three[1], three[2]);
        }
        else if (k is not null && n.RankOf(k) == 5)
        {
            Var[] two = [.. Rotation.Split(k, 3, 1, 1).Select(p => p.Squeeze(3))];
            (k, v) = (two[0], two[1]);
        }
        if (k is null || v is null) throw n.Refuse("it has a query of rank 3 but no key or no value");
        if (n.Maybe(3) is not { } bias) return (q, k, v);
        bool cached = n.Has(1) && n.RankOf(n.X(1)) == 4;
        Var[] biases = Biases(n, heads, bias, q);
        return (q + biases[0], cached ? k : k + biases[1], cached ? v : v + biases[2]);
    }

    /// <summary>The three parts of a bias: the first two as wide as the query; [N, D] each where heads have an axis of their own.</summary>
    private static Var[] Biases(FusedNode n, Heads heads, Var bias, Var q)
    {
        bool split = n.RankOf(q) == 4;
        Var width = split ? n.DimOf(q, 3) * heads.Count : n.DimOf(q, 2);
        Var Part(Var from, Var to) => n.Graph.Add("Slice", [bias, from, to, n.Graph.Longs(0)]);
        Var[] parts = [Part(n.Graph.Longs(0), width), Part(width, width * 2), Part(width * 2, n.Graph.Longs(long.MaxValue))];
        return split ? [.. parts.Select(p => p.Reshape(heads.Count, -1))] : parts;
    }
}
