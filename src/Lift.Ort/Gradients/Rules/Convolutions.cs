using Lift.Ort.Onnx;

namespace Lift.Ort.Gradients.Rules;

/// <summary>Rules of convolutions: ONNX Runtime's ConvGrad, which is given explicit pads; a transposed convolution is the same with image and gradient exchanged.</summary>
internal static class Convolutions
{
    /// <summary>Y = X ∗ W + b ⇒ ConvGrad(dY, X, W): dX = dY ∗ᵀ W, dW = X ∗ dY, db = Σ dY</summary>
    [Gradient("Conv")]
    public static Var?[] Conv(Backward b)
    {
        Var x = b.X(), w = b.X(1);
        var window = SlidingWindow.Of(b, x, b.Y, w);
        long group = b.Node.Int("group", 1);
        if (window.Pads is not null)
        {
            Var[] d = ConvGrad(b, window, window.Pads, group, b.Dy, x, w);
            return [b.Like(d[0], x), b.Like(d[1], w), b.HasX(2) ? b.Like(d[2], b.X(2)) : null];
        }
        Var[] p = ConvGrad(b, window, new long[2 * window.Axes], group, b.Dy, window.Padded(x, b.Y), w);
        return [b.Like(window.Cut(p[0], x), x), b.Like(p[1], w), b.HasX(2) ? b.Like(p[2], b.X(2)) : null];
    }

    /// <summary>dX of Y = X ∗ W, for a node with Conv's attributes whose inputs are <paramref name="x"/> and <paramref name="w"/> in another form.</summary>
    internal static Var Image(Backward b, Var dy, Var x, Var w)
    {
        var window = SlidingWindow.Of(b, x, b.Y, w);
        long group = b.Node.Int("group", 1);
        return window.Pads is { } pads ? b.Like(ConvGrad(b, window, pads, group, dy, x, w)[0], x)
            : b.Like(window.Cut(ConvGrad(b, window, new long[2 * window.Axes], group, dy, window.Padded(x, b.Y), w)[0], x), x);
    }

    /// <summary>Y = X ∗ᵀ W + b ⇒ dX = dY ∗ W, dW = ConvGrad's of the convolution that takes dY to X, db = Σ dY</summary>
    [Gradient("ConvTranspose")]
    public static Var?[] ConvTranspose(Backward b)
    {
        Var x = b.X(), w = b.X(1), dy = b.Dy, y = b.Y;
        long group = b.Node.Int("group", 1);
        var (window, exact) = Transposed(b, x, w, y);
        Var image = exact ? dy : window.Padded(dy, x);
        long[] pads = exact ? window.Pads! : new long[2 * window.Axes];
        Var? dx = b.Needs(0) ? b.Like(b.Graph.Add("Conv", [image, w], n => window.On(n).With("pads", pads).With("group", group)), x) : null;
        Var? dw = b.Needs(1) ? b.Like(ConvGrad(b, window, pads, group, x, image, w)[1], w) : null;
        long[] all = [0, .. Enumerable.Range(2, window.Axes)];
        return [dx, dw, b.Needs(2) ? dy.ReduceSum(all, keepDims: false) : null];
    }

    private static Var[] ConvGrad(Backward b, SlidingWindow window, long[] pads, long group, Var dy, Var x, Var w) =>
        b.Graph.AddMany("ConvGrad", 3, [dy, x, w], n => window.On(n).With("pads", pads).With("group", group), "com.microsoft");

    /// <summary>
    /// The window of the convolution that takes Y to X, and whether its pads make that fit exactly. With <c>output_shape</c> or <c>auto_pad</c> the pads follow from
    /// the sizes: what the windows reach beyond Y is divided, the larger half in front (SAME_UPPER: behind).
    /// </summary>
    private static (SlidingWindow Window, bool Exact) Transposed(Backward b, Var x, Var w, Var y)
    {
        Graph g = b.Graph;
        string auto = b.Node.String("auto_pad", "NOTSET");
        bool derived = b.Node.Has("output_shape") || auto is not ("NOTSET" or "VALID" or "");
        SlidingWindow window = SlidingWindow.Of(b, y, x, w);
        long[] extra = b.Node.Ints("output_padding") ?? new long[window.Axes];
        if (!derived) return (window, extra.Index().All(e => e.Item < window.Strides[e.Index]));
        bool upper = auto == "SAME_UPPER";
        if (SlidingWindow.Numbers(x) is { } from && SlidingWindow.Numbers(y) is { } to)
        {
            long[] total = [.. to.Select((n, i) => Math.Max(0, (from[i] - 1) * window.Strides[i] + extra[i] + (window.Kernel[i] - 1) * window.Dilations[i] + 1 - n))];
            return (window with { Pads = null, Before = g.Longs([.. total.Select(t => upper ? t / 2 : t - t / 2)]) }, false);
        }
        Var all = g.Add("Max", [window.Extent(x) + g.Longs(extra) - SlidingWindow.Spatial(y), g.Longs(new long[window.Axes])]), half = all / g.Longs(2);
        return (window with { Pads = null, Before = upper ? half : all - half }, false);
    }
}
