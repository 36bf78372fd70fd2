namespace Lift.Ort.Architectures;

/// <summary>The numbers that make a Llama-type decoder: RMSNorm, rotate-half RoPE, grouped-query attention, SwiGLU, no biases.</summary>
/// <param name="Width">Size of the hidden state; a multiple of <paramref name="Heads"/>.</param>
/// <param name="KvHeads">Key-value heads; divides <paramref name="Heads"/>.</param>
/// <param name="Ffn">Size of the SwiGLU's middle.</param>
/// <param name="Tied">True when the head is the embedding's transpose.</param>
/// <param name="Theta">Base of the RoPE angles.</param>
/// <param name="Epsilon">Added to the mean square in RMSNorm.</param>
public sealed record LlamaShape(
    int Width, int Layers, int Heads, int KvHeads, int Ffn, int Vocab, bool Tied, double Theta = 500000, double Epsilon = 1e-5)
{
    /// <summary>The shapes that have names.</summary>
    public static IReadOnlyDictionary<string, LlamaShape> Presets { get; } = new OrderedDictionary<string, LlamaShape>
    {
        ["stories260k"] = new(64, 5, 8, 4, 172, 512, Tied: true),
        ["25m"] = new(512, 8, 8, 4, 1376, 8192, Tied: true),
        ["125m"] = new(768, 12, 12, 4, 2048, 32000, Tied: false),
        ["llama-3.2-1b"] = new(2048, 16, 32, 8, 8192, 128256, Tied: true),
        ["llama-3.2-3b"] = new(3072, 28, 24, 8, 8192, 128256, Tied: true),
        ["llama-3-8b"] = new(4096, 32, 32, 8, 14336, 128256, Tied: false),
    };

    /// <summary>Size of one head.</summary>
    public int Head => Width / Heads;

    /// <summary>The seven matrices of one layer as they are stored, [in, out], by their names within the layer.</summary>
    public (string Name, int In, int Out)[] Linears =>
    [
        ("self_attn.q_proj", Width, Width), ("self_attn.k_proj", Width, KvHeads * Head), ("self_attn.v_proj", Width, KvHeads * Head), ("self_attn.o_proj", Width, Width),
        ("mlp.gate_proj", Width, Ffn), ("mlp.up_proj", Width, Ffn), ("mlp.down_proj", Ffn, Width),
    ];

    /// <summary>Entries of the linear layers, which LIFT trains by default.</summary>
    public long LinearWeights => Layers * Linears.Sum(l => (long)l.In * l.Out);

    /// <summary>Entries of all weights: linear layers, embedding, head, norms.</summary>
    public long AllWeights => LinearWeights + (Tied ? 1L : 2L) * Vocab * Width + (2L * Layers + 1) * Width;

    /// <exception cref="LiftException">The numbers do not fit together.</exception>
    internal void Check()
    {
        foreach (var (name, value) in new[] { ("width", Width), ("layers", Layers), ("heads", Heads), ("kv-heads", KvHeads), ("ffn", Ffn), ("vocab", Vocab) })
        {
            if (value < 1) throw new LiftException($"A Llama's {name} is {value}; give 1 or more.");
        }
        if (Width % (2 * Heads) != 0) throw new LiftException($"A Llama's width {Width} over {Heads} heads gives no even head size; choose a width that is a multiple of {2 * Heads}.");
        if (Heads % KvHeads != 0) throw new LiftException($"{Heads} heads cannot share {KvHeads} key-value heads evenly; choose a divisor of {Heads}.");
    }
}
