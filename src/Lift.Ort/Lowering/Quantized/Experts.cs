using Lift.Ort.Onnx;

namespace Lift.Ort.Lowering.Quantized;

/// <summary>Mixture of experts whose matrices are stored in 4 or 8 bits. Letters: E experts, F rows of a matrix, H its columns.</summary>
internal static class Experts
{
    /// <summary>
    /// com.microsoft.MoE of the numbers that the three matrices stand for: numbers 2, 5, 8, scales 3, 6, 9, biases 4, 7, 10, zero points 11, 12, 13; shares of the chosen experts sum to 1.
    /// </summary>
    [Lowering("com.microsoft.QMoE")]
    public static Var?[] QMoE(FusedNode n)
    {
        if (n.Has(14)) throw n.Refuse("its routing weights are computed outside of it");
        if (n.Node.String("quant_type", "int") != "int") throw n.Refuse($"its weights are of the kind '{n.Node.String("quant_type")}', and only integers are supported");
        Var? third = n.Has(8) ? Matrix(n, 8, 9, 13) : null;
        return n.Instead("MoE", [n.X(), n.X(1), Matrix(n, 2, 3, 11), n.Maybe(4), Matrix(n, 5, 6, 12), n.Maybe(7), third, n.Maybe(10)], a => a.With("normalize_routing_weights", 1L));
    }

    /// <summary>(q − zero) · scale, [E, F, H]: a scale for each row, or for each block of a row; without zero points zero is half of the range.</summary>
    private static Var Matrix(FusedNode n, int numbers, int scales, int zeros)
    {
        long bits = n.Int("expert_weight_bits", 4), half = 1 << (int)(bits - 1);
        if (bits is not (4 or 8)) throw n.Refuse($"its weights have {bits} bits");
        Var q = n.X(numbers), scale = n.Table(scales);
        if (q.Shape is not { Rank: 3 } s || s[0].Value is not { } experts || s[1].Value is not { } rows || s[2].Value is not { } bytes) throw n.Refuse("the size of its matrices is not known");
        long columns = bytes * 8 / bits;
        bool blocked = n.RankOf(scale) == 3;
        long blocks = blocked ? scale.Shape![2].Value ?? throw n.Refuse("the number of its blocks is not known") : 1;
        Var real = Numbers(n, q, bits).Reshape(experts, rows, blocks, columns / blocks);
        Var point = n.Maybe(zeros) is { } given ? Points(n, given, bits, experts, rows, blocks, blocked) : n.Graph.Scalar(half, ElementType.Float);
        return ((real - point).Cast(scale.Element) * scale.Reshape(experts, rows, blocks, 1)).Reshape(experts, rows, columns);
    }

    /// <summary>Bytes as the numbers in them, the lower half of a byte first, float32.</summary>
    private static Var Numbers(FusedNode n, Var bytes, long bits)
    {
        if (bits == 8) return bytes.Cast(ElementType.Float);
        Var pairs = n.Shared("pairs of 4 bits", () => n.Graph.Constant<float>([.. Enumerable.Range(0, 256).SelectMany(v => new float[] { v & 15, v >> 4 })], [256, 2]));
        return pairs.Gather(bytes.Cast(ElementType.Int32));
    }

    /// <summary>Zero points, packed as the numbers are along their last axis, [E, F, blocks, 1].</summary>
    private static Var Points(FusedNode n, Var given, long bits, long experts, long rows, long blocks, bool blocked)
    {
        if (bits == 8) return given.Cast(ElementType.Float).Reshape(experts, rows, blocks, 1);
        long count = blocked ? blocks : rows;
        Var numbers = Numbers(n, given, bits).Reshape(blocked ? [experts, rows, -1] : [experts, -1]).Slice(0, count, blocked ? 2 : 1);
        return numbers.Reshape(experts, rows, blocks, 1);
    }
}
