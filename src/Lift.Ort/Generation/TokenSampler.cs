using Lift.Ort.Data;

namespace Lift.Ort.Generation;

/// <summary>Chooses one token by its logits.</summary>
internal sealed class TokenSampler(GenerationOptions options)
{
    private readonly SeededRandom random = new(options.Seed);

    public int Next(ReadOnlySpan<float> logits) => options.Temperature <= 0 ? LossMetric.ArgMax(logits) : Draw(logits);

    /// <summary>p = softmax(logits / temperature), cut to the best <c>TopK</c> and to the fewest best that hold <c>TopP</c> (Holtzman et al. 2020), then drawn.</summary>
    private int Draw(ReadOnlySpan<float> logits)
    {
        int[] tokens = [.. Enumerable.Range(0, logits.Length)];
        float[] order = logits.ToArray();
        for (int i = 0; i < order.Length; i++) order[i] = -order[i];
        Array.Sort(order, tokens);

        int kept = options.TopK > 0 ? Math.Min(options.TopK, tokens.Length) : tokens.Length;
        double[] weights = [.. order.Take(kept).Select(o => Math.Exp((order[0] - o) / options.Temperature))];
        double total = weights.Sum(), held = 0;
        int last = 0;
        for (; last < kept - 1 && (held += weights[last]) < options.TopP * total; last++) { }

        double at = random.NextDouble() * weights.Take(last + 1).Sum();
        for (int i = 0; i < last; i++)
        {
            if ((at -= weights[i]) < 0) return tokens[i];
        }
        return tokens[last];
    }
}
