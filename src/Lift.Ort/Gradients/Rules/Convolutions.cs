using Lift.Ort.Onnx;

namespace Lift.Ort.Gradients.Rules;

/// <summary>
/// Rules of convolution and pooling, in standard operators: a convolution's gradients are convolutions again
/// (the output spread back by ConvTranspose; the weight's as a correlation of input and gradient with batch and channel exchanged).
/// </summary>
internal static class Convolutions
{
    /// <summary>Y = X ∗ W + b ⇒ dX = dY ∗ᵀ W, dW = X ∗ dY (channels as batch, stride and dilation exchanged), db = Σ dY</summary>
    [Gradient("Conv")]
    public static Var?[] Conv(Backward b)
    {
        Var x = b.X(), w = b.X(1), dy = b.Dy;
        var window = Window.Of(b, w);
        long group = b.Node.Int("group", 1);
        long[] all = [0, .. Enumerable.Range(2, window.Rank)];
        return [b.Needs(0) ? SpreadBack(b, dy, w, window, group) : null, b.Needs(1) ? WeightGradient(b, x, w, dy, window, group) : null, b.Needs(2) ? dy.ReduceSum(all, keepDims: false) : null];
    }

    /// <summary>Y = X ∗ᵀ W + b ⇒ dX = dY ∗ W, dW = dY ∗ X (channels as batch), db = Σ dY</summary>
    [Gradient("ConvTranspose")]
    public static Var?[] ConvTranspose(Backward b)
    {
        Var x = b.X(), w = b.X(1), dy = b.Dy;
        if (b.Node.Has("output_shape")) throw b.Refuse("output_shape is not supported");
        var window = Window.Of(b, w);
        long group = b.Node.Int("group", 1);
        Var dx = b.Graph.Add("Conv", [dy, w], n => window.On(n).With("group", group));
        long[] all = [0, .. Enumerable.Range(2, window.Rank)];
        // Exchanging input and output turns it into Conv's case: dW of a convolution that maps dY to X.
        return [b.Like(dx, x), b.Needs(1) ? WeightGradient(b, dy, w, x, window, group) : null, b.Needs(2) ? dy.ReduceSum(all, keepDims: false) : null];
    }

    /// <summary>y = maximum of each window ⇒ dx = dy added into zeros at the maxima's positions</summary>
    [Gradient("MaxPool")]
    public static Var?[] MaxPool(Backward b)
    {
        Var x = b.X(), positions = b.Out(1).Reshape(-1);
        if (b.Node.Int("storage_order") != 0) throw b.Refuse("storage_order 1 is not supported");
        Var dims = b.Dims(x), zeros = b.Graph.Add("ReduceProd", [dims], n => n.With("keepdims", 1L)).Filled(0).Cast(x.Element);
        Var flat = b.Graph.Add("ScatterElements", [zeros, positions, b.Dy.Reshape(-1)], n => n.With("axis", 0L).With("reduction", "add"));
        return [b.Like(flat.Reshape(dims), x)];
    }

    /// <summary>y = mean of each window ⇒ dx = dy / (elements in the window), spread over it by a convolution with ones</summary>
    [Gradient("AveragePool")]
    public static Var?[] AveragePool(Backward b)
    {
        Var x = b.X();
        var window = Window.Of(b, null);
        if (b.Node.Int("ceil_mode") != 0) throw b.Refuse("ceil_mode 1 is not supported");
        long channels = x.Shape?[1].Value ?? throw b.Refuse("the number of channels is not known");
        Var Ones(long c) => b.Graph.Constant<float>(Enumerable.Repeat(1f, (int)(c * window.Kernel.Aggregate(1L, (p, k) => p * k))).ToArray(), [c, 1, .. window.Kernel]);
        Var share = b.Dy;
        if (window.Pads.All(p => p == 0) || b.Node.Int("count_include_pad") != 0) share = share / window.Kernel.Aggregate(1.0, (p, k) => p * k);
        else
        {
            Var one = b.Graph.Concat(0, b.Graph.Longs(1, 1), x.ShapeOf().Slice(2, long.MaxValue, 0)).Filled(1);
            share = share / b.Graph.Add("Conv", [one, Ones(1)], n => window.On(n));
        }
        return [SpreadBack(b, share, Ones(channels), window, channels)];
    }

