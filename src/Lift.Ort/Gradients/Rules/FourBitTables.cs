using Lift.Ort.Onnx;

namespace Lift.Ort.Gradients.Rules;

/// <summary>The float matrix of a MatMulBnb4 node as values of the graph: every 4-bit number names one of 16 values, times the largest magnitude of its block.</summary>
internal static class FourBitTables
{
    /// <summary>The 16 values by <c>quant_type</c>: 0 is fp4 (sign, two bits of exponent, one of mantissa, over 12), 1 is nf4 (quantiles of the normal distribution). Source: QLoRA (arXiv 2305.14314), appendix E, and com.microsoft.MatMulBnb4.</summary>
    private static readonly float[][] tables =
    [
        [0, 5.208333333e-03f, 0.66666667f, 1, 0.33333333f, 0.5f, 0.16666667f, 0.25f, -0f, -5.208333333e-03f, -0.66666667f, -1, -0.33333333f, -0.5f, -0.16666667f, -0.25f],
        [
            -1, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f, -0.18477343022823334f, -0.09105003625154495f, 0,
            0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f, 0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1,
        ],
    ];

    /// <summary>The values of a table, or null where the type is none of ONNX Runtime's.</summary>
    public static float[]? Table(Node node) => node.Int("quant_type") is 0 or 1 ? tables[node.Int("quant_type")] : null;

    /// <summary>W [N, K]; a byte holds two numbers, the first one in its upper half.</summary>
    public static Var Weight(Backward b)
    {
        Graph g = b.Graph;
        float[] values = Table(b.Node) ?? throw b.Refuse($"its quant_type {b.Node.Int("quant_type")} is neither fp4 (0) nor nf4 (1)");
        long n = b.Node.Int("N"), k = b.Node.Int("K"), block = b.Node.Int("block_size"), blocks = ((n * k) + block - 1) / block;
        Var pairs = g.Constant<float>([.. Enumerable.Range(0, 256).SelectMany(v => new[] { values[v >> 4], values[v & 15] })], [256, 2]);
        Var numbers = pairs.Gather(b.X(1).Reshape(-1).Cast(ElementType.Int32)).Reshape(-1), largest = b.X(2).Cast(ElementType.Float).Reshape(blocks, 1);
        if (n * k % 2 != 0) numbers = numbers.Slice(0, n * k, 0);
        if (n * k % block == 0) return (numbers.Reshape(blocks, block) * largest).Reshape(n, k);
        return (numbers * largest.Expand(g.Longs(blocks, block)).Reshape(-1).Slice(0, n * k, 0)).Reshape(n, k);
    }
}
