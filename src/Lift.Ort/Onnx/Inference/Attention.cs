namespace Lift.Ort.Onnx.Inference;

/// <summary>ONNX Runtime's fused attention operators. B batch, S sequence, H heads, D head size.</summary>
internal static class Attention
{
    /// <summary>Q [B,S,N·D] or [B,N,S,D], K and V likewise → Y like Q with V's head size; present key and value [B,K,T,D].</summary>
    [Infers("Attention")]
    static void Standard(Inferred n)
    {
        Shape? q = n.Shape(0), v = n.Shape(2);
        long heads = n.Node.Int("q_num_heads"), shared = n.Node.Int("kv_num_heads");
        Dim flat = v is { Rank: 3 } && shared > 0 ? DimMath.Mul(DimMath.Quotient(v[2], shared), heads) : Dim.Unknown;
        n.Y(n.Element(), q is { Rank: 4 } ? new Shape(q[0], q[1], q[2], v is { Rank: 4 } ? v[3] : Dim.Unknown) : q is { Rank: 3 } ? new Shape(q[0], q[1], flat) : null);
        for (int i = 1; i < n.Node.Outputs.Count; i++) n.Y(n.Element(), new Shape([.. new Dim[4]]), i);
    }

    [Infers("RotaryEmbedding", "com.microsoft.RotaryEmbedding")]
    static void Rotary(Inferred n) => n.Y(n.X(0));

    /// <summary>angles, q, turned q, k, turned k → q, k.</summary>
    [Infers("com.microsoft.GemmaRotaryEmbedding")]
    static void GemmaRotary(Inferred n)
    {
        n.Y(n.X(1));
        n.Y(n.X(3), 1);
    }

    /// <summary>query [B,S,H·D] (or packed [B,S,H,3,D]), value [B,S',H·D] or [B,H,S',D] → [B,S,H·D].</summary>
    [Infers("com.microsoft.MultiHeadAttention")]
    static void MultiHead(Inferred n)
    {
        Shape? query = n.Shape(0), value = n.Shape(2);
        Dim hidden = query is { Rank: 5 } ? DimMath.Mul(query[2], query[4])
            : value is { Rank: 3 } ? value[2]
            : value is { Rank: 4 } ? DimMath.Mul(value[1], value[3]) : Dim.Unknown;
        n.Y(n.Element(), query is null ? null : new Shape(query[0], query[1], hidden));
        for (int i = 1; i < n.Node.Outputs.Count; i++) n.Y(n.Element(), new Shape([.. new Dim[4]]), i);
    }

    /// <summary>query [B,S,H·D], or with key and value packed behind it [B,S,(H+2·K)·D] → [B,S,H·D]; present key and value [B,K,total,D].</summary>
    [Infers("com.microsoft.GroupQueryAttention")]
    static void GroupQuery(Inferred n)
    {
        long heads = n.Node.Int("num_heads"), keys = n.Node.Int("kv_num_heads");
        Shape? query = n.Shape(0);
        Dim size = query is null ? Dim.Unknown : DimMath.Quotient(query[2], n.Has(1) ? heads : heads + (2 * keys));
        n.Y(n.Element(), query is null ? null : new Shape(query[0], query[1], DimMath.Mul(size, heads)));
        for (int i = 1; i <= 2; i++) n.Y(n.Element(), query is null ? null : new Shape(query[0], keys, Dim.Unknown, size), i);
    }

    /// <summary>input [B,S,I], weights [I,3·H·D] → [B,S,H·D].</summary>
    [Infers("com.microsoft.Attention")]
    static void Packed(Inferred n)
    {
        Shape? x = n.Shape(0);
        Dim hidden = n.Node.Ints("qkv_hidden_sizes") is { Length: 3 } sizes ? sizes[2] : n.Shape(1) is { Rank: 2 } w ? DimMath.Quotient(w[1], 3) : Dim.Unknown;
        n.Y(n.Element(), x is null ? null : new Shape(x[0], x[1], hidden));
        n.Y(n.Element(), new Shape([.. new Dim[5]]), 1);
    }
}
