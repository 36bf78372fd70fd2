using Lift.Ort.Onnx;

namespace Lift.Ort.Gradients.Rules;

/// <summary>
/// The rule of GridSample over two or three spatial axes. Each point of the grid reads K pixels along each axis (1 nearest, 2 linear, 4 cubic) with weights that depend on
/// where it lies between them; together these are Kⁿ pixels, each with the product of its weights.
/// </summary>
internal static class GridSampling
{
    /// <summary>y = Σ w · x[pixel] ⇒ dx = Σ w · dy added at the pixels, dgrid = (size/2) · Σ (∂w/∂u) · x[pixel] · dy over pixels and channels</summary>
    [Gradient("GridSample")]
    public static Var?[] GridSample(Backward b)
    {
        Graph g = b.Graph;
        Var x = b.X(), grid = b.X(1), dy = b.Dy;
        int axes = b.RankOf(x) - 2;
        Var images = b.DimOf(x, 0), channels = b.DimOf(x, 1), places = g.Add("ReduceProd", [b.Dims(grid).Slice(1, axes + 1, 0)], n => n.With("keepdims", 1L));
        Var points = grid.Reshape(g.Concat(0, images, places, g.Longs(axes)));
        Axis[] along = [.. Enumerable.Range(0, axes).Select(a => Axis.Of(b, points.Slice(axes - 1 - a, axes - a, 2), b.DimOf(x, a + 2)))];

        Var pixel = along[0].Pixel;
        foreach (Axis a in along[1..]) pixel = Combine(pixel * a.Size, a.Pixel, (p, q) => p + q);
        Var Product(int slope) => Enumerable.Range(1, axes - 1).Aggregate(along[0].Factor(slope == 0), (product, a) => Combine(product, along[a].Factor(slope == a), (p, q) => p * q));
        Var pixels = g.Add("ReduceProd", [SlidingWindow.Spatial(x)], n => n.With("keepdims", 1L)), taps = g.Longs((long)Math.Pow(along[0].Taps, axes));
        Var reads = places * taps, where = pixel.Reshape(g.Concat(0, images, g.Longs(1), reads)).Expand(g.Concat(0, images, channels, reads));
        Var gradient = dy.Reshape(g.Concat(0, images, channels, places, g.Longs(1)));

        Var? dx = null, dGrid = null;
        if (b.Needs(0))
        {
            Var values = (gradient * Product(-1).Unsqueeze(1)).Reshape(g.Concat(0, images, channels, reads));
            Var zeros = g.Concat(0, images, channels, pixels).Filled(0).Cast(x.Element);
            dx = b.Like(g.Add("ScatterElements", [zeros, where, values], n => n.With("axis", 2L).With("reduction", "add")).Reshape(b.Dims(x)), x);
        }
        if (b.Needs(1))
        {
            Var flat = x.Reshape(g.Concat(0, images, channels, pixels));
            Var read = g.Add("GatherElements", [flat, where], n => n.With("axis", 2L)).Reshape(g.Concat(0, images, channels, places, taps));
            Var along0 = (read * gradient).ReduceSum([1], keepDims: false); // [images, places, taps]
            Var[] slopes = [.. Enumerable.Range(0, axes).Select(a => (along0 * Product(a)).ReduceSum([2]) * along[a].Scale)];
            dGrid = b.Like(g.Concat(2, slopes.Reverse()).Reshape(b.Dims(grid)), grid);
        }
        return [dx, dGrid];
    }

    /// <summary>f of every tap of one and every tap of another axis, [images, places, taps · taps].</summary>
    private static Var Combine(Var left, Var right, Func<Var, Var, Var> f) => f(left.Unsqueeze(3), right.Unsqueeze(2)).Reshape(0, 0, left.Shape?[2].Value * right.Shape?[2].Value ?? -1);

    /// <summary>What the points read along one axis.</summary>
    /// <param name="Pixel">The pixels' numbers, inside the image, int64 [images, places, taps].</param>
    /// <param name="Weight">Their weights; 0 for what lies outside where the padding is zeros.</param>
    /// <param name="Slope">The weights' derivatives along the axis, in pixels.</param>
    /// <param name="Scale">Pixels per unit of the grid, [1].</param>
    private sealed record Axis(Var Pixel, Var Weight, Var Slope, Var Scale, Var Size, int Taps)
    {
        public Var Factor(bool slope) => slope ? Slope : Weight;

        public static Axis Of(Backward b, Var coordinate, Var size)
        {
            Graph g = b.Graph;
            bool corners = b.Node.Int("align_corners") != 0;
            Var length = size.Cast(coordinate.Element), scale = (corners ? length - 1 : length) / 2;
            Var u = corners ? (coordinate + 1) * scale : (coordinate + 1) * scale - 0.5;
            var (first, weight, slope, taps) = b.Node.String("mode", "linear") switch
            {
                "nearest" => (b.Unary("Round", u), u * 0 + 1, u * 0, 1),
                "cubic" or "bicubic" => Cubic(b, u),
                _ => Linear(b, u),
            };
            Var pixel = first.Cast(ElementType.Int64) + g.Longs([.. Enumerable.Range(0, taps)]), zero = g.Longs(0), last = size - g.Longs(1);
            switch (b.Node.String("padding_mode", "zeros"))
            {
                case "zeros":
                    Var inside = g.Add("And", [g.Add("GreaterOrEqual", [pixel, zero]), g.Add("LessOrEqual", [pixel, last])]).Cast(u.Element);
                    (weight, slope) = (weight * inside, slope * inside);
                    break;
                case "reflection":
                    // The image and its mirror image, again and again; the pixels at the ends occur once where corners are aligned, twice otherwise.
                    Var turn = corners ? last * g.Longs(2) : last * g.Longs(2) + g.Longs(1), period = corners ? g.Add("Max", [turn, g.Longs(1)]) : size * g.Longs(2);
                    Var folded = g.Add("Mod", [pixel, period]);
                    pixel = g.Add("Min", [folded, turn - folded]);
                    break;
            }
            pixel = g.Add("Min", [g.Add("Max", [pixel, zero]), last]);
            return new(pixel, weight, slope, scale, size, taps);
        }

        private static (Var First, Var Weight, Var Slope, int Taps) Linear(Backward b, Var u)
        {
            Var first = b.Unary("Floor", u), t = u - first;
            return (first, b.Graph.Concat(2, 1 - t, t), b.Graph.Concat(2, t * 0 - 1, t * 0 + 1), 2);
        }

        /// <summary>Cubic convolution with α = −¾ over the pixels at −1, 0, 1, 2.</summary>
        private static (Var First, Var Weight, Var Slope, int Taps) Cubic(Backward b, Var u)
        {
            const double A = -0.75;
            Var floor = b.Unary("Floor", u), t = u - floor, s = 1 - t;
            Var Near(Var d) => ((A + 2) * d - (A + 3)) * d * d + 1;
            Var NearSlope(Var d) => (3 * (A + 2) * d - 2 * (A + 3)) * d;
            Var Far(Var d) => ((A * d - 5 * A) * d + 8 * A) * d - 4 * A;
            Var FarSlope(Var d) => (3 * A * d - 10 * A) * d + 8 * A;
            return (floor - 1, b.Graph.Concat(2, Far(t + 1), Near(t), Near(s), Far(s + 1)), b.Graph.Concat(2, FarSlope(t + 1), NearSlope(t), -NearSlope(s), -FarSlope(s + 1)), 4);
        }
    }
}
