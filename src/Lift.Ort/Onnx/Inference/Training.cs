namespace Lift.Ort.Onnx.Inference;

/// <summary>Losses, and ONNX Runtime's training operators as gradient rules emit them.</summary>
internal static class Training
{
    /// <summary>(scores, labels, weights?) → loss, log-probabilities like the scores.</summary>
    [Infers("SoftmaxCrossEntropyLoss", "NegativeLogLikelihoodLoss", "com.microsoft.SoftmaxCrossEntropyLossInternal", "com.microsoft.NegativeLogLikelihoodLossInternal", "com.microsoft.NegativeLogLikelihoodLossInternal2")]
    static void Loss(Inferred n)
    {
        n.Y(n.Element(), n.Node.String("reduction", "mean") == "none" ? n.Shape(1) : Shape.Scalar);
        n.Y(n.X(0), 1);
    }

    /// <summary>(scores, labels, weights?) → loss (never one for each label), log-probabilities like the scores.</summary>
    [Infers("SparseSoftmaxCrossEntropy", "com.microsoft.SoftmaxCrossEntropy")]
    static void ScalarLoss(Inferred n)
    {
        n.Y(n.Element(), Shape.Scalar);
        n.Y(n.X(0), 1);
    }

    [Infers("com.microsoft.SoftmaxCrossEntropyLossInternalGrad", "com.microsoft.SoftmaxCrossEntropyLossGrad", "com.microsoft.NegativeLogLikelihoodLossInternalGrad",
        "com.microsoft.SoftmaxCrossEntropyGrad", "SparseSoftmaxCrossEntropyGrad")]
    static void LossGrad(Inferred n) => n.Y(n.X(1));

    [Infers("com.microsoft.SoftmaxGrad", "com.microsoft.SoftmaxGrad_13", "com.microsoft.LogSoftmaxGrad", "com.microsoft.LogSoftmaxGrad_13", "com.microsoft.SigmoidGrad",
        "com.microsoft.TanhGrad", "com.microsoft.ReluGrad", "com.microsoft.QuickGeluGrad", "com.microsoft.GeluGrad", "com.microsoft.FastGeluGrad", "com.microsoft.BiasGeluGrad_dX",
        "com.microsoft.BiasFastGeluGrad_dX", "com.microsoft.LeakyReluGrad", "com.microsoft.EluGrad", "com.microsoft.HardSigmoidGrad", "com.microsoft.DropoutGrad", "com.microsoft.Scale", "SinGrad", "com.microsoft.ScaledSum", "com.microsoft.FakeQuantGrad")]
    static void LikeEither(Inferred n) => n.Y(n.Shape(0) is null ? n.X(1) : n.X(0));

    [Infers("com.microsoft.GatherGrad")]
    static void GatherGrad(Inferred n) => n.Y(n.Element(2), FromContent(n, 0));

    [Infers("com.microsoft.GatherNDGrad")]
    static void GatherNDGrad(Inferred n) => n.Y(n.Element(2), FromContent(n, 0));

    [Infers("com.microsoft.GatherElementsGrad", "com.microsoft.SliceGrad")]
    static void ShapeSecond(Inferred n) => n.Y(n.Element(), FromContent(n, 1));

    [Infers("com.microsoft.BatchScale")]
    static void BatchScale(Inferred n)
    {
        for (int i = 0; i < n.Node.Outputs.Count; i++) n.Y(n.X(0), i);
    }

    [Infers("com.microsoft.ShrunkenGather")]
    static void ShrunkenGather(Inferred n) =>
        n.Y(n.Element(), n.Axis(0, n.Shape(0)?.Rank) is { } axis && n.Shape(1) is { Rank: 1 } picks ? new Shape(n.Shape(0)!.Dims.SetItem(axis, picks[0])) : null);

    /// <summary>(rows, indices, [a, b]) → [a, b, …]</summary>
    [Infers("com.microsoft.PadAndUnflatten")]
    static void PadAndUnflatten(Inferred n)
    {
        Dim[] front = n.Content(2) is { Length: 2 } dims ? dims : [Dim.Unknown, Dim.Unknown];
        n.Y(n.Element(), n.Shape(0) is { Rank: > 0 } rows ? new Shape([.. front, .. rows.Dims[1..]]) : null);
    }

    /// <summary>([a, b, …], indices) → rows, [a, b]</summary>
    [Infers("com.microsoft.FlattenAndUnpad")]
    static void FlattenAndUnpad(Inferred n)
    {
        n.Y(n.Element(), n.Shape(0) is { Rank: > 1 } s && n.Shape(1) is { Rank: 1 } rows ? new Shape([rows[0], .. s.Dims[2..]]) : null);
        n.Y(ElementType.Int64, new Shape(2), 1);
        if (n.Shape(0) is { Rank: > 1 } x) n.Content([x[0], x[1]], 1);
    }

    /// <summary>(dY, X, scale, …) → dX, dscale, dbias.</summary>
    [Infers("com.microsoft.LayerNormalizationGrad", "com.microsoft.SimplifiedLayerNormalizationGrad", "com.microsoft.InvertibleLayerNormalizationGrad", "com.microsoft.BatchNormalizationGrad")]
    static void NormalizationGrad(Inferred n)
    {
        n.Y(n.X(1));
        n.Y(n.X(2), 1);
        n.Y(n.X(2), 2);
    }

    /// <summary>(dY, X, W) → dX, dW, dB.</summary>
    [Infers("com.microsoft.ConvGrad")]
    static void ConvGrad(Inferred n)
    {
        n.Y(n.X(1));
        n.Y(n.X(2), 1);
        n.Y(n.Element(2), n.Shape(2) is { } w ? new Shape(w[0]) : null, 2);
    }

    /// <summary>(buffer, value, overwrite) → updated flag [1], and the buffer again.</summary>
    [Infers("com.microsoft.InPlaceAccumulatorV2")]
    static void Accumulator(Inferred n)
    {
        n.Y(ElementType.Bool, new Shape(1));
        n.Y(n.X(0), 1);
    }

    /// <summary>(X, scale, bias, mean, variance) → Y, running and saved statistics like the scale.</summary>
    [Infers("com.microsoft.BatchNormInternal")]
    static void BatchNormInternal(Inferred n)
    {
        n.Y(n.X(0));
        for (int i = 1; i < n.Node.Outputs.Count; i++) n.Y(n.X(1), i);
    }

    private static Shape? FromContent(Inferred n, int input) => n.Content(input) is { } content ? new Shape([.. content.Select(d => d.Value < 0 ? Dim.Unknown : d)])
        : n.Shape(input) is { Rank: 1 } s && s[0].Value is { } rank and <= 64 ? new Shape([.. new Dim[rank]]) : null;
}
