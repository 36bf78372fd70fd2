using Lift.Ort.Onnx;

namespace Lift.Ort.Gradients.Rules;

/// <summary>Rules of element-wise arithmetic, and the operators whose results do not depend smoothly on their inputs.</summary>
[NoGradient("Shape", "Size", "ConstantOfShape", "Range", "NonZero", "ArgMax", "ArgMin", "EyeLike", "RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Bernoulli", "Multinomial",
    "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "And", "Or", "Not", "Xor", "IsNaN", "IsInf", "BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseNot", "BitwiseXor",
    "Sign", "Floor", "Ceil", "Round", "NonMaxSuppression", "Unique", "StringNormalizer", "TfIdfVectorizer", "Constant", "Hardmax", "BlackmanWindow", "HannWindow", "HammingWindow", "MelWeightMatrix",
    "ImageDecoder", "RegexFullMatch", "StringConcat", "StringSplit", "com.microsoft.BifurcationDetector", "com.microsoft.DynamicTimeWarping", "com.microsoft.IsAllFinite", "com.microsoft.MurmurHash3",
    "com.microsoft.Range", "com.microsoft.Tokenizer", "com.microsoft.Unique", "com.microsoft.GatherBlockQuantized")]
internal static class Elementwise
{
    /// <summary>y = a + b ⇒ da = dy, db = dy</summary>
    [Gradient("Add", Broadcasts = true)]
    public static Var?[] Add(Backward b) => [b.Dy, b.Dy];

    /// <summary>y = a − b ⇒ da = dy, db = −dy</summary>
    [Gradient("Sub", Broadcasts = true)]
    public static Var?[] Sub(Backward b) => [b.Dy, b.Needs(1) ? -b.Dy : null];

    /// <summary>y = a · c ⇒ da = dy · c, dc = dy · a</summary>
    [Gradient("Mul", Broadcasts = true)]
    public static Var?[] Mul(Backward b) => [b.Needs(0) ? b.Dy * b.X(1) : null, b.Needs(1) ? b.Dy * b.X(0) : null];

    /// <summary>y = a / c ⇒ da = dy / c, dc = −dy · y / c</summary>
    [Gradient("Div", Broadcasts = true)]
    public static Var?[] Div(Backward b) => [b.Dy / b.X(1), b.Needs(1) ? -(b.Dy * b.Y) / b.X(1) : null];

    /// <summary>y = xᵖ ⇒ dx = dy · p · xᵖ⁻¹ (0 where p = 0), dp = dy · y · ln x (0 where x = 0 ≤ p); a constant p of 2 becomes dy · 2x</summary>
    [Gradient("Pow", Broadcasts = true)]
    public static Var?[] Pow(Backward b)
    {
        Var x = b.X(0), p = b.X(1), slope = p.Cast(x.Element) * b.Graph.Add("Pow", [x, p - 1]);
        Var? dx = !b.Needs(0) ? null : b.Constant(1) switch
        {
            1 => b.Dy,
            2 => b.Dy * (x * 2),
            null or 0 => p.EqualTo(p.Like(0)).Where(x.Like(0), b.Dy * slope),
            _ => b.Dy * slope,
        };
        if (!b.Needs(1)) return [dx, null];
        Var still = b.Graph.Add("And", [x.EqualTo(x.Like(0)), b.Graph.Add("GreaterOrEqual", [p, p.Like(0)])]);
        return [dx, still.Where(x.Like(0), b.Dy * (b.Y * x.Log()))];
    }

    /// <summary>y = s₀ x₀ + s₁ x₁ (+ s₂ x₂) ⇒ dxᵢ = sᵢ dy</summary>
    [Gradient("com.microsoft.ScaledSum")]
    public static Var?[] ScaledSum(Backward b) => [.. Enumerable.Range(0, b.InputCount).Select(i => b.Dy * b.Node.Float($"scale_{i}"))];

    /// <summary>y = max(x₀, x₁, …) ⇒ dxᵢ = dy where xᵢ = y, shared evenly between equals, else 0; where an operand is NaN, all have dy, as in PyTorch</summary>
    [Gradient("Max", Broadcasts = true), Gradient("Min", Broadcasts = true)]
    public static Var?[] Extremum(Backward b)
    {
        if (b.InputCount == 1) return [b.Dy];
        Var[] x = [.. Enumerable.Range(0, b.InputCount).Select(b.X)];
        Var equals = x.Select(v => v.EqualTo(b.Y).Cast(b.Y.Element)).Aggregate((s, h) => s + h), share = b.Dy / b.Graph.Add("Max", [equals, equals.Like(1)]);
        return [.. x.Select((v, i) => b.Needs(i) ? b.Graph.Add(b.Node.OpType == "Max" ? "Less" : "Greater", [v, b.Y]).Where(share.Like(0), share) : null)];
    }

    /// <summary>y = x₀ + x₁ + … ⇒ dxᵢ = dy</summary>
    [Gradient("Sum", Broadcasts = true)]
    public static Var?[] Sum(Backward b) => [.. Enumerable.Repeat(b.Dy, b.InputCount)];

    /// <summary>y = (x₀ + … + xₙ₋₁) / n ⇒ dxᵢ = dy / n</summary>
    [Gradient("Mean", Broadcasts = true)]
    public static Var?[] Mean(Backward b) => [.. Enumerable.Repeat(b.Dy / b.InputCount, b.InputCount)];

    /// <summary>y = c ? a : e ⇒ da = c ? dy : 0, de = c ? 0 : dy</summary>
    [Gradient("Where", Broadcasts = true)]
    public static Var?[] Where(Backward b) =>
        [null, b.Needs(1) ? b.X(0).Where(b.Dy, b.Dy.Like(0)) : null, b.Needs(2) ? b.X(0).Where(b.Dy.Like(0), b.Dy) : null];

