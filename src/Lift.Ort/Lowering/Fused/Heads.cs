using Lift.Ort.Onnx;

namespace Lift.Ort.Lowering.Fused;

/// <summary>
/// Scaled dot-product attention in standard operators, for every fused form. Letters: B batch, S queries, T keys, N query heads, K key-value heads,
/// G = N / K queries per key-value head, D head size. Queries are [B, K, G, S, D] and keys [B, K, 1, T, D], so that grouped queries meet their head by
/// broadcasting; where G is 1, both are of rank 4: [B, N, S, D] and [B, N, T, D].
/// </summary>
internal sealed record Heads(FusedNode N, long Count, long Shared)
{
    private readonly Graph g = N.Graph;

    /// <summary>G</summary>
    public long Groups => Count % Shared == 0 ? Count / Shared : throw N.Refuse($"{Count} query heads cannot share {Shared} key-value heads evenly");

    /// <summary>The axis of S and T.</summary>
    public int Axis => Groups == 1 ? 2 : 3;

    /// <summary>[B, S, N·D] or [B, S, N, D] ⇒ queries</summary>
    public Var Queries(Var x) => Groups == 1
        ? x.Reshape(0, 0, Count, -1).Transpose(0, 2, 1, 3)
        : x.Reshape(0, 0, Shared, Groups, -1).Transpose(0, 2, 3, 1, 4);

    /// <summary>[B, T, K·D] or [B, T, K, D] ⇒ keys or values</summary>
    public Var Keys(Var x) => Groups == 1
        ? x.Reshape(0, 0, Count, -1).Transpose(0, 2, 1, 3)
        : x.Reshape(0, 0, Shared, 1, -1).Transpose(0, 2, 3, 1, 4);

    /// <summary>[B, N, S, D] ⇒ queries</summary>
    public Var QueriesByHead(Var x) => Groups == 1 ? x : x.Reshape(g.Concat(0, N.DimOf(x, 0), g.Longs(Shared, Groups), x.ShapeOf().Slice(2, 4, 0)));

    /// <summary>[B, K, T, D] ⇒ keys or values</summary>
    public Var KeysByHead(Var x) => Groups == 1 ? x : x.Unsqueeze(2);

    /// <summary>Keys or values ⇒ [B, K, T, D]</summary>
    public Var Cache(Var x) => Groups == 1 ? x : x.Squeeze(2);

    /// <summary>Attention's result ⇒ [B, S, N·D]</summary>
    public Var Join(Var y) => (Groups == 1 ? y.Transpose(0, 2, 1, 3) : y.Transpose(0, 3, 1, 2, 4)).Reshape(0, 0, -1);

    /// <summary>Attention's result, scores or shares ⇒ [B, N, S, D or T]</summary>
    public Var ByHead(Var y) => Groups == 1 ? y : y.Reshape(g.Concat(0, N.DimOf(y, 0), g.Longs(Count), y.ShapeOf().Slice(3, 5, 0)));

    /// <summary>[B or 1, N or 1, S, T] ⇒ what broadcasts against the scores; of lower rank, it broadcasts already.</summary>
    public Var Bias(Var bias)
    {
        int rank = N.RankOf(bias);
        if (Groups == 1 || rank < 3) return bias;
        if (rank == 3) bias = bias.Unsqueeze(0);
        if (bias.Shape![1].Value == 1) return bias.Unsqueeze(1);
        if (bias.Shape[1].Value != Count) bias += g.Scalar(0, bias.Element).Reshape(1, 1, 1, 1).Expand(g.Longs(1, Count, 1, 1));
        return bias.Reshape(g.Concat(0, N.DimOf(bias, 0), g.Longs(Shared, Groups), bias.ShapeOf().Slice(2, 4, 0)));
    }

    /// <summary>scale · q kᵀ, with 1/√D where no scale is given</summary>
    public Var Scores(Var q, Var k, float scale)
    {
        Var scaled = scale != 0 ? q * scale
            : q.Shape?[-1].Value is { } size ? q * (1 / Math.Sqrt(size))
            : q / q.ShapeOf().Slice(-1, long.MaxValue, 0).Cast(ElementType.Float).Sqrt().Cast(q.Element);
        return scaled.MatMul(Groups == 1 ? k.Transpose(0, 1, 3, 2) : k.Transpose(0, 1, 2, 4, 3));
    }

    /// <summary>cap · tanh(x / cap)</summary>
    public static Var Cap(Var x, float cap) => cap > 0 ? x.Graph.Add("Tanh", [x / cap]) * cap : x;

    /// <summary>softmax over T; a sink per head [N] is one more entry that takes its share and gives nothing.</summary>
    public Var Shares(Var scores, Var? sink)
    {
        if (sink is null) return g.Add("Softmax", [scores], n => n.With("axis", -1L));
        Var column = Groups == 1 ? sink.Reshape(1, Count, 1, 1) : sink.Reshape(1, Shared, Groups, 1, 1);
        column = column.Expand(g.Concat(0, scores.ShapeOf().Slice(0, -1, 0), g.Longs(1)));
        return g.Add("Softmax", [g.Concat(-1, scores, column)], n => n.With("axis", -1L)).Slice(0, -1, -1);
    }

    /// <summary>0 where a query may look at a key and the lowest number where it may not, [S, T]: keys up to the query's own position, at most <paramref name="window"/> of them.</summary>
    /// <param name="past">Number of keys before the first query, an int64 vector of one; null: none.</param>
    public Var Causal(Var q, Var k, Var? past, long window, ElementType type)
    {
        string key = $"causal {FusedNode.KeyOf(q, Axis)} {FusedNode.KeyOf(k, Axis)} {past?.Name} {window} {type}";
        return N.Shared(key, () =>
        {
            Var query = N.Positions(q, Axis).Unsqueeze(1), at = N.Positions(k, Axis).Unsqueeze(0);
            return Allowed(past is null ? query : query + past, at, window, type);
        });
    }

    /// <summary>0 where position <paramref name="at"/> is seen from position <paramref name="query"/>, the lowest number elsewhere.</summary>
    public Var Allowed(Var query, Var at, long window, ElementType type)
    {
        Var allowed = g.Add("LessOrEqual", [at, query]);
        if (window > 0) allowed = g.Add("And", [allowed, g.Add("Less", [query - at, g.Longs(window)])]);
        return Blocked(allowed, type);
    }

    /// <summary>0 where <paramref name="allowed"/> is true, the lowest number elsewhere.</summary>
    public Var Blocked(Var allowed, ElementType type) => allowed.Where(g.Scalar(0, type), g.Scalar(FusedNode.Lowest(type), type));
}
