using Lift.Ort.Onnx;

namespace Lift.Ort.Gradients.Rules;

/// <summary>Rules of reductions: the gradient of the result is spread back over the reduced axes.</summary>
internal static class Reductions
{
    /// <summary>y = Σ x ⇒ dx = dy, repeated</summary>
    [Gradient("ReduceSum")]
    public static Var?[] Sum(Backward b) => [NoOp(b) ? b.Dy : Spread(b, b.Dy)];

    /// <summary>y = (Σ x) / n ⇒ dx = dy / n, repeated</summary>
    [Gradient("ReduceMean")]
    public static Var?[] Mean(Backward b) => [NoOp(b) ? b.Dy : Spread(b, b.Dy / Count(b))];

    /// <summary>y = max x ⇒ dx = dy where x = y, shared evenly between equals</summary>
    [Gradient("ReduceMax"), Gradient("ReduceMin")]
    public static Var?[] Extremum(Backward b)
    {
        if (NoOp(b)) return [b.Dy];
        Var hit = b.X().EqualTo(Keep(b, b.Y)).Cast(b.X().Element);
        return [hit * (Keep(b, b.Dy) / hit.ReduceSum(Axes(b)))];
    }

    /// <summary>y = Π x ⇒ dx = dy · the product of the other factors</summary>
    [Gradient("ReduceProd")]
    public static Var?[] Prod(Backward b)
    {
        if (NoOp(b)) return [b.Dy];
        Var x = b.X(), zero = b.IsZero(x);
        long[] axes = Axes(b);
        return [Keep(b, b.Dy) * b.WithoutOne(x, zero, zero.ReduceSum(axes), (x + zero).Reduce("ReduceProd", axes))];
    }

    /// <summary>y = Σ |x| ⇒ dx = dy · sign x</summary>
    [Gradient("ReduceL1")]
    public static Var?[] L1(Backward b) => [(NoOp(b) ? b.Dy : Keep(b, b.Dy)) * b.Unary("Sign", b.X())];

    /// <summary>y = √Σ x² ⇒ dx = dy · x / y, and 0 where y = 0</summary>
    [Gradient("ReduceL2")]
    public static Var?[] L2(Backward b)
    {
        Var y = NoOp(b) ? b.Y : Keep(b, b.Y), dy = NoOp(b) ? b.Dy : Keep(b, b.Dy);
        return [b.X() * y.EqualTo(y.Like(0)).Where(y.Like(0), dy / y)];
    }

    /// <summary>y = Σ x² ⇒ dx = dy · 2x</summary>
    [Gradient("ReduceSumSquare")]
    public static Var?[] SumSquare(Backward b) => [(NoOp(b) ? b.Dy : Keep(b, b.Dy)) * (b.X() * 2)];

    /// <summary>y = ln Σ x ⇒ dx = dy / eʸ</summary>
    [Gradient("ReduceLogSum")]
    public static Var?[] LogSum(Backward b) => [NoOp(b) ? b.Dy / b.X() : Spread(b, b.Dy / b.Y.Exp())];

    /// <summary>y = ln Σ eˣ ⇒ dx = dy · e^(x − y)</summary>
    [Gradient("ReduceLogSumExp")]
    public static Var?[] LogSumExp(Backward b) => [NoOp(b) ? b.Dy : Keep(b, b.Dy) * (b.X() - Keep(b, b.Y)).Exp()];

    /// <summary>y = running sum of x along an axis ⇒ dx = the running sum of dy from the other end</summary>
    [Gradient("CumSum")]
    public static Var?[] CumSum(Backward b) => [b.Graph.Add("CumSum", [b.Dy, b.X(1)], n =>
        n.With("exclusive", b.Node.Int("exclusive")).With("reverse", 1 - b.Node.Int("reverse")))];

    private static long[] Axes(Backward b) => b.Axes(b.X(), b.Constants(1, "axes"));

    /// <summary>True when no axes are given and the node says that this means "reduce nothing".</summary>
    private static bool NoOp(Backward b) => b.Node.Int("noop_with_empty_axes") != 0 && b.Constants(1, "axes") is null or [];

    /// <summary>A result with the reduced axes put back as 1.</summary>
    private static Var Keep(Backward b, Var reduced)
    {
        if (b.Node.Int("keepdims", 1) != 0) return reduced;
        long[] axes = Axes(b);
        return b.RankOf(b.X()) == 0 ? reduced : reduced.Unsqueeze(axes);
    }

    private static Var Spread(Backward b, Var reduced) => b.Like(Keep(b, reduced).Expand(b.Dims(b.X())), b.X());

    private static Var Count(Backward b) => Product(b, Axes(b));

    /// <summary>The number of elements over <paramref name="axes"/>, in x's type.</summary>
    private static Var Product(Backward b, long[] axes)
    {
        Var x = b.X();
        if (x.Shape is { } s && axes.All(a => s[(int)a].IsKnown)) return x.Like(axes.Aggregate(1.0, (n, a) => n * s[(int)a].Value!.Value));
        return b.Graph.Add("ReduceProd", [x.ShapeOf().Gather(b.Graph.Longs(axes))], n => n.With("keepdims", 0L)).Cast(x.Element);
    }
}
