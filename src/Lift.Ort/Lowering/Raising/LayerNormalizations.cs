using Lift.Ort.Onnx;

namespace Lift.Ort.Lowering.Raising;

/// <summary>Normalisation over the last axis, spelt in means and square roots: what exporters wrote before opset 17, and what they write for RMSNorm still.</summary>
internal static class LayerNormalizations
{
    /// <summary>(x − mean x) / √(mean (x − mean x)² + ε) · scale [+ bias] ⇒ LayerNormalization</summary>
    public static Node? Match(Chains c, Node last)
    {
        if (last.OpType == "Add")
        {
            foreach (var (product, bias) in Chains.Orders(last))
                if (c.Maker(product, "Mul") is { } mul && Scaled(c, mul) is var (x, scale, epsilon) && c.GoesWithLastAxis(bias, x)) return Layer(x, scale, bias, epsilon);
        }
        return last.OpType == "Mul" && Scaled(c, last) is var (input, weight, small) ? Layer(input, weight, null, small) : null;
    }

    /// <summary>x · a + (bias − mean x · a) with a = scale / √(variance + ε), as Keras spells it ⇒ LayerNormalization</summary>
    public static Node? MatchScaledFirst(Chains c, Node last)
    {
        if (last.OpType != "Add") return null;
        foreach (var (first, second) in Chains.Orders(last))
        {
            if (c.Maker(first, "Mul") is not { } product || c.Maker(second, "Sub") is not { } sub || c.Maker(sub.Inputs[1], "Mul") is not { } shift) continue;
            foreach (var (x, a) in Chains.Orders(product))
            {
                if (c.Maker(a, "Mul") is not { } factor || Chains.Orders(shift).All(o => !c.Same(o.First, a) || !IsMeanOf(c, o.Second, x))) continue;
                foreach (var (inverse, scale) in Chains.Orders(factor))
                {
                    if (InverseRoot(c, inverse) is var (variance, epsilon) && Variance(c, variance) is { } of && c.Same(of, x) && c.GoesWithLastAxis(scale, x) && c.GoesWithLastAxis(sub.Inputs[0], x))
                        return Layer(x, scale, sub.Inputs[0], epsilon);
                }
            }
        }
        return null;
    }

    /// <summary>x / √(mean x² + ε) · scale ⇒ SimplifiedLayerNormalization</summary>
    public static Node? MatchRms(Chains c, Node last)
    {
        if (last.OpType != "Mul") return null;
        foreach (var (unit, scale) in Chains.Orders(last))
        {
            if (Divided(c, unit) is not var (x, radicand) || SumOfNumber(c, radicand) is not var (mean, epsilon) || MeanOfSquare(c, mean) is not { } of || !c.Same(of, x)) continue;
            if (c.GoesWithLastAxis(scale, x)) return new Node("SimplifiedLayerNormalization", "", [x, scale], []).With("axis", -1L).With("epsilon", (float)epsilon).With("stash_type", 1L);
        }
        return null;
    }

    private static Node Layer(string x, string scale, string? bias, double epsilon) =>
        new Node("LayerNormalization", "", bias is null ? [x, scale] : [x, scale, bias], []).With("axis", -1L).With("epsilon", (float)epsilon);

    private static (string X, string Scale, double Epsilon)? Scaled(Chains c, Node mul)
    {
        foreach (var (unit, scale) in Chains.Orders(mul))
        {
            if (Divided(c, unit) is not var (centred, radicand) || SumOfNumber(c, radicand) is not var (variance, epsilon)) continue;
            if (Centred(c, centred) is { } x && Variance(c, variance) is { } of && c.Same(of, x) && c.GoesWithLastAxis(scale, x)) return (x, scale, epsilon);
        }
        return null;
    }

    /// <summary>A value divided by a square root: the value and what is under the root.</summary>
    private static (string Value, string Radicand)? Divided(Chains c, string quotient)
    {
        if (c.Maker(quotient) is not { Domain.Length: 0 } node) return null;
        if (node.OpType == "Div" && Root(c, node.Inputs[1]) is { } radicand) return (node.Inputs[0], radicand);
        if (node.OpType != "Mul") return null;
        foreach (var (value, inverse) in Chains.Orders(node))
            if (UnderInverse(c, inverse) is { } inner) return (value, inner);
        return null;
    }

    /// <summary>1 / √(v + ε): v and ε.</summary>
    private static (string Value, double Epsilon)? InverseRoot(Chains c, string inverse) => UnderInverse(c, inverse) is { } radicand ? SumOfNumber(c, radicand) : null;

    /// <summary>What is under the root of 1 / √v, in any of its spellings.</summary>
    private static string? UnderInverse(Chains c, string inverse) => c.Maker(inverse) is not { Domain.Length: 0 } node ? null : node.OpType switch
    {
        "Reciprocal" => Root(c, node.Inputs[0]),
        "Div" when c.Number(node.Inputs[0]) == 1 => Root(c, node.Inputs[1]),
        "Pow" when c.Number(node.Inputs[1]) == -0.5 => node.Inputs[0],
        _ => null,
    };

    private static string? Root(Chains c, string value) => c.Maker(value) is not { Domain.Length: 0 } node ? null : node.OpType switch
    {
        "Sqrt" => node.Inputs[0],
        "Pow" when c.Number(node.Inputs[1]) == 0.5 => node.Inputs[0],
        _ => null,
    };

    private static (string Value, double Number)? SumOfNumber(Chains c, string sum) => c.Maker(sum, "Add") is { } add && c.Scalar(add) is var (number, other) ? (other, number) : null;

    /// <summary>mean (x − mean x)²: x.</summary>
    private static string? Variance(Chains c, string value) => MeanOfSquare(c, value) is { } centred ? Centred(c, centred) : null;

    /// <summary>x − mean x: x.</summary>
    private static string? Centred(Chains c, string value) => c.Maker(value, "Sub") is { } sub && IsMeanOf(c, sub.Inputs[1], sub.Inputs[0]) ? sub.Inputs[0] : null;

    private static bool IsMeanOf(Chains c, string mean, string x) => c.Maker(mean, "ReduceMean") is { } node && c.IsMeanOfLast(node) && c.Same(node.Inputs[0], x);

    /// <summary>mean v²: v.</summary>
    private static string? MeanOfSquare(Chains c, string value)
    {
        if (c.Maker(value, "ReduceMean") is not { } mean || !c.IsMeanOfLast(mean) || c.Maker(mean.Inputs[0]) is not { Domain.Length: 0 } square) return null;
        bool squares = square.OpType == "Pow" ? c.Number(square.Inputs[1]) == 2 : square.OpType == "Mul" && c.Same(square.Inputs[0], square.Inputs[1]);
        return squares ? square.Inputs[0] : null;
    }
}
