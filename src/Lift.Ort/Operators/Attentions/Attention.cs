namespace Lift.Ort.Operators.Attentions;

/// <summary>
/// Scaled dot-product attention of q [… , T, d], k [… , S, d] and v [… , S, e], without a matrix of T x S in memory:
/// s = scale · q kᵀ; s = cap · tanh(s / cap) where there is a cap; s = s + bias; s = keep ? s : fill; s = s + mask; s = max(s, floor); y = softmax(s) v.
/// <c>bias</c>, <c>keep</c> and <c>mask</c> are broadcast to s. Axes in front of the last two are q's; k and v may have 1 there, or, on the last of them
/// (heads), a divisor: each of their heads then serves so many of q's that follow each other.
/// </summary>
/// <remarks>
/// <c>q_order</c>, <c>k_order</c>, <c>v_order</c> and <c>y_order</c> tell how the tensors lie in memory: transposed by that permutation, they are as above.
/// <c>lse</c> is log Σ exp(s) of each row, for <see cref="AttentionGrad"/>. With <c>guard</c>, rows whose s are all −∞ give 0 instead of NaN.
/// </remarks>
internal sealed partial class Attention(AttentionForm form) : FloatKernel
{
    public static readonly OperatorSchema Schema = new("Attention", ["q: T", "k: T", "v: T", "bias?: U", "keep?: bool", "mask?: U"], ["y: T", "lse?: U"], n => new Attention(AttentionForm.Of(n)))
    {
        Domain = OperatorSchema.OwnDomain,
        OnCuda = true,
    };
}

/// <summary>
/// The gradient of <see cref="Attention"/> by q, k and v, from dY and lse: with p = exp(s − lse), dv = pᵀ dy, dp = dy vᵀ, ds = p · (dp − Σ p dp) · scale (times 1 − tanh² under a cap,
/// 0 where keep is false), dq = ds k, dk = dsᵀ q. The probabilities are made anew, some rows at a time. k and v that serve several heads get the sum of theirs.
/// </summary>
/// <remarks>y is the forward pass's result: Σ p dp = Σ dy y. Halves that have all of dp at hand do without it.</remarks>
internal sealed partial class AttentionGrad(AttentionForm form) : FloatKernel
{
    public static readonly OperatorSchema Schema = new("AttentionGrad", ["dY: T", "q: T", "k: T", "v: T", "lse: U", "bias?: U", "keep?: bool", "mask?: U", "y?: T"], ["dq?: T", "dk?: T", "dv?: T"],
        n => new AttentionGrad(AttentionForm.Of(n)))
    {
        Domain = OperatorSchema.OwnDomain,
        OnCuda = true,
    };
}

/// <summary>What a node of <see cref="Attention"/> or <see cref="AttentionGrad"/> says of itself.</summary>
/// <param name="Softcap">0: none.</param>
/// <param name="Fill">What stands where keep is false.</param>
/// <param name="Floor">No score is smaller.</param>
/// <param name="Guard">Rows of nothing but −∞ give 0.</param>
internal sealed record AttentionForm(float Scale, float Softcap, float Fill, float Floor, bool Guard, long[]? Q, long[]? K, long[]? V, long[]? Y)
{
    public static AttentionForm Of(NodeAttributes n) => new(
        n.Float("scale", 1), n.Float("softcap", 0), n.Float("fill", float.NegativeInfinity), n.Float("floor", float.NegativeInfinity), n.Int("guard", 0) != 0,
        n.Ints("q_order"), n.Ints("k_order"), n.Ints("v_order"), n.Ints("y_order"));
}
