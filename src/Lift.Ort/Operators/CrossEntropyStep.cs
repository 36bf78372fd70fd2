namespace Lift.Ort.Operators;

/// <summary>
/// The mean cross-entropy of [N, C] logits and its gradient in one pass: a row is read, becomes softmax − onehot where it lies in the cache, and is done.
/// The gradient takes the logits' memory: whoever puts this operator into a graph knows that nobody else reads them.
/// loss = −Σ log softmax(x)[t] / n over the n labels that are not <c>ignore_index</c>, 0 where n = 0; d_logits = (softmax − onehot) · dY / n.
/// </summary>
internal sealed partial class CrossEntropyStep(long ignored) : FloatKernel
{
    public static readonly OperatorSchema Schema = new(
        "CrossEntropyStep",
        ["logits: T", "labels: L", "dY: U"],
        ["d_logits: T", "loss: U"],
        n => new CrossEntropyStep(n.Int("ignore_index", long.MinValue)))
    {
        Domain = OperatorSchema.OwnDomain,
        Aliased = true,
        OnCuda = true,
    };
}
