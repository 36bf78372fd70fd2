using Lift.Ort.Onnx;

namespace Lift.Ort.Gradients.Rules;

/// <summary>Rules of pooling. What lies in the padding gets no gradient; a maximum that occurs twice gives its gradient to the first, as ONNX Runtime's Indices say.</summary>
internal static class Pools
{
    /// <summary>y = maximum of each window ⇒ dx = dy added into zeros at the maxima's positions</summary>
    [Gradient("MaxPool")]
    public static Var?[] MaxPool(Backward b)
    {
        Var x = b.X(), dims = b.Dims(x);
        // Indices in column-major order count along other axes: a second pooling finds the row-major ones.
        Var positions = b.Node.Int("storage_order") == 0 ? b.Out(1) : b.Graph.AddMany("MaxPool", 2, [x], n =>
        {
            foreach (var attribute in b.Node.Attributes.Values.Where(a => a.Name != "storage_order")) n.Set(attribute);
        })[1];
        // A window without a maximum (all NaN or −∞) has a negative position: it goes to one more element at the end, which is cut off again.
        Var count = b.Graph.Add("ReduceProd", [dims], n => n.With("keepdims", 1L)), zeros = (count + b.Graph.Longs(1)).Filled(0).Cast(RuleOps.ElementOfGradient(x));
        Var known = b.Graph.Add("Max", [positions.Reshape(-1), b.Graph.Longs(-1)]);
        Var flat = b.Graph.Add("ScatterElements", [zeros, known, b.Dy.Reshape(-1)], n => n.With("axis", 0L).With("reduction", "add"));
        return [b.Like(b.Graph.Add("Slice", [flat, b.Graph.Longs(0), count]).Reshape(dims), x)];
    }

    /// <summary>y = zeros with x at the positions that MaxPool's Indices name ⇒ dx = dy at those positions</summary>
    [Gradient("MaxUnpool")]
    public static Var?[] MaxUnpool(Backward b)
    {
        Var x = b.X(), positions = b.X(1).Reshape(-1);
        return [b.Like(b.Dy.Reshape(-1).Gather(positions).Reshape(b.Dims(x)), x)];
    }

    /// <summary>y = mean of each window ⇒ dx = dy / (elements that count), spread over the window</summary>
    [Gradient("AveragePool")]
    public static Var?[] AveragePool(Backward b)
    {
        Var x = b.X(), y = b.Y;
        var window = SlidingWindow.Of(b, x, y);
        bool whole = window.Pads is not null && b.Node.Int("ceil_mode") == 0 && (window.Pads.All(p => p == 0) || b.Node.Int("count_include_pad") != 0);
        if (whole) return [window.SpreadOnes(b.Dy / window.Kernel.Aggregate(1.0, (p, k) => p * k), x)];
        // The node itself, run on ones, says which part of each window's divisor lies in the image; the rest of the divisor is padding that counts.
        Var part = b.Graph.Add("AveragePool", [window.OnesLike(x)], n =>
        {
            foreach (var attribute in b.Node.Attributes.Values) n.Set(attribute);
        });
        return [window.SpreadOnes(b.Dy * (part / window.Covered(x, y)).Cast(x.Element), x)];
    }

    /// <summary>y = (Σ |x|ᵖ)^(1/p) of each window ⇒ dx = sign x · |x|ᵖ⁻¹ · (dy / yᵖ⁻¹, spread over the window), 0 where y = 0</summary>
    [Gradient("LpPool")]
    public static Var?[] LpPool(Backward b)
    {
        Var x = b.X(), y = b.Y;
        var window = SlidingWindow.Of(b, x, y);
        long p = b.Node.Int("p", 2);
        return [Slope(b, x, p) * window.SpreadOnes(Share(b, b.Dy, y, p), x)];
    }

    /// <summary>y = (Σ |x|ᵖ)^(1/p) over all spatial axes ⇒ dx = sign x · |x|ᵖ⁻¹ · dy / yᵖ⁻¹, 0 where y = 0</summary>
    [Gradient("GlobalLpPool")]
    public static Var?[] GlobalLpPool(Backward b)
    {
        long p = b.Node.Int("p", 2);
        return [Slope(b, b.X(), p) * Share(b, b.Dy, b.Y, p)];
    }

    /// <summary>y = mean over all spatial axes ⇒ dx = dy / (H · W · …), repeated</summary>
    [Gradient("GlobalAveragePool")]
    public static Var?[] GlobalAveragePool(Backward b)
    {
        Var x = b.X(), count = SlidingWindow.Numbers(x) is { } n ? x.Like(n.Aggregate(1.0, (p, d) => p * d))
            : b.Graph.Add("ReduceProd", [SlidingWindow.Spatial(x)], n => n.With("keepdims", 0L)).Cast(x.Element);
        return [b.Like((b.Dy / count).Expand(b.Dims(x)), x)];
    }

    /// <summary>y = maximum over all spatial axes ⇒ dx = dy at the first maximum</summary>
    [Gradient("GlobalMaxPool")]
    public static Var?[] GlobalMaxPool(Backward b)
    {
        Var x = b.X(), dims = b.Dims(x);
        Var rows = x.Reshape(b.Graph.Concat(0, b.DimOf(x, 0), b.DimOf(x, 1), b.Graph.Add("ReduceProd", [SlidingWindow.Spatial(x)], n => n.With("keepdims", 1L))));
        Var first = b.Graph.Add("ArgMax", [rows], n => n.With("axis", 2L));
        Var zeros = rows.ShapeOf().Filled(0).Cast(RuleOps.ElementOfGradient(x)), flat = b.Dy.Reshape(0, 0, 1);
        return [b.Like(b.Graph.Add("ScatterElements", [zeros, first, flat], n => n.With("axis", 2L)).Reshape(dims), x)];
    }

    private static Var Slope(Backward b, Var x, long p) => p switch
    {
        1 => b.Unary("Sign", x),
        2 => x,
        _ => b.Unary("Sign", x) * b.Graph.Add("Pow", [b.Unary("Abs", x), x.Like(p - 1)]),
    };

    private static Var Share(Backward b, Var dy, Var y, long p)
    {
        if (p == 1) return dy;
        return y.EqualTo(y.Like(0)).Where(y.Like(0), dy / (p == 2 ? y : b.Graph.Add("Pow", [y, y.Like(p - 1)])));
    }
}
