using Lift.Ort.Onnx;

namespace Lift.Ort.Lowering.Quantized;

/// <summary>Between the 8-bit numbers of a quantized operator and the real numbers that they stand for: what every lowering of this folder is made of.</summary>
internal static class Eight
{
    /// <summary>(q − zero) · scale: the real numbers of input <paramref name="value"/>.</summary>
    /// <param name="axis">The axis, from the front, along which there is one scale each, where there are several.</param>
    public static Var Real(this FusedNode n, int value, int scale, int zero, int axis = 0)
    {
        Var q = n.X(value), s = n.Table(scale);
        if (s.Rank > 1) throw n.Refuse($"its scale '{s.Name}' has {s.Rank} axes");
        return n.Graph.Add("DequantizeLinear", [q, s, Zero(n, zero)], a => a.With("axis", (long)axis));
    }

    /// <summary>The real numbers of a product's left side: one scale for all, or one per row.</summary>
    public static Var Rows(this FusedNode n, int value, int scale, int zero) => n.Real(value, scale, zero, Math.Max(0, n.RankOf(n.X(value)) - 2));

    /// <summary>The real numbers of a product's right side: one scale for all, or one per column.</summary>
    public static Var Columns(this FusedNode n, int value, int scale, int zero) => n.Real(value, scale, zero, n.RankOf(n.X(value)) - 1);

    /// <summary>The output: clip(round(y / scale) + zero), of the zero point's type (that of input <paramref name="like"/> where there is none).</summary>
    public static Var Quantized(this FusedNode n, Var y, int scale, int zero, int like = 0)
    {
        Var point = Zero(n, zero) ?? (n.X(like).Element == ElementType.Int8 ? n.Graph.Constant<sbyte>([0], []) : n.Graph.Constant<byte>([0], []));
        return n.Graph.Add("QuantizeLinear", [y, n.Table(scale), point]);
    }

    /// <summary>int32 numbers whose scale is the product of the operands' scales; one per entry of the first axis where an operand has several.</summary>
    public static Var Bias(this FusedNode n, int bias, int first, int second, float factor = 1)
    {
        Var scale = n.Table(first).Reshape(-1) * n.Table(second).Reshape(-1);
        if (factor != 1) scale *= factor;
        return n.X(bias).Cast(ElementType.Float) * scale;
    }

    private static Var? Zero(FusedNode n, int zero) => n.Maybe(zero);
}
