namespace Lift.Ort.Onnx.Inference;

/// <summary>Losses, and ONNX Runtime's training operators as gradient rules emit them.</summary>
internal static class Training
{
    /// <summary>(scores, labels, weights?) → loss, log-probabilities like the scores.</summary>
    [Infers("SoftmaxCrossEntropyLoss", "NegativeLogLikelihoodLoss", "com.microsoft.SoftmaxCrossEntropyLossInternal", "com.microsoft.NegativeLogLikelihoodLossInternal")]
    static void Loss(Inferred n)
    {
        n.Y(n.Element(), n.Node.String("reduction", "mean") == "none" ? n.Shape(1) : Shape.Scalar);
        n.Y(n.X(0), 1);
    }

    [Infers("com.microsoft.SoftmaxCrossEntropyLossInternalGrad", "com.microsoft.SoftmaxCrossEntropyLossGrad", "com.microsoft.NegativeLogLikelihoodLossInternalGrad")]
    static void LossGrad(Inferred n) => n.Y(n.X(1));

    [Infers("com.microsoft.SoftmaxGrad", "com.microsoft.SoftmaxGrad_13", "com.microsoft.LogSoftmaxGrad", "com.microsoft.LogSoftmaxGrad_13", "com.microsoft.SigmoidGrad",
        "com.microsoft.TanhGrad", "com.microsoft.ReluGrad", "com.microsoft.QuickGeluGrad", "com.microsoft.GeluGrad", "com.microsoft.FastGeluGrad", "com.microsoft.BiasGeluGrad_dX",
        "com.microsoft.BiasFastGeluGrad_dX", "com.microsoft.LeakyReluGrad", "com.microsoft.EluGrad", "com.microsoft.HardSigmoidGrad", "com.microsoft.DropoutGrad", "com.microsoft.Scale")]
    static void LikeEither(Inferred n) => n.Y(n.Shape(0) is null ? n.X(1) : n.X(0));

    [Infers("com.microsoft.GatherGrad")]
    static void GatherGrad(Inferred n) => n.Y(n.Element(2), FromContent(n, 0));

    [Infers("com.microsoft.GatherNDGrad")]
    static void GatherNDGrad(Inferred n) => n.Y(n.Element(2), FromContent(n, 0));

    [Infers("com.microsoft.GatherElementsGrad", "com.microsoft.SliceGrad")]
    static void ShapeSecond(Inferred n) => n.Y(n.Element(), FromContent(n, 1));

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
