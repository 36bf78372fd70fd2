using Lift.Ort.Onnx;

namespace Lift.Ort.Lowering.Fused;

/// <summary>What stands at the beginning of an encoder, and the biases that positions give to attention.</summary>
internal static class Embeddings
{
    // input_ids, segment_ids, word, position, segment embedding, gamma, beta, mask, position_ids
    private const int Segments = 1, Words = 2, Positions = 3, SegmentTable = 4, Mask = 7, Ids = 8;

    /// <summary>
    /// LayerNormalization(word[ids] + position[0, 1, … or position_ids] + segment[segment_ids]) · gamma + beta; outputs: [B, S, H], the number of unmasked
    /// tokens per row (0 without a mask), the sum before the norm. Source: com.microsoft.EmbedLayerNormalization.
    /// </summary>
    [Lowering("com.microsoft.EmbedLayerNormalization")]
    public static Var?[] EmbedLayerNormalization(FusedNode n)
    {
        Graph g = n.Graph;
        Var ids = n.X(), sum = n.X(Words).Gather(ids);
        sum += n.Maybe(Ids) is { } positions
            ? n.X(Positions).Gather(positions)
            : g.Add("Slice", [n.X(Positions), g.Longs(0), n.DimOf(ids, 1), g.Longs(0)]);
        if (n.Maybe(Segments) is { } segments) sum += n.X(SegmentTable).Gather(segments);
        Var y = g.Add("LayerNormalization", [sum, n.X(5), n.X(6)], a => a.With("axis", -1L).With("epsilon", n.Float("epsilon", 1e-12f)));
        Var? counts = !n.Wants(1) ? null
            : n.Maybe(Mask) is { } mask ? mask.Cast(ElementType.Int64).ReduceSum([1], keepDims: false).Cast(ElementType.Int32)
            : g.Add("Expand", [g.Scalar(0, ElementType.Int32), n.DimOf(ids, 0)]);
        return [y, counts, sum];
    }

    /// <summary>
    /// bias_table [buckets, N], whose numbers lie column by column (as [N, buckets]), looked up by the bucket of (key − query): exact below half of the buckets, logarithmic up to max_distance behind ⇒ [1, N, S, T].
    /// Source: com.microsoft.RelativePositionBias; T5, section 2.1.
    /// </summary>
    [Lowering("com.microsoft.RelativePositionBias")]
    public static Var?[] RelativePositionBias(FusedNode n)
    {
        Graph g = n.Graph;
        Var table = n.X();
        if (table.Shape is not { Rank: 2 } shape || shape[0].Value is not { } all) throw n.Refuse("the number of rows of its table is not known");
        bool both = n.Int("is_bidirectional") == 1;
        Var Range(Var length) => g.Add("Range", [g.Scalar(0, ElementType.Int64), length.Cast(ElementType.Int64).Reshape([]), g.Scalar(1, ElementType.Int64)]);
        Var buckets = n.Shared($"buckets {n.X(1).Name} {n.X(2).Name} {all} {both} {n.Int("max_distance")}", () =>
        {
            Var distance = Range(n.X(1)).Unsqueeze(1) - Range(n.X(2)).Unsqueeze(0); // how far the key lies behind the query
            long half = both ? all / 2 : all, exact = half / 2;
            Var behind = both ? g.Add("Abs", [distance]) : g.Add("Max", [distance, distance.Like(0)]);
            Var far = g.Add("Max", [behind, behind.Like(1)]).Cast(ElementType.Float) / exact;
            Var scaled = (far.Log() / Math.Log((double)n.Count("max_distance") / exact) * (half - exact)).Cast(ElementType.Int64) + exact;
            Var bucket = g.Add("Less", [behind, behind.Like(exact)]).Where(behind, g.Add("Min", [scaled, scaled.Like(half - 1)]));
            return both ? bucket + g.Add("Less", [distance, distance.Like(0)]).Where(distance.Like(half), distance.Like(0)) : bucket;
        });
        return [table.Reshape(-1, all).Gather(buckets, 1).Unsqueeze(0)];
    }

    /// <summary>
    /// y = bias · (u (r a − 1) + 2) with the gates (u, r) = σ of the two halves' sums of (query + its bias) W + b, per head and query. Letters: B texts, S words, N heads, D head size.
    /// Source: com.microsoft.GatedRelativePositionBias; WavLM, section III B.
    /// </summary>
    [Lowering("com.microsoft.GatedRelativePositionBias")]
    public static Var?[] GatedRelativePositionBias(FusedNode n)
    {
        if (n.Has(6)) throw n.Refuse("its tokens are packed (token_offset)");
        Var query = (n.X() + n.X(1)).Reshape(0, 0, n.Count("num_heads"), -1).Transpose(0, 2, 1, 3); // [B, N, S, D]
        Var[] gates = Rotation.Split(n.Graph.Add("Sigmoid", [(query.MatMul(n.X(3)) + n.X(4)).Reshape(n.Graph.Concat(0, query.ShapeOf().Slice(0, 3, 0), n.Graph.Longs(2, -1))).ReduceSum([-1], keepDims: false)]), -1, 1, 1);
        return [(gates[0] * (gates[1] * n.X(5) - 1) + 2) * n.X(2)];
    }

    /// <summary>y = rows of a table; the row of the padding is read, but gets no gradient</summary>
    [Lowering("com.microsoft.TorchEmbedding")]
    public static Var?[] TorchEmbedding(FusedNode n)
    {
        Graph g = n.Graph;
        if (n.Has(3) && n.Longs(3) is not [0]) throw n.Refuse("it divides gradients by how often a row occurs (scale_grad_by_freq)");
        Var rows = n.X().Gather(n.X(1));
        if (!n.Has(2) || n.Longs(2) is [< 0]) return [rows];
        return [n.X(1).EqualTo(n.X(2)).Unsqueeze(-1).Where(rows.Detach(), rows)];
    }
}
