using Lift.Ort.Onnx;

namespace Lift.Ort.Gradients.Rules;

/// <summary>The window of a convolution or pooling node over x: defaults filled in, <c>auto_pad</c> turned into pads where sizes are known, into arithmetic on shapes otherwise.</summary>
/// <param name="Before">Padding before the first element of each spatial axis, int64 [axes].</param>
/// <param name="Pads">The same and the padding behind, where both are numbers: [2 · axes].</param>
internal sealed record SlidingWindow(Backward Rule, long[] Kernel, long[] Strides, long[] Dilations, Var Before, long[]? Pads)
{
    public int Axes => Kernel.Length;

    private static Graph G(Backward b) => b.Graph;

    /// <summary>The window that node <paramref name="b"/> moves over <paramref name="image"/> to make <paramref name="places"/>.</summary>
    public static SlidingWindow Of(Backward b, Var image, Var places, Var? weight = null)
    {
        long[] kernel = b.Node.Ints("kernel_shape") ?? (weight?.Shape is { Rank: > 2 } s && s.Dims.Skip(2).All(d => d.IsKnown)
            ? [.. s.Dims.Skip(2).Select(d => d.Value!.Value)] : throw b.Refuse("the size of its kernel is not known before the graph runs"));
        int axes = kernel.Length;
        long[] ones = [.. kernel.Select(_ => 1L)], strides = b.Node.Ints("strides") ?? ones, dilations = b.Node.Ints("dilations") ?? ones;
        string auto = b.Node.String("auto_pad", "NOTSET");
        if (auto is "NOTSET" or "VALID" or "")
        {
            long[] pads = (auto == "VALID" ? null : b.Node.Ints("pads")) ?? new long[2 * axes];
            return new(b, kernel, strides, dilations, G(b).Longs(pads[..axes]), pads);
        }
        bool lower = auto == "SAME_LOWER";
        if (Numbers(image) is { } size)
        {
            var pads = new long[2 * axes];
            for (int i = 0; i < axes; i++)
            {
                long total = Math.Max(0, ((size[i] + strides[i] - 1) / strides[i] - 1) * strides[i] + (kernel[i] - 1) * dilations[i] + 1 - size[i]);
                (pads[i], pads[i + axes]) = lower ? ((total + 1) / 2, total / 2) : (total / 2, (total + 1) / 2);
            }
            return new(b, kernel, strides, dilations, G(b).Longs(pads[..axes]), pads);
        }
        var window = new SlidingWindow(b, kernel, strides, dilations, image, null);
        Var all = G(b).Add("Max", [window.Extent(places) - Spatial(image), G(b).Longs(new long[axes])]), half = all / G(b).Longs(2);
        return window with { Before = lower ? all - half : half };
    }

    /// <summary>The sizes of a value's spatial axes where they are numbers.</summary>
    public static long[]? Numbers(Var x) => x.Shape is { Rank: > 2 } s && s.Dims.Skip(2).All(d => d.IsKnown) ? [.. s.Dims.Skip(2).Select(d => d.Value!.Value)] : null;

    /// <summary>The sizes of a value's spatial axes, int64 [axes].</summary>
    public static Var Spatial(Var x) => Numbers(x) is { } n ? x.Graph.Longs(n) : x.ShapeOf().Slice(2, long.MaxValue, 0);

    /// <summary>How far the windows at <paramref name="places"/> reach without padding: (places − 1) · stride + dilation · (kernel − 1) + 1.</summary>
    public Var Extent(Var places)
    {
        Var reach = Rule.Graph.Longs([.. Kernel.Select((k, i) => (k - 1) * Dilations[i] + 1)]);
        if (Numbers(places) is { } n) return Rule.Graph.Longs([.. n.Select((p, i) => (p - 1) * Strides[i] + (Kernel[i] - 1) * Dilations[i] + 1)]);
        return (Spatial(places) - Rule.Graph.Longs([.. Kernel.Select(_ => 1L)])) * Rule.Graph.Longs(Strides) + reach;
    }

    /// <summary>Writes the window as attributes, without pads.</summary>
    public Node On(Node node) => node.With("kernel_shape", Kernel).With("strides", Strides).With("dilations", Dilations);

    /// <summary><paramref name="image"/> with zeros around it (or cut) so that the windows at <paramref name="places"/> fit exactly, without padding of their own.</summary>
    public Var Padded(Var image, Var places)
    {
        Graph g = Rule.Graph;
        Var none = g.Longs(0, 0), after = Extent(places) - Before - Spatial(image);
        return g.Add("Pad", [image, g.Concat(0, none, Before, none, after)]);
    }

    /// <summary>Undoes <see cref="Padded"/>: the part of <paramref name="padded"/> that <paramref name="image"/> lies in, zeros where a part of the image was cut.</summary>
    public Var Cut(Var padded, Var image)
    {
        Graph g = Rule.Graph;
        Var size = Spatial(image), stop = Before + size, missing = g.Add("Max", [stop - Spatial(padded), g.Longs(new long[Axes])]);
        Var zeros = g.Longs(new long[Axes + 2]);
        Var wide = g.Add("Pad", [padded, g.Concat(0, zeros, g.Longs(0, 0), missing)]);
        return g.Add("Slice", [wide, Before, stop, g.Longs([.. Enumerable.Range(2, Axes)])]);
    }

    /// <summary>Adds each value of <paramref name="dy"/> [N, C, places], times the kernel's ones, to the elements of the image under its window.</summary>
    public Var SpreadOnes(Var dy, Var image)
    {
        Graph g = Rule.Graph;
        // Every channel is an image of its own: the number of channels need not be known.
        Var single = dy.Reshape(g.Concat(0, Rule.DimOf(image, 0) * Rule.DimOf(image, 1), g.Longs(1), Spatial(dy)));
        Var kernel = dy.Element == ElementType.Undefined ? Ones() : Ones().Cast(dy.Element);
        Var dims = Rule.Dims(image);
        if (Numbers(image) is { } size && Numbers(dy) is { } places && Rule.Longs(Before.Name) is { } before)
        {
            long[] surplus = [.. size.Select((x, i) => (places[i] - 1) * Strides[i] + (Kernel[i] - 1) * Dilations[i] + 1 - before[i] - x)];
            if (surplus.Index().All(s => -s.Item < Math.Max(Strides[s.Index], Dilations[s.Index])))
            {
                Var exact = g.Add("ConvTranspose", [single, kernel], n => On(n).With("pads", [.. before, .. surplus.Select(s => Math.Max(0, s))]).With("output_padding", surplus.Select(s => Math.Max(0, -s))));
                return Rule.Like(exact.Reshape(dims), image);
            }
        }
        Var spread = g.Add("ConvTranspose", [single, kernel], n => On(n));
        return Rule.Like(Cut(spread, image).Reshape(dims), image);
    }

    /// <summary>How many elements of the image lie under each window, float [1, 1, places].</summary>
    public Var Covered(Var image, Var places) =>
        Rule.Graph.Add("Conv", [Padded(OnesLike(image), places), Ones()], n => On(n));

    /// <summary>Ones of the image's spatial size, float [1, 1, …].</summary>
    public Var OnesLike(Var image) => Rule.Graph.Concat(0, Rule.Graph.Longs(1, 1), Spatial(image)).Filled(1);

    private Var Ones() => Rule.Graph.Constant<float>(Enumerable.Repeat(1f, (int)Kernel.Aggregate(1L, (p, k) => p * k)).ToArray(), [1, 1, .. Kernel]);
}
