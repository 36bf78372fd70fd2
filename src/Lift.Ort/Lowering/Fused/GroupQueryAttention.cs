using Lift.Ort.Onnx;

namespace Lift.Ort.Lowering.Fused;

/// <summary>Grouped-query attention with a cache, as the ONNX Runtime GenAI model builder writes it. Source: com.microsoft.GroupQueryAttention.</summary>
internal static class GroupQueryAttention
{
    // query, key, value, past_key, past_value, seqlens_k, total_sequence_length, cos_cache, sin_cache, position_ids, attention_bias, head_sink
    private const int Key = 1, Value = 2, PastKey = 3, PastValue = 4, Lengths = 5, Total = 6, Cosines = 7, Sines = 8, Ids = 9, Bias = 10, Sink = 11;

    /// <summary>
    /// softmax(cap(q kᵀ / √D) + bias, causal) v with rotated queries and keys; outputs: [B, S, N·D], present key and value [B, K, T, D].
    /// Without a past, or with an empty one, positions are 0, 1, … (from position_ids[0] where given) and seqlens_k has no say: padding lies behind.
    /// </summary>
    [Lowering("com.microsoft.GroupQueryAttention")]
    public static Var?[] Lower(FusedNode n)
    {
        foreach (string cache in new[] { "k_quant_type", "v_quant_type" })
            if (n.Node.String(cache, "NONE") is not "NONE" and var type) throw n.Refuse($"its cache is quantized ({cache} = {type})");
        if (n.Has(14) || n.Has(15)) throw n.Refuse("norms of queries and keys inside the operator are not supported");
        if (n.Int("sliding_window_cache") != 0) throw n.Refuse("its cache is a sliding window (sliding_window_cache = 1)");

        var heads = new Heads(n, n.Count("num_heads"), n.Count("kv_num_heads"));
        var (q, k, v) = Projections(n, heads);
        Past? past = Past.Of(n, heads, q);
        if (n.Int("do_rotary") == 1)
        {
            var (cos, sin) = Angles(n, heads, q, past);
            bool interleaved = n.Int("rotary_interleaved") == 1;
            (q, k) = (Rotation.Rotate(n, q, cos, sin, interleaved), Rotation.Rotate(n, k, cos, sin, interleaved));
        }
        if (past is not null)
        {
            k = n.Graph.Concat(heads.Axis, heads.KeysByHead(n.X(PastKey)), k);
            v = n.Graph.Concat(heads.Axis, heads.KeysByHead(n.X(PastValue)), v);
        }
        long window = n.Int("local_window_size", -1);
        Var scores = Heads.Cap(heads.Scores(q, k, n.Float("scale")), n.Float("softcap"));
        if (n.Maybe(Bias) is { } bias) scores += heads.Bias(bias);
        scores += past?.Mask(q, k, window, scores.Element) ?? heads.Causal(q, k, null, window, scores.Element);
        Var? sink = n.Maybe(Sink) ?? (n.Int("smooth_softmax") == 1 ? n.Graph.Scalar(0, scores.Element).Expand(n.Graph.Longs(heads.Count)) : null);
        Var shares = heads.Shares(scores, sink);
        Var?[] outputs = [heads.Join(shares.MatMul(v)), n.Wants(1) ? heads.Cache(k) : null, n.Wants(2) ? heads.Cache(v) : null, null];
        if (n.Wants(3)) outputs[3] = n.Int("qk_output") == 2 ? heads.ByHead(shares) : throw n.Refuse("its scores before the softmax are an output (qk_output = 1)");
        return outputs;
    }

    /// <summary>Queries, keys and values: three inputs, or one in which the heads lie one behind the other.</summary>
    private static (Var Q, Var K, Var V) Projections(FusedNode n, Heads heads)
    {
        if (n.Has(Key)) return (heads.Queries(n.X()), heads.Keys(n.X(Key)), heads.Keys(n.X(Value)));
        Var[] parts = Rotation.Split(n.X().Reshape(0, 0, heads.Count + 2 * heads.Shared, -1), 2, heads.Count, heads.Shared, heads.Shared);
        return (heads.Queries(parts[0]), heads.Keys(parts[1]), heads.Keys(parts[2]));
    }

