namespace Lift.Ort.Operators;

/// <summary>loss = −Σ label · log softmax(x) over scores [N, …] with labels that are probabilities; "mean" divides by the number of rows. Rows lie along the last axis.</summary>
internal sealed partial class SoftmaxCrossEntropy(bool mean) : FloatKernel
{
    public static readonly OperatorSchema Schema = new(
        "SoftmaxCrossEntropy", ["logits: T", "label: T"], ["Y: T", "log_prob?: T"], n => new SoftmaxCrossEntropy(SoftmaxCrossEntropyLossInternal.Reduction(n) == LossReduction.Mean))
    { OnCuda = true };
}

/// <summary>dx = (softmax(x) − label) · dy, divided by the number of rows for "mean".</summary>
internal sealed partial class SoftmaxCrossEntropyGrad(bool mean) : FloatKernel
{
    public static readonly OperatorSchema Schema = new(
        "SoftmaxCrossEntropyGrad", ["dY: T", "log_prob: T", "label: T"], ["d_logits: T"], n => new SoftmaxCrossEntropyGrad(SoftmaxCrossEntropyLossInternal.Reduction(n) == LossReduction.Mean))
    { OnCuda = true };
}

/// <summary>loss = −Σ w · log softmax(x)[label] over scores […, C] with a weight for each label; "mean" divides by Σ w.</summary>
internal sealed partial class SparseSoftmaxCrossEntropy(bool mean) : FloatKernel
{
    public static readonly OperatorSchema Schema = new(
        "SparseSoftmaxCrossEntropy", ["logits: T", "label: L", "weight?: T"], ["Y: T", "log_prob?: T"],
        n => new SparseSoftmaxCrossEntropy(SoftmaxCrossEntropyLossInternal.Reduction(n) == LossReduction.Mean))
    { Domain = "", OnCuda = true };
}

/// <summary>dx = (softmax(x) − onehot(label)) · w · dy, divided by Σ w for "mean".</summary>
internal sealed partial class SparseSoftmaxCrossEntropyGrad(bool mean) : FloatKernel
{
    public static readonly OperatorSchema Schema = new(
        "SparseSoftmaxCrossEntropyGrad", ["dY: T", "log_prob: T", "label: L", "weight?: T"], ["d_logits: T"],
        n => new SparseSoftmaxCrossEntropyGrad(SoftmaxCrossEntropyLossInternal.Reduction(n) == LossReduction.Mean))
    { Domain = "", OnCuda = true };
}

/// <summary>loss = −Σ w[t] · x[t] over labels t that are not <c>ignore_index</c>, x [N, C, d…] being log-probabilities; "mean" divides by Σ w[t].</summary>
internal sealed partial class NegativeLogLikelihoodLossInternal(LossReduction reduction) : FloatKernel
{
    public static readonly OperatorSchema[] Schemas = [Of(""), Of("2")];

    private static OperatorSchema Of(string form) => new(
        "NegativeLogLikelihoodLossInternal" + form, ["input: T", "target: L", "weight?: T", "ignore_index?: int64"], ["loss: T"],
        n => new NegativeLogLikelihoodLossInternal(SoftmaxCrossEntropyLossInternal.Reduction(n)))
    { OnCuda = true, HostInputs = [3] };
}
