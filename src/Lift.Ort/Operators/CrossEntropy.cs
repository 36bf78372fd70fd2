namespace Lift.Ort.Operators;

/// <summary>How the losses of single labels become the output.</summary>
internal enum LossReduction
{
    None,
    Sum,
    Mean,
}

/// <summary>
/// loss = −Σ w[t]·log softmax(x)[t] over labels t that are not <c>ignore_index</c>; "mean" divides by Σ w[t] (0 where every label is ignored).
/// Scores are [N, C, d…], labels [N, d…].
/// </summary>
internal sealed partial class SoftmaxCrossEntropyLossInternal(LossReduction reduction) : FloatKernel
{
    public static readonly OperatorSchema Schema = new(
        "SoftmaxCrossEntropyLossInternal",
        ["scores: T", "labels: L", "weights?: T", "ignore_index?: int64"],
        ["output: T", "log_prob?: T"],
        n => new SoftmaxCrossEntropyLossInternal(Reduction(n)))
    { OnCuda = true, HostInputs = [3] };

    public static LossReduction Reduction(NodeAttributes node) => node.String("reduction", "mean") switch
    {
        "none" => LossReduction.None,
        "sum" => LossReduction.Sum,
        "mean" => LossReduction.Mean,
        var other => throw new ArgumentException($"reduction '{other}' is neither none, sum nor mean"),
    };
}

/// <summary>dx = (softmax(x) − onehot(t)) · w[t] · dy, divided by Σ w[t] for "mean"; rows whose label is ignored get 0; plus <c>bias</c> where given.</summary>
internal sealed partial class SoftmaxCrossEntropyLossGrad(LossReduction reduction, long? ignored, int biasInput) : FloatKernel
{
    /// <summary>The form with <c>ignore_index</c> as an input.</summary>
    public static readonly OperatorSchema Internal = new(
        "SoftmaxCrossEntropyLossInternalGrad",
        ["dY: T", "log_prob: T", "label: L", "weight?: T", "ignore_index?: int64", "bias?: T"],
        ["d_logits: T"],
        n => new SoftmaxCrossEntropyLossGrad(SoftmaxCrossEntropyLossInternal.Reduction(n), null, 5))
    { InPlace = 1, OnCuda = true, HostInputs = [4] };

    /// <summary>The form with <c>ignore_index</c> as an attribute.</summary>
    public static readonly OperatorSchema Schema = new(
        "SoftmaxCrossEntropyLossGrad",
        ["dY: T", "log_prob: T", "label: L", "weight?: T", "bias?: T"],
        ["d_logits: T"],
        n => new SoftmaxCrossEntropyLossGrad(SoftmaxCrossEntropyLossInternal.Reduction(n), n.Int("ignore_index", long.MinValue), 4))
    { InPlace = 1, OnCuda = true };
}
