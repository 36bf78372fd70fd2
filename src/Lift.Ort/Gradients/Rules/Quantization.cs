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
        Var x = b.X(), scale = Aligned(b, b.X(1)).Cast(x.Element), places = x / scale;
        ElementType type = b.HasX(2) ? b.X(2).Element : b.Node.Int("output_dtype") is > 0 and var given ? (ElementType)given : ElementType.UInt8;
        Var grid = IsFloat8(type) ? places : b.Unary("Round", places); // a float8 has a mantissa, and no zero point
        if (b.HasX(2) && !IsFloat8(type)) grid += Aligned(b, b.X(2)).Cast(x.Element);
        var (low, high) = Range(b, type);
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

    /// <summary>Y = (X − x₀) ∗ (W − w₀) ⇒ dX = dY ∗ᵀ (W − w₀); the integers W stay as they are</summary>
    [Gradient("ConvInteger")]
    public static Var?[] ConvInteger(Backward b)
    {
        Var x = Centred(b, 0, 2), w = b.X(1).Cast(ElementType.Float);
        if (b.HasX(3)) w -= b.X(3).Rank == 1 && b.X(3).Shape?[0].Value != 1 ? b.X(3).Cast(ElementType.Float).Unsqueeze([.. Enumerable.Range(1, b.RankOf(w) - 1).Select(i => (long)i)]) : b.X(3).Cast(ElementType.Float);
        return [b.Needs(0) ? Convolutions.Image(b, b.Dy, x, w) : null];
    }

    /// <summary>Y = A Wᵀ, W [N, K] stored in 4 bits by a table (fp4, nf4) ⇒ dA = dY W</summary>
    [Gradient("com.microsoft.MatMulBnb4")]
    public static Var?[] MatMulBnb4(Backward b)
    {
        Var a = b.X(0), dy = b.Dy;
        if (!b.Needs(0)) return [null];
        Var rows = dy.Rank == 2 ? dy : dy.Reshape(-1, b.Node.Int("N"));
        Var da = b.Gemm(rows, FourBitTables.Weight(b).Cast(dy.Element), false, false);
        return [b.Like(a.Rank == 2 ? da : da.Reshape(a.ShapeOf()), a)];
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
        if (parameter.Rank == 1 && parameter.Shape?[0].Value == 1) return parameter; // whatever the axis is said to be
        int rank = b.RankOf(b.X()), axis = b.Axis(rank, 1);
        if (parameter.Rank == 1) return axis == rank - 1 ? parameter : parameter.Unsqueeze([.. Enumerable.Range(1, rank - 1 - axis).Select(i => (long)i)]);
        long block = b.Node.Int("block_size");
        if (block <= 0 || b.X().Shape?[axis].Value is not { } length) throw b.Refuse("its scale has as many axes as its input, but there is no block_size or the blocked axis has no fixed length");
        long[] every = [.. Enumerable.Range(0, (int)length).Select(i => i / block)];
        return parameter.Gather(b.Graph.Longs(every), axis);
    }

    private static bool IsFloat8(ElementType type) => type is ElementType.Float8E4M3FN or ElementType.Float8E4M3FNUZ or ElementType.Float8E5M2 or ElementType.Float8E5M2FNUZ;

    private static (double Low, double High) Range(Backward b, ElementType type) => type switch
    {
        ElementType.UInt8 => (0, 255),
        ElementType.Int8 => (-128, 127),
        ElementType.UInt16 => (0, 65535),
        ElementType.Int16 => (-32768, 32767),
        ElementType.UInt4 => (0, 15),
        ElementType.Int4 => (-8, 7),
        ElementType.Float8E4M3FN => (-448, 448),
        ElementType.Float8E4M3FNUZ => (-240, 240),
        ElementType.Float8E5M2 or ElementType.Float8E5M2FNUZ => (-57344, 57344),
        _ => throw b.Refuse($"values quantized to {type.ToString().ToLowerInvariant()} have no straight-through gradient here"),
    };
}
