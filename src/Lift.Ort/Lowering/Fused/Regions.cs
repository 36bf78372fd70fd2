using Lift.Ort.Onnx;

namespace Lift.Ort.Lowering.Fused;

/// <summary>Regions of images, each brought to one size. Letters: R regions, C channels, H × W the image, h × w the result.</summary>
internal static class Regions
{
    /// <summary>
    /// y = each region, its corners (y₁, x₁, y₂, x₂) in parts of the image, resampled at h × w points of which the first and last are its borders; a point outside of the
    /// image is the extrapolation value. Along either axis a point is a weighted sum of pixels: y = A x Bᵀ. Source: com.microsoft.CropAndResize.
    /// </summary>
    [Lowering("com.microsoft.CropAndResize")]
    public static Var?[] CropAndResize(FusedNode n)
    {
        Graph g = n.Graph;
        Var x = n.X(), corners = n.X(1), size = n.X(3).Cast(ElementType.Int64);
        bool nearest = n.Node.String("mode", "bilinear") == "nearest";
        (Var Weights, Var Inside) Axis(int corner, int axis)
        {
            Var last = n.DimOf(x, axis).Cast(x.Element) - 1, count = size.Slice(corner, corner + 1, 0), from = corners.Slice(corner, corner + 1, 1), to = corners.Slice(corner + 2, corner + 3, 1);
            Var steps = g.Add("Max", [count - g.Longs(1), g.Longs(1)]).Cast(x.Element);
            Var part = g.Add("Greater", [count, g.Longs(1)]).Where(Numbers(g, count, x.Element) / steps, g.Scalar(0.5, x.Element));
            Var at = (from + (to - from) * part) * last; // [R, h]
            Var inside = g.Add("And", [g.Add("GreaterOrEqual", [at, at.Like(0)]), g.Add("LessOrEqual", [at, last])]);
            Var pixels = Numbers(g, n.DimOf(x, axis), x.Element), place = at.Unsqueeze(2);
            Var weights = nearest ? g.Add("Floor", [place + 0.5]).EqualTo(pixels).Cast(x.Element) : g.Add("Relu", [1 - g.Add("Abs", [place - pixels])]);
            return (weights.Unsqueeze(1), inside); // [R, 1, h, H]
        }
        var (a, rows) = Axis(0, 2);
        var (b, columns) = Axis(1, 3);
        Var y = a.MatMul(x.Gather(n.X(2))).MatMul(b.Transpose(0, 1, 3, 2));
        Var known = g.Add("And", [rows.Unsqueeze(1, 3), columns.Unsqueeze(1, 2)]);
        return [known.Where(y, y.Like(n.Float("extrapolation_value")))];
    }

    /// <summary>y = the maximum of each of h × w bins of each region (image, x₁, y₁, x₂, y₂), 0 where a bin is empty. Source: MaxRoiPool.</summary>
    [Lowering("MaxRoiPool")]
    public static Var?[] MaxRoiPool(FusedNode n)
    {
        Graph g = n.Graph;
        Var x = n.X(), rois = n.X(1), lowest = x.Like(FusedNode.Lowest(x.Element));
        if (n.Node.Ints("pooled_shape") is not [var height, var width]) throw n.Refuse("its pooled_shape is not of two numbers");
        Var Bins(int corner, long bins, int axis) // [R, bins, pixels]
        {
            Var Corner(int index) => g.Add("Floor", [rois.Slice(index, index + 1, 1) * n.Float("spatial_scale", 1) + 0.5]);
            Var start = Corner(corner), length = g.Add("Max", [Corner(corner + 2) - start + 1, start.Like(1)]), bin = length / bins;
            Var number = Numbers(g, g.Longs(bins), rois.Element), pixel = Numbers(g, n.DimOf(x, axis), rois.Element);
            Var from = (g.Add("Floor", [number * bin]) + start).Unsqueeze(2), to = (g.Add("Ceil", [(number + 1) * bin]) + start).Unsqueeze(2);
            return g.Add("And", [g.Add("GreaterOrEqual", [pixel, from]), g.Add("Less", [pixel, to])]);
        }
        Var images = x.Gather(rois.Slice(0, 1, 1).Cast(ElementType.Int64).Reshape(-1));
        Var rows = Bins(2, height, 2).Unsqueeze(1, 4).Where(images.Unsqueeze(2), lowest).Reduce("ReduceMax", [3], keepDims: false); // [R, C, h, W]
        Var y = Bins(1, width, 3).Unsqueeze(1, 2).Where(rows.Unsqueeze(3), lowest).Reduce("ReduceMax", [4], keepDims: false);
        return [g.Add("Greater", [y, lowest]).Where(y, y.Like(0))];
    }

    private static Var Numbers(Graph g, Var count, ElementType type) =>
        g.Add("Range", [g.Scalar(0, ElementType.Int64), count.Reshape([]), g.Scalar(1, ElementType.Int64)]).Cast(type);
}
