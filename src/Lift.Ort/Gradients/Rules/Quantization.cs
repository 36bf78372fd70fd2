using Lift.Ort.Onnx;

namespace Lift.Ort.Gradients.Rules;

/// <summary>
/// Rules of quantized operators. Quantized weights, scales and zero points stay as they are: gradients flow to inputs and biases only. The "gradient" of a
/// quantized activation is that of the float number which stands for the integer; rounding counts as the identity (straight-through estimate, Bengio et al. 2013),
/// and what was clipped gets none.
/// </summary>
internal static class Quantization
{
    /// <summary>y = (q − zero) · scale ⇒ dq = dy · scale</summary>
    [Gradient("DequantizeLinear"), Gradient("com.microsoft.DequantizeLinear")]
    public static Var?[] DequantizeLinear(Backward b) => [b.Needs(0) ? b.Dy * Aligned(b, b.X(1)).Cast(b.Dy.Element) : null];

    /// <summary>q = clip(round(x / scale) + zero) ⇒ dx = dq / scale where nothing was clipped, else 0</summary>
    [Gradient("QuantizeLinear"), Gradient("com.microsoft.QuantizeLinear")]
    public static Var?[] QuantizeLinear(Backward b)
    {
        Var x = b.X(), scale = Aligned(b, b.X(1)).Cast(x.Element), grid = b.Unary("Round", x / scale);
        if (b.HasX(2)) grid += Aligned(b, b.X(2)).Cast(x.Element);
        var (low, high) = Range(b, b.HasX(2) ? b.X(2).Element : b.Node.Int("output_dtype") is > 0 and var type ? (ElementType)type : ElementType.UInt8);
        Var inside = b.Graph.Add("And", [b.Graph.Add("GreaterOrEqual", [grid, grid.Like(low)]), b.Graph.Add("LessOrEqual", [grid, grid.Like(high)])]);
        Var dx = b.Dy.Cast(x.Element) / scale;
        return [inside.Where(dx, dx.Like(0))];
    }

    /// <summary>q = round(x / scale(x)) + zero(x), which clips nothing ⇒ dx = dq / scale; what scale and zero owe to x counts as constant</summary>
    [Gradient("DynamicQuantizeLinear")]
    public static Var?[] DynamicQuantizeLinear(Backward b) => [b.DyOf(0) is { } dy ? dy / b.Out(1) : null];

    /// <summary>Y = (A − a₀)(B − b₀) ⇒ dA = dY (B − b₀)ᵀ, dB = (A − a₀)ᵀ dY</summary>
    [Gradient("MatMulInteger")]
    public static Var?[] MatMulInteger(Backward b)
    {
        Var? da = b.Needs(0) ? Broadcasting.SumTo(b.Dy.MatMul(Matrices.Swap(b, Centred(b, 1, 3))), b.X(0)) : null;
        Var? db = b.Needs(1) ? Broadcasting.SumTo(Matrices.Swap(b, Centred(b, 0, 2)).MatMul(b.Dy), b.X(1)) : null;
        return [da, db];
    }

    /// <summary>Y = A Wᵀ + bias, W [N, K] stored in blocks of 2, 4 or 8 bits ⇒ dA = dY W, dbias = dY summed over its rows</summary>
    [Gradient("com.microsoft.MatMulNBits")]
    public static Var?[] MatMulNBits(Backward b)
    {
        Var a = b.X(0), dy = b.Dy;
        long n = b.Node.Int("N"), k = b.Node.Int("K");
        Var rows = dy.Rank == 2 ? dy : dy.Reshape(-1, n);
        Var? da = null;
        if (b.Needs(0))
        {
            da = b.Gemm(rows, Blocks.Weight(b.Graph, b.Node).Cast(dy.Element), false, false);
            da = b.Like(a.Rank == 2 ? da : da.Reshape(a.ShapeOf()), a);
        }
        return [da, null, null, null, null, b.Needs(5) ? rows.ReduceSum([0], keepDims: false) : null];
    }

    /// <summary>Integers minus their zero point as float32; a zero point per row or column is laid along its axis.</summary>
    private static Var Centred(Backward b, int values, int zero)
    {
        Var x = b.X(values).Cast(ElementType.Float);
        if (!b.HasX(zero)) return x;
        Var z = b.X(zero).Cast(ElementType.Float);
        return x - (values == 0 && z.Rank == 1 && z.Shape?[0].Value != 1 ? z.Unsqueeze(-1) : z);
    }

    /// <summary>A scale or zero point, one number or one per entry of the axis, laid so that it broadcasts over the values.</summary>
    private static Var Aligned(Backward b, Var parameter)
    {
        if (parameter.Rank is 0 or null) return parameter;
        int rank = b.RankOf(b.X()), axis = b.Axis(rank, 1);
        if (parameter.Rank == 1) return parameter.Shape?[0].Value == 1 || axis == rank - 1 ? parameter : parameter.Unsqueeze([.. Enumerable.Range(1, rank - 1 - axis).Select(i => (long)i)]);
        long block = b.Node.Int("block_size");
        if (block <= 0 || b.X().Shape?[axis].Value is not { } length) throw b.Refuse("its scale has as many axes as its input, but there is no block_size or the blocked axis has no fixed length");
        long[] every = [.. Enumerable.Range(0, (int)length).Select(i => i / block)];
        return parameter.Gather(b.Graph.Longs(every), axis);
    }

    private static (double Low, double High) Range(Backward b, ElementType type) => type switch
    {
        ElementType.UInt8 => (0, 255),
        ElementType.Int8 => (-128, 127),
        ElementType.UInt16 => (0, 65535),
        ElementType.Int16 => (-32768, 32767),
        ElementType.UInt4 => (0, 15),
        ElementType.Int4 => (-8, 7),
        _ => throw b.Refuse($"values quantized to {type.ToString().ToLowerInvariant()} have no straight-through gradient here"),
    };
}