    /// <summary>y = a mod c (C's fmod) ⇒ da = dy, dc = −dy · trunc(a / c)</summary>
    [Gradient("Mod", Broadcasts = true)]
    public static Var?[] Mod(Backward b) => [b.Dy, b.Needs(1) ? -(b.Dy * ((b.X(0) - b.Y) / b.X(1))) : null];

    /// <summary>y = −x ⇒ dx = −dy</summary>
    [Gradient("Neg")]
    public static Var?[] Neg(Backward b) => [-b.Dy];

    /// <summary>y = |x| ⇒ dx = dy · sign x</summary>
    [Gradient("Abs")]
    public static Var?[] Abs(Backward b) => [b.Dy * b.Unary("Sign", b.X())];

    /// <summary>y = eˣ ⇒ dx = dy · y</summary>
    [Gradient("Exp")]
    public static Var?[] Exp(Backward b) => [b.Dy * b.Y];

    /// <summary>y = ln x ⇒ dx = dy / x</summary>
    [Gradient("Log")]
    public static Var?[] Log(Backward b) => [b.Dy / b.X()];

    /// <summary>y = √x ⇒ dx = dy / (2y)</summary>
    [Gradient("Sqrt")]
    public static Var?[] Sqrt(Backward b) => [b.Dy / (b.Y * 2)];

    /// <summary>y = 1/x ⇒ dx = −dy · y²</summary>
    [Gradient("Reciprocal")]
    public static Var?[] Reciprocal(Backward b) => [-(b.Dy * b.Y * b.Y)];

    /// <summary>y = sin x ⇒ dx = dy · cos x</summary>
    [Gradient("Sin")]
    public static Var?[] Sin(Backward b) => [b.Dy * b.Unary("Cos", b.X())];

    /// <summary>y = cos x ⇒ dx = −dy · sin x</summary>
    [Gradient("Cos")]
    public static Var?[] Cos(Backward b) => [-(b.Dy * b.Unary("Sin", b.X()))];

    /// <summary>y = tan x ⇒ dx = dy · (1 + y²)</summary>
    [Gradient("Tan")]
    public static Var?[] Tan(Backward b) => [b.Dy * (b.Y * b.Y + 1)];

    /// <summary>y = asin x ⇒ dx = dy / √(1 − x²)</summary>
    [Gradient("Asin")]
    public static Var?[] Asin(Backward b) => [b.Dy / (1 - b.X() * b.X()).Sqrt()];

    /// <summary>y = acos x ⇒ dx = −dy / √(1 − x²)</summary>
    [Gradient("Acos")]
    public static Var?[] Acos(Backward b) => [-(b.Dy / (1 - b.X() * b.X()).Sqrt())];

    /// <summary>y = atan x ⇒ dx = dy / (1 + x²)</summary>
    [Gradient("Atan")]
    public static Var?[] Atan(Backward b) => [b.Dy / (b.X() * b.X() + 1)];

    /// <summary>y = sinh x ⇒ dx = dy · cosh x</summary>
    [Gradient("Sinh")]
    public static Var?[] Sinh(Backward b) => [b.Dy * b.Unary("Cosh", b.X())];

    /// <summary>y = cosh x ⇒ dx = dy · sinh x</summary>
    [Gradient("Cosh")]
    public static Var?[] Cosh(Backward b) => [b.Dy * b.Unary("Sinh", b.X())];

    /// <summary>y = asinh x ⇒ dx = dy / √(x² + 1)</summary>
    [Gradient("Asinh")]
    public static Var?[] Asinh(Backward b) => [b.Dy / (b.X() * b.X() + 1).Sqrt()];

    /// <summary>y = acosh x ⇒ dx = dy / √(x² − 1)</summary>
    [Gradient("Acosh")]
    public static Var?[] Acosh(Backward b) => [b.Dy / (b.X() * b.X() - 1).Sqrt()];

    /// <summary>y = atanh x ⇒ dx = dy / (1 − x²)</summary>
    [Gradient("Atanh")]
    public static Var?[] Atanh(Backward b) => [b.Dy / (1 - b.X() * b.X())];

    /// <summary>y = erf x ⇒ dx = dy · 2/√π · e^(−x²)</summary>
    [Gradient("Erf")]
    public static Var?[] Erf(Backward b) => [b.Dy * ((-(b.X() * b.X())).Exp() * (2 / Math.Sqrt(Math.PI)))];

    /// <summary>y = x ⇒ dx = dy</summary>
    [Gradient("Identity")]
    public static Var?[] Identity(Backward b) => [b.Dy];

    /// <summary>y = x in another precision ⇒ dx = dy, cast back by <see cref="BackwardPass"/></summary>
    [Gradient("Cast"), Gradient("CastLike")]
    public static Var?[] Cast(Backward b) => [b.Dy];

    /// <summary>y = x, as at inference: training keeps Dropout off ⇒ dx = dy</summary>
    [Gradient("Dropout")]
    public static Var?[] Dropout(Backward b) => [b.Dy];

    /// <summary>y = min(max(x, low), high) ⇒ dx = dy where low ≤ x ≤ high, else 0</summary>
    [Gradient("Clip")]
    public static Var?[] Clip(Backward b)
    {
        Var dx = b.Dy;
        if (b.HasX(1)) dx = b.Graph.Add("GreaterOrEqual", [b.X(), b.X(1)]).Where(dx, dx.Like(0));
        if (b.HasX(2)) dx = b.Graph.Add("LessOrEqual", [b.X(), b.X(2)]).Where(dx, dx.Like(0));
        return [dx];
    }
}
