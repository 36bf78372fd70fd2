using Lift.Ort.Onnx;

namespace Lift.Ort.Gradients.Rules;

/// <summary>The float matrix that a MatMulNBits node multiplies by, as values of the graph: made where it is needed and let go after.</summary>
internal static class Blocks
{
    /// <summary>
    /// W [N, K] = (q − zero) · scale with one scale and one zero point per row and block of the K axis. Scales are [N, blocks] or flat; zero points are of the scales' type
    /// or packed like the values, each row of them filled up to whole bytes; without any, zero is 2^(bits − 1). With <c>g_idx</c> entry k belongs to block g_idx[k].
    /// Source: com.microsoft MatMulNBits, version 1.
    /// </summary>
    /// <exception cref="LiftException">The node's form is none of these.</exception>
    public static Var Weight(Graph g, Node node)
    {
        long n = node.Int("N"), k = node.Int("K"), bits = node.Int("bits", 4), block = node.Int("block_size"), blocks = (k + block - 1) / block;
        if (bits is not (2 or 4 or 8)) throw Refuse(node, $"weights of {bits} bits");
        Var packed = g.Var(node.Inputs[1]).Reshape(n, blocks, block * bits / 8), scale = g.Var(node.Inputs[2]).Reshape(n, blocks, 1);
        Var zero = Zero(g, node, n, blocks, bits, scale.Element);
        if (node.Input(4) is { } groups)
        {
            if (g.TypeOf(groups).Shape is not { Rank: 1 } shape || shape[0].Value != blocks * block) throw Refuse(node, "a g_idx that does not name a block for every entry of K, filled up to whole blocks,");
            scale = ByGroup(scale, g.Var(groups), n, blocks, block);
            if (zero.Rank == 3) zero = ByGroup(zero, g.Var(groups), n, blocks, block);
        }
        Var weight = g.Add("DequantizeNBits", [packed, scale, zero], a => a.With("bits", bits), "com.microsoft");
        return blocks * block == k ? weight : weight.Slice(0, k, 1);
    }

    private static Var Zero(Graph g, Node node, long n, long blocks, long bits, ElementType type)
    {
        if (node.Input(3) is not { } name) return g.Scalar(1 << (int)(bits - 1), type);
        Var given = g.Var(name);
        if (given.Element.IsFloat()) return given.Cast(type).Reshape(n, blocks, 1);
        long bytes = (blocks * bits + 7) / 8;
        Var integers = g.Add("DequantizeNBits", [given.Reshape(n, 1, bytes), g.Scalar(1, type), g.Scalar(0, type)], a => a.With("bits", bits), "com.microsoft");
        if (bytes * 8 / bits > blocks) integers = integers.Slice(0, blocks, 1);
        return integers.Reshape(n, blocks, 1);
    }

    /// <summary>[n, blocks, 1] ⇒ [n, blocks, block]: one number per entry.</summary>
    private static Var ByGroup(Var parameter, Var groups, long n, long blocks, long block) => parameter.Gather(groups, 1).Reshape(n, blocks, block);

    private static LiftException Refuse(Node node, string what) => new($"No gradient for {node}: {what} have no rule. Freeze the weights before it (--freeze), or turn it into a float matrix (--dequantize).");
}
