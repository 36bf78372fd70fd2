namespace Lift.Ort.Onnx.Inference;

/// <summary>Operators that work element by element: outputs have the inputs' broadcast shape.</summary>
internal static class Elementwise
{
    [Infers("Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Ceil", "Celu", "Cos", "Cosh", "Elu", "Erf", "Exp", "Floor", "Gelu",
        "HardSigmoid", "HardSwish", "Hardmax", "LeakyRelu", "Log", "LogSoftmax", "LpNormalization", "Mish", "Neg", "Reciprocal", "Relu",
        "Round", "Selu", "Shrink", "Sigmoid", "Sign", "Sin", "Sinh", "Softmax", "Softplus", "Softsign", "Sqrt", "Swish", "Tan", "Tanh",
        "ThresholdedRelu", "CumSum", "Clip", "PRelu", "Trilu", "LRN", "InstanceNormalization", "GroupNormalization", "MeanVarianceNormalization",
        "ReverseSequence", "com.microsoft.Gelu", "com.microsoft.FastGelu", "com.microsoft.QuickGelu", "com.microsoft.BiasGelu", "com.microsoft.Trilu",
        "com.microsoft.BiasSoftmax", "com.microsoft.BiasAdd", "com.microsoft.MoE", "com.microsoft.QMoE")]
    static void LikeFirst(Inferred n) => n.Y(n.X(0));

    [Infers("Identity")]
    static void Identity(Inferred n)
    {
        n.Y(n.X(0));
        n.Content(n.Elements(0));
    }

    [Infers("BitwiseNot")]
    static void BitwiseNot(Inferred n) => n.Y(n.X(0));

    [Infers("Add", "Sub", "Mul", "Div", "Mod", "Pow", "Min", "Max", "Sum", "Mean", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "BitShift")]
    static void Arithmetic(Inferred n)
    {
        n.Y(Known(n), Broadcast(n, 0));
        n.Content(Contents.Apply(n));
    }

    [Infers("Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual", "And", "Or", "Xor")]
    static void Comparison(Inferred n)
    {
        n.Y(ElementType.Bool, Broadcast(n, 0));
        n.Content(Contents.Apply(n));
    }

    [Infers("Not", "IsNaN", "IsInf")]
    static void Predicate(Inferred n)
    {
        n.Y(ElementType.Bool, n.Shape(0));
        if (n.Node.OpType == "Not") n.Content(n.Content(0)?.Select(d => d.Value is { } v ? 1 - v : Dim.Unknown).ToArray());
    }

    [Infers("Where")]
    static void Where(Inferred n)
    {
        n.Y(n.Element(1) == ElementType.Undefined ? n.Element(2) : n.Element(1), Broadcast(n, 0));
        n.Content(Contents.Where(n));
    }

    [Infers("Cast")]
    static void Cast(Inferred n)
    {
        var to = (ElementType)n.Node.Int("to");
        n.Y(to, n.Shape(0));
        ElementType from = n.Element();
        bool integers = from is ElementType.Int64 or ElementType.Int32 or ElementType.Bool && to is ElementType.Int64 or ElementType.Int32;
        if (integers) n.Content(n.Elements(0));
    }

    [Infers("CastLike")]
    static void CastLike(Inferred n) => n.Y(n.Element(1), n.Shape(0));

    [Infers("Dropout")]
    static void Dropout(Inferred n)
    {
        n.Y(n.X(0));
        n.Y(ElementType.Bool, n.Shape(0), 1);
    }

    /// <summary>The broadcast shape of all inputs from <paramref name="first"/> on; null when a rank is unknown.</summary>
    public static Shape? Broadcast(Inferred n, int first)
    {
        Shape? result = n.Shape(first);
        for (int i = first + 1; i < n.InputCount; i++) result = Broadcast(result, n.Shape(i));
        return result;
    }

    public static Shape? Broadcast(Shape? a, Shape? b)
    {
        if (a is null || b is null) return null;
        var dims = new Dim[Math.Max(a.Rank, b.Rank)];
        for (int i = 1; i <= dims.Length; i++)
        {
            dims[^i] = DimMath.Broadcast(i <= a.Rank ? a.Dims[^i] : 1, i <= b.Rank ? b.Dims[^i] : 1);
        }
        return new([.. dims]);
    }

    /// <summary>The first known element type: all operands of an arithmetic operator have the same one (the exponent of Pow aside).</summary>
    private static ElementType Known(Inferred n)
    {
        if (n.Node.OpType is "Pow" or "BitShift") return n.Element();
        return Enumerable.Range(0, n.InputCount).Select(n.Element).FirstOrDefault(e => e != ElementType.Undefined);
    }

    [Infers("RandomNormalLike", "RandomUniformLike", "Bernoulli", "EyeLike")]
    static void Like(Inferred n) => n.Y(n.Node.Int("dtype") is > 0 and var type ? (ElementType)type : n.Element(), n.Shape(0));

    [Infers("RandomNormal", "RandomUniform")]
    static void Random(Inferred n) => n.Y((ElementType)n.Node.Int("dtype", 1), n.Node.Ints("shape") is { } dims ? Shape.Of(dims) : null);
}