    /// <summary>Cosines and sines for the positions of the queries: [S, R/2], or [B, 1, (1,) S, R/2] where a past makes positions differ within the batch.</summary>
    private static (Var Cos, Var Sin) Angles(FusedNode n, Heads heads, Var q, Past? past)
    {
        Graph g = n.Graph;
        Var cos = n.Table(Cosines), sin = n.Table(Sines);
        Var? ids = n.Maybe(Ids);
        if (past is not null)
        {
            Var positions = past.Positions(q, ids);
            Var Of(Var table) => n.Shared($"angles {table.Name} {positions.Name} {heads.Axis}", () => table.Gather(positions).Unsqueeze(heads.Axis == 2 ? [1] : [1, 2]));
            return (Of(cos), Of(sin));
        }
        Var length = n.DimOf(q, heads.Axis);
        Var start = ids is null ? g.Longs(0) : n.Shared($"first {ids.Name}", () => ids.Reshape(-1).Slice(0, 1, 0));
        Var Rows(Var table) => n.Shared($"rows {table.Name} {ids?.Name} {FusedNode.KeyOf(q, heads.Axis)}", () => g.Add("Slice", [table, start, ids is null ? length : start + length, g.Longs(0)]));
        return (Rows(cos), Rows(sin));
    }

    /// <summary>A cache that may hold keys of earlier tokens: as many per row of the batch as seqlens_k says, none where the run is a first prompt.</summary>
    private sealed record Past(FusedNode N, Heads Heads, Var Lengths)
    {
        private readonly Graph g = N.Graph;

        /// <summary>Null where there is no past, or it is known to be empty.</summary>
        public static Past? Of(FusedNode n, Heads heads, Var q)
        {
            if (n.Maybe(PastKey) is not { } key || key.Shape?[2].Value == 0) return null;
            string inputs = $"past lengths {n.X(GroupQueryAttention.Lengths).Name} {n.X(Total).Name} {FusedNode.KeyOf(q, heads.Axis)}";
            Var lengths = n.Shared(inputs, () =>
            {
                Var queries = n.DimOf(q, heads.Axis);
                Var total = n.X(Total).Cast(ElementType.Int64).Reshape(-1);
                Var before = n.X(GroupQueryAttention.Lengths).Cast(ElementType.Int64).Reshape(-1) + 1 - queries;
                return total.EqualTo(queries).Where(n.Graph.Scalar(0, ElementType.Int64), before);
            });
            return new(n, heads, lengths);
        }

        /// <summary>Positions of the queries, [B, S]; a first prompt counts on from its first id.</summary>
        public Var Positions(Var q, Var? ids) => N.Shared($"query positions {Lengths.Name} {FusedNode.KeyOf(q, Heads.Axis)} {ids?.Name}", () =>
        {
            Var steps = N.Positions(q, Heads.Axis);
            if (ids is null) return Lengths.Unsqueeze(1) + steps;
            Var isFirst = N.X(Total).Cast(ElementType.Int64).Reshape(-1).EqualTo(N.DimOf(q, Heads.Axis));
            return isFirst.Where(ids.Reshape(-1).Slice(0, 1, 0) + steps, ids.Reshape(g.Concat(0, g.Longs(-1), N.DimOf(q, Heads.Axis))));
        });

        /// <summary>The mask over past and new keys, [B, 1, (1,) S, T]: a past key counts where the cache is filled, a new one up to its query.</summary>
        public Var Mask(Var q, Var k, long window, ElementType type)
        {
            string key = $"past mask {Lengths.Name} {FusedNode.KeyOf(q, Heads.Axis)} {FusedNode.KeyOf(N.X(PastKey), 2)} {window} {type} {Heads.Axis}";
            return N.Shared(key, () =>
            {
                Var queries = N.DimOf(q, Heads.Axis), columns = N.Positions(k, Heads.Axis).Reshape(1, 1, -1), size = N.DimOf(N.X(PastKey), 2);
                Var filled = Lengths.Reshape(-1, 1, 1), query = filled + N.Positions(q, Heads.Axis).Reshape(1, -1, 1);
                Var isPast = g.Add("Less", [columns, size]);
                Var at = isPast.Where(columns, columns - size + filled);
                Var allowed = g.Add("LessOrEqual", [at, query]);
                if (window > 0) allowed = g.Add("And", [allowed, g.Add("Less", [query - at, g.Longs(window)])]);
                allowed = g.Add("And", [allowed, g.Add("Or", [isPast.Not(), g.Add("Less", [columns, filled])])]);
                return Heads.Blocked(allowed, type).Unsqueeze(Heads.Axis == 2 ? [1] : [1, 2]);
            });
        }
    }
}