    private static Var SpreadBack(Backward b, Var dy, Var w, Window window, long group)
    {
        // With the largest output padding every element of x is covered, whatever the remainder of (size − kernel) / stride was; the surplus is cut off.
        bool strided = window.Strides.Any(s => s > 1);
        Var dx = b.Graph.Add("ConvTranspose", [dy, w], n =>
        {
            window.On(n).With("group", group);
            if (strided) n.With("output_padding", window.Strides.Select(s => s - 1));
        });
        Var x = b.X();
        if (!strided) return b.Like(dx, x);
        Var spatial = x.ShapeOf().Slice(2, long.MaxValue, 0);
        long[] axes = [.. Enumerable.Range(2, window.Rank)];
        return b.Like(b.Graph.Add("Slice", [dx, b.Graph.Longs([.. axes.Select(_ => 0L)]), spatial, b.Graph.Longs(axes)]), x);
    }

    private static Var WeightGradient(Backward b, Var x, Var w, Var dy, Window window, long group)
    {
        int rank = window.Rank;
        long[] spatial = [.. Enumerable.Range(2, rank)], exchanged = [1, 0, .. spatial];
        Var left = x.Transpose(exchanged); // [C, N, …]
        if (group > 1)
        {
            // [N, G·Cg, …] → [Cg, G·N, …]: each group correlates with its own output channels.
            Var tail = x.ShapeOf().Slice(2, long.MaxValue, 0), batch = b.DimOf(x, 0);
            Var split = x.Reshape(b.Graph.Concat(0, batch, b.Graph.Longs(group, -1), tail));
            Var moved = split.Transpose([2, 1, 0, .. Enumerable.Range(3, rank)]);
            left = moved.Reshape(b.Graph.Concat(0, moved.ShapeOf().Slice(0, 1, 0), b.Graph.Longs(-1), tail));
        }
        Var correlation = b.Graph.Add("Conv", [left, dy.Transpose(exchanged)], n => n
            .With("strides", window.Dilations).With("dilations", window.Strides).With("pads", window.Pads).With("group", group));
        Var cut = b.Graph.Add("Slice", [correlation, b.Graph.Longs([.. spatial.Select(_ => 0L)]), b.Graph.Longs(window.Kernel), b.Graph.Longs(spatial)]);
        return b.Like(cut.Transpose(exchanged), w);
    }

    /// <summary>The attributes of a sliding window, defaults filled in.</summary>
    private sealed record Window(long[] Kernel, long[] Strides, long[] Dilations, long[] Pads)
    {
        public int Rank => Kernel.Length;

        public static Window Of(Backward b, Var? weight)
        {
            long[] kernel = b.Node.Ints("kernel_shape") ?? (weight?.Shape is { IsStatic: true } s ? [.. s.Dims.Skip(2).Select(d => d.Value!.Value)] : throw b.Refuse("the kernel's size is not known"));
            if (b.Node.String("auto_pad", "NOTSET") is not ("NOTSET" or "VALID")) throw b.Refuse($"auto_pad '{b.Node.String("auto_pad")}' is not supported");
            long[] ones = [.. kernel.Select(_ => 1L)];
            return new(kernel, b.Node.Ints("strides") ?? ones, b.Node.Ints("dilations") ?? ones, b.Node.Ints("pads") ?? [.. kernel.Select(_ => 0L), .. kernel.Select(_ => 0L)]);
        }

        public Node On(Node node) => node.With("strides", Strides).With("dilations", Dilations).With("pads", Pads);
    }
}
