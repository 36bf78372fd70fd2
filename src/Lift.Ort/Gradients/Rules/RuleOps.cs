using Lift.Ort.Onnx;

namespace Lift.Ort.Gradients.Rules;

/// <summary>Short forms that several rules share.</summary>
internal static class RuleOps
{
    public static Var Unary(this Backward b, string op, Var x) => b.Graph.Add(op, [x]);

    /// <summary>One of ONNX Runtime's training operators, with one output.</summary>
    public static Var Training(this Backward b, string op, params Var?[] inputs) => b.Graph.Add(op, inputs, domain: "com.microsoft");

    public static Var Positive(this Backward b, Var x) => b.Graph.Add("Greater", [x, x.Like(0)]);

    /// <summary>α A' B' of two matrices.</summary>
    public static Var Gemm(this Backward b, Var a, Var w, bool transA, bool transB, float alpha = 1) => b.Graph.Add("Gemm", [a, w], n =>
    {
        if (transA) n.With("transA", 1L);
        if (transB) n.With("transB", 1L);
        if (alpha != 1) n.With("alpha", alpha);
    });

    /// <summary>Declares that <paramref name="value"/> is a gradient of <paramref name="model"/>, of its shape and type, which the rule knows and inference may not.</summary>
    public static Var Like(this Backward b, Var value, Var model)
    {
        b.Graph.Types[value.Name] = new(ElementOfGradient(model), model.Shape);
        return value;
    }

    /// <summary>The value of a scalar float constant given as input <paramref name="index"/>, or null.</summary>
    public static float? Constant(this Backward b, int index) =>
        b.HasX(index) && b.Graph.Initializers.TryGetValue(b.Node.Inputs[index], out Tensor? t) && t.Count == 1 ? t.ToFloats()[0] : null;

    /// <summary>The shape of <paramref name="x"/> as a value: a constant where it is known.</summary>
    public static Var Dims(this Backward b, Var x) => x.Shape is { IsStatic: true } s ? b.Graph.Longs([.. s.Dims.Select(d => d.Value!.Value)]) : x.ShapeOf();

    /// <summary>Zeros of the shape and type of the gradient of <paramref name="x"/>.</summary>
    public static Var ZerosLike(this Backward b, Var x) => b.Dims(x).Filled(0).Cast(ElementOfGradient(x));

    /// <summary>The type of a value's gradient: its own, and float32 for integers that stand for activations.</summary>
    public static ElementType ElementOfGradient(Var x) => x.Element.IsFloat() || x.Element == ElementType.Undefined ? x.Element : ElementType.Float;

    /// <summary>Number of elements along <paramref name="axis"/> as an int64 vector of one.</summary>
    public static Var DimOf(this Backward b, Var x, int axis) =>
        x.Shape?[axis].Value is { } n ? b.Graph.Longs(n) : x.ShapeOf().Slice(axis, axis + 1, 0);

    /// <summary>All axes of a value, or those given, counted from the front.</summary>
    public static long[] Axes(this Backward b, Var x, long[]? axes)
    {
        int rank = b.RankOf(x);
        return axes is null or [] ? [.. Enumerable.Range(0, rank).Select(i => (long)i)] : [.. axes.Select(a => a < 0 ? a + rank : a)];
    }

    /// <summary>0, 1, … below <paramref name="count"/> (an int64 vector of one).</summary>
    public static Var Range(this Backward b, Var count) =>
        b.Graph.Add("Range", [b.Graph.Scalar(0, ElementType.Int64), count.Reshape([]), b.Graph.Scalar(1, ElementType.Int64)]);

    /// <summary>1 where x is 0, else 0.</summary>
    public static Var IsZero(this Backward b, Var x) => x.EqualTo(x.Like(0)).Cast(x.Element);
}
