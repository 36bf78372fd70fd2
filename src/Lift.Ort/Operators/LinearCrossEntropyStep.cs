namespace Lift.Ort.Operators;

/// <summary>
/// A last linear layer, the mean cross-entropy of what it says, and the gradients of both, some rows at a time: no tensor of the logits' size is ever made.
/// z = s · (x·w + b) over hidden rows x [N, K], w [K, C] (or [C, K] with <c>turned</c>), b [C]; loss = −Σ log softmax(z)[t] / n over the n labels t that are not <c>ignore_index</c>,
/// 0 where n = 0; dz = (softmax(z) − onehot) · dY / n; d_hidden = s · dz·wᵀ, d_weight = s · xᵀ·dz in w's own layout, d_bias = s · Σ dz. With a softcap c, z = c · tanh(s · (x·w + b)), and dz
/// has a further factor c · (1 − (z/c)²). Weight and bias gradients are float32 sums whatever T is. <c>flat</c>: d_hidden is [N, K], otherwise it has hidden's dimensions. Without dY there is only the loss.
/// </summary>
/// <param name="ignored">The label that is not counted; none by default.</param>
/// <param name="scale">s, 1 by default.</param>
/// <param name="softcap">c, 0 (none) by default.</param>
internal sealed partial class LinearCrossEntropyStep(long ignored, bool turned, bool flat, float scale, float softcap) : FloatKernel
{
    public static readonly OperatorSchema Schema = new(
        "LinearCrossEntropyStep",
        ["hidden: T", "weight: T", "labels: L", "dY?: U", "bias?: T"],
        ["loss: U", "d_hidden?: T", "d_weight?: U", "d_bias?: U"],
        n => new LinearCrossEntropyStep(n.Int("ignore_index", long.MinValue), n.Int("turned", 0) != 0, n.Int("flat", 0) != 0, n.Float("scale", 1), n.Float("softcap", 0)))
    { Domain = OperatorSchema.OwnDomain, OnCuda = true };

    /// <summary>Sizes of a layer: N rows of K numbers become C logits each.</summary>
    private readonly record struct Sizes(long Rows, long Width, long Classes)
    {
        /// <summary>Rows whose logits fit into <paramref name="budget"/> bytes: all of them where they do, otherwise a number that products like, and at least that. It depends on sizes alone.</summary>
        /// <param name="smallest">Fewer rows at a time would spend the products' time on reading the weight.</param>
        public long Chunk(long budget, int size, long smallest)
        {
            long room = budget / Math.Max(1, Classes * size);
            return Rows <= room ? Math.Max(1, Rows) : Math.Max(smallest, room / smallest * smallest);
        }
    }

    /// <exception cref="ArgumentException">The tensors do not fit each other.</exception>
    private Sizes Fit(CpuTensor hidden, CpuTensor weight, CpuTensor labels, CpuTensor? bias)
    {
        string All() => $"hidden [{string.Join(", ", hidden.Dims)}], weight [{string.Join(", ", weight.Dims)}]{(turned ? " (a row for each class)" : "")} and labels [{string.Join(", ", labels.Dims)}]";
        if (hidden.Dims.Length == 0 || weight.Dims.Length != 2) throw new ArgumentException($"{All()} are no linear layer");
        long width = hidden.Dims[^1], rows = CpuTensor.Product(hidden.Dims.AsSpan(..^1)), classes = weight.Dims[turned ? 0 : 1];
        if (weight.Dims[turned ? 1 : 0] != width || labels.Count != rows) throw new ArgumentException($"{All()} do not fit");
        if (bias is { } b && b.Count != classes) throw new ArgumentException($"{b.Count} biases and {classes} classes do not fit");
        return new(rows, width, classes);
    }

    private long[] HiddenDims(CpuTensor hidden, Sizes s) => flat ? [s.Rows, s.Width] : hidden.Dims;
}
