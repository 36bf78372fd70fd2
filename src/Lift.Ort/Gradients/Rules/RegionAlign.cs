using Lift.Ort.Onnx;

namespace Lift.Ort.Gradients.Rules;

/// <summary>The rule of RoiAlign: bilinear samples in each bin of each region, their mean or their largest part. Letters: R regions, h × w bins, S samples along an axis of a bin.</summary>
internal static class RegionAlign
{
    /// <summary>
    /// y = means of bilinear samples ⇒ along either axis a bin's mean is a weighted sum of pixels, y = A x Bᵀ, so dx = Σ Aᵀ dy B over the regions of each image.
    /// mode max: y = the largest of weight · pixel over all samples and their four pixels, as ONNX Runtime has it ⇒ dx = dy · weight at that pixel.
    /// Regions get no gradient, as in PyTorch.
    /// </summary>
    [Gradient("RoiAlign")]
    public static Var?[] RoiAlign(Backward b)
    {
        Graph g = b.Graph;
        Var x = b.X(), rois = b.X(1);
        Var images = b.DimOf(x, 0), channels = b.DimOf(x, 1), rows = b.DimOf(x, 2), columns = b.DimOf(x, 3), regions = b.DimOf(rois, 0);
        long height = b.Node.Int("output_height", 1), width = b.Node.Int("output_width", 1);
        Samples down = Samples.Along(b, rois, 1, height, rows), across = Samples.Along(b, rois, 0, width, columns);
        var mine = Numbers(b, images, ElementType.Int64).Reshape(-1, 1).EqualTo(b.X(2).Reshape(1, -1)).Cast(x.Element); // [images, R]
        if (b.Node.String("mode", "avg") == "max")
        {
            Var each = Largest(b, down, across, regions, height * width).Reshape(g.Concat(0, regions, channels * rows * columns));
            return [b.Like(mine.MatMul(each).Reshape(b.Dims(x)), x), null, null];
        }
        Var a = down.Weights(b), c = across.Weights(b); // [R, bins, pixels]
        Var spread = b.Dy.MatMul(c.Unsqueeze(1)); // [R, channels, h, columns]
        Var flat = spread.Transpose(0, 2, 1, 3).Reshape(g.Concat(0, regions * g.Longs(height), channels * columns));
        Var all = (mine.Unsqueeze(2, 3) * a.Unsqueeze(0)).Reshape(g.Concat(0, images, regions * g.Longs(height), rows)).Transpose(0, 2, 1);
        return [b.Like(all.MatMul(flat).Reshape(g.Concat(0, images, rows, channels, columns)).Transpose(0, 2, 1, 3), x), null, null];
    }

    /// <summary>dx of each region on its own, [R, channels, pixels]: dy times the weight of the pixel that gave the maximum, at that pixel.</summary>
    private static Var Largest(Backward b, Samples down, Samples across, Var regions, long bins)
    {
        Graph g = b.Graph;
        Var x = b.X(), channels = b.DimOf(x, 1), pixels = b.DimOf(x, 2) * b.DimOf(x, 3);
        var (row, rowWeight) = down.Reads(b);
        var (column, columnWeight) = across.Reads(b); // [R, bins, 2S]
        Var taps = b.DimOf(row, 2) * b.DimOf(column, 2), perBin = g.Concat(0, regions, g.Longs(1, bins), taps), perChannel = g.Concat(0, regions, channels, g.Longs(bins), taps);
        Var Pairs(Var left, Var right, Func<Var, Var, Var> f) => f(left.Unsqueeze(2, 4), right.Unsqueeze(1, 3)).Reshape(perBin); // [R, h, w, 2S, 2S]
        Var at = Pairs(row * b.DimOf(x, 3).Cast(row.Element), column, (p, q) => p + q).Cast(ElementType.Int64).Expand(perChannel), weight = Pairs(rowWeight, columnWeight, (p, q) => p * q);
        Var flat = g.Concat(0, regions, channels, g.Longs(bins) * taps), image = x.Reshape(g.Concat(0, b.DimOf(x, 0), channels, pixels)).Gather(b.X(2));
        Var parts = g.Add("GatherElements", [image, at.Reshape(flat)], n => n.With("axis", 2L)).Reshape(perChannel) * weight;
        Var best = g.Add("ArgMax", [parts], n => n.With("axis", 3L)), bin = g.Concat(0, regions, channels, g.Longs(bins));
        Var Chosen(Var of) => g.Add("GatherElements", [of, best], n => n.With("axis", 3L)).Reshape(bin);
        Var zeros = g.Concat(0, regions, channels, pixels).Filled(0).Cast(x.Element);
        return g.Add("ScatterElements", [zeros, Chosen(at), b.Dy.Reshape(bin) * Chosen(weight.Expand(perChannel))], n => n.With("axis", 2L).With("reduction", "add"));
    }

