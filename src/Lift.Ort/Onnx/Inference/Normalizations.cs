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
}
