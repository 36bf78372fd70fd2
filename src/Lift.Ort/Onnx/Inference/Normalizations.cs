namespace Lift.Ort.Onnx.Inference;

/// <summary>Normalisations and their statistics.</summary>
internal static class Normalizations
{
    [Infers("BatchNormalization")]
    static void BatchNormalization(Inferred n)
    {
        n.Y(n.X(0));
        for (int i = 1; i < n.Node.Outputs.Count; i++) n.Y(n.X(3), i);
    }

    [Infers("LayerNormalization")]
    static void LayerNormalization(Inferred n)
    {
        n.Y(n.X(0));
        Shape? s = n.Shape(0);
        Shape? statistics = n.Axis(-1, s?.Rank) is { } axis ? new Shape([.. s!.Dims.Select((d, i) => i < axis ? d : 1)]) : null;
        ElementType element = n.Node.Int("stash_type", 1) == 1 ? ElementType.Float : n.Element();
        n.Y(element, statistics, 1);
        n.Y(element, statistics, 2);
    }

    [Infers("SimplifiedLayerNormalization", "RMSNormalization")]
    static void SimplifiedLayerNormalization(Inferred n) => LayerNormalization(n);

    /// <summary>(input, skip, scale, …) → output, mean, inverse deviation, and the sum that was normalised.</summary>
    [Infers("com.microsoft.SkipLayerNormalization", "com.microsoft.SkipSimplifiedLayerNormalization")]
    static void Skip(Inferred n)
    {
        n.Y(n.X(0));
        Shape? statistics = n.Shape(0) is { Rank: > 0 } s ? new Shape(s.Dims.SetItem(s.Rank - 1, 1)) : null;
        n.Y(ElementType.Float, statistics, 1);
        n.Y(ElementType.Float, statistics, 2);
        n.Y(n.X(0), 3);
    }

    /// <summary>(ids [B,S], segments, word table [V,H], …) → [B,S,H], tokens per row [B] int32, the sum before the norm.</summary>
    [Infers("com.microsoft.EmbedLayerNormalization")]
    static void Embed(Inferred n)
    {
        Shape? shape = n.Shape(0) is { Rank: 2 } ids && n.Shape(2) is { Rank: 2 } words ? new Shape(ids[0], ids[1], words[1]) : null;
        n.Y(n.Element(2), shape);
        n.Y(ElementType.Int32, n.Shape(0) is { Rank: 2 } rows ? new Shape(rows[0]) : null, 1);
        n.Y(n.Element(2), shape, 2);
    }
}