    private static Var Numbers(Backward b, Var count, ElementType type) => b.Range(count).Cast(type);

    /// <summary>The samples of each bin along one axis.</summary>
    /// <param name="At">Where they lie, inside the image, [R, bins, S].</param>
    /// <param name="Inside">1 where that was not far outside of it, else 0.</param>
    /// <param name="There">1 for the samples that the region's bins have, else 0: [R, 1, S].</param>
    /// <param name="Count">How many these are, [R, 1].</param>
    private sealed record Samples(Var At, Var Inside, Var There, Var Count, Var Pixels)
    {
        public static Samples Along(Backward b, Var rois, int axis, long bins, Var pixels)
        {
            Graph g = b.Graph;
            bool half = b.Node.String("coordinate_transformation_mode", "half_pixel") == "half_pixel";
            Var corners = rois * b.Node.Float("spatial_scale", 1);
            if (half) corners = corners - 0.5;
            Var start = corners.Slice(axis, axis + 1, 1), size = corners.Slice(axis + 2, axis + 3, 1) - start; // [R, 1]
            if (!half) size = g.Add("Max", [size, size.Like(1)]);
            Var bin = size / bins;
            long ratio = b.Node.Int("sampling_ratio");
            Var count = ratio > 0 ? bin * 0 + ratio : g.Add("Max", [b.Unary("Ceil", bin), bin.Like(1)]);
            Var most = ratio > 0 ? g.Longs(ratio)
                : g.Add("ReduceMax", [g.Concat(0, count.Reshape(-1), g.Constant<float>([1f]).Cast(count.Element))], n => n.With("keepdims", 1L)).Cast(ElementType.Int64);
            Var sample = Numbers(b, most, rois.Element), length = pixels.Cast(rois.Element);
            Var there = g.Add("Less", [sample, count]).Cast(rois.Element).Unsqueeze(1);
            // A sample too many repeats the last one, so that a maximum does not see it.
            Var place = (g.Add("Min", [sample, count - 1]) + 0.5) / count;
            Var at = start.Unsqueeze(2) + bin.Unsqueeze(2) * (Numbers(b, g.Longs(bins), rois.Element).Reshape(1, -1, 1) + place.Unsqueeze(1));
            Var inside = g.Add("And", [g.Add("GreaterOrEqual", [at, at.Like(-1)]), g.Add("LessOrEqual", [at, length])]).Cast(rois.Element);
            return new(g.Add("Min", [g.Add("Max", [at, at.Like(0)]), length - 1]), inside, there, count, pixels);
        }

        /// <summary>How much each pixel counts in each bin's mean, [R, bins, pixels].</summary>
        public Var Weights(Backward b)
        {
            Var hat = b.Graph.Add("Relu", [1 - b.Unary("Abs", At.Unsqueeze(3) - Numbers(b, Pixels, At.Element))]); // [R, bins, S, pixels]
            return ((There * Inside).Unsqueeze(3) * hat).ReduceSum([2], keepDims: false) / Count.Unsqueeze(2);
        }

        /// <summary>The pixels on both sides of each sample, and their weights: [R, bins, 2S].</summary>
        public (Var Pixel, Var Weight) Reads(Backward b)
        {
            Var low = b.Unary("Floor", At), part = At - low, high = b.Graph.Add("Min", [low + 1, Pixels.Cast(At.Element) - 1]);
            return (b.Graph.Concat(2, low, high), b.Graph.Concat(2, (1 - part) * Inside, part * Inside));
        }
    }
}
