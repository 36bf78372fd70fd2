using Lift.Ort.Onnx;
using static Lift.Ort.Tests.Gradients.CaseData;

namespace Lift.Ort.Tests.Gradients;

/// <summary>Cases of operators that read an image at other places; each with the image's sizes known, and again with symbols for them.</summary>
[GradientCaseGroup]
internal static class ResamplingCases
{
    public static Dictionary<string, GradientCase[]> Cases { get; } = ConvolutionCases.Twice(new()
    {
        ["Resize"] = [.. Resizes()],
        ["GridSample"] = [.. Samples()],
        ["AffineGrid"] =
        [
            new("2d", [F([2, 2, 3]), L(2, 3, 4, 5)], Opset: 20), new("2d, corners", [F([1, 2, 3]), L(1, 1, 3, 2)], n => n.With("align_corners", 1L), Opset: 20),
            new("3d", [F([2, 3, 4]), L(2, 1, 2, 3, 4)], Opset: 20),
        ],
        ["RoiAlign"] =
        [
            .. from coordinates in new[] { "half_pixel", "output_half_pixel" }
               from ratio in new[] { 0L, 1, 2 }
               select new GradientCase($"{coordinates}, {ratio}", [F([2, 3, 5, 6]), Rois(), L([4], 0, 1, 0, 1)], n => n.With("coordinate_transformation_mode", coordinates).With("sampling_ratio", ratio).With("output_height", 2L).With("output_width", 3L).With("spatial_scale", 0.5f)) { Vary = [0] },
            .. from coordinates in new[] { "half_pixel", "output_half_pixel" }
               from ratio in new[] { 0L, 2 }
               select new GradientCase($"largest, {coordinates}, {ratio}", [F([2, 3, 5, 6]), Rois(), L([4], 0, 1, 0, 1)], n => n.With("mode", "max").With("coordinate_transformation_mode", coordinates).With("sampling_ratio", ratio).With("output_height", 2L).With("output_width", 3L).With("spatial_scale", 0.5f)) { Vary = [0], Step = 1e-3f },
            new("default size", [F([1, 2, 4, 4]), Tensor.From<float>("r", [0, 0, 3, 3], 1, 4), L(0)]) { Vary = [0] },
        ],
        ["Col2Im"] =
        [
            new("plain", [F([1, 8, 4]), L(3, 3), L(2, 2)], Opset: 18), new("strides and pads", [F([2, 12, 6]), L(4, 5), L(2, 3)], n => n.With("strides", [2L, 2]).With("pads", [0L, 1, 0, 1]), Opset: 18),
            new("dilation", [F([1, 4, 6]), L(4, 5), L(2, 2)], n => n.With("dilations", [2L, 2]), Opset: 18),
        ],
        ["CenterCropPad"] =
        [
            new("crop", [F([5, 6]), L(2, 3)], Opset: 18), new("pad", [F([2, 3]), L(5, 4)], Opset: 18), new("both", [F([2, 3, 7]), L(5, 4)], n => n.With("axes", [0L, -1]), Opset: 18),
        ],
        ["Pad"] =
        [
            new("plain", [F([2, 3]), L(1, 0, 0, 2)]), new("axes", [F([2, 3]), L(1, 2), null, L(-1)], Opset: 18), new("cut", [F([4, 5]), L(-1, 1, 2, -2)]), new("value", [F([2, 3]), L(1, 0, 0, 2), S(0.7f)]),
            .. from mode in new[] { "reflect", "edge", "wrap" }
               from pads in new long[][] { [0, 1, 0, 1, 1, 2], [1, 0, 2, 0, 2, 1] }
               select new GradientCase(mode, [F([2, 3, 4]), L(pads)], n => n.With("mode", mode), Opset: 19),
            new("reflect, axes", [F([2, 3, 4]), L(2, 1), null, L(-1)], n => n.With("mode", "reflect"), Opset: 18), new("edge, one pixel", [F([1, 1, 1]), L(0, 1, 2, 0, 3, 1)], n => n.With("mode", "edge")),
            new("edge, cut", [F([2, 5]), L(0, -1, 1, 2)], n => n.With("mode", "edge")),
        ],
    });

    /// <summary>Regions inside, across the border, and far outside.</summary>
    private static Tensor Rois() => Tensor.From<float>("r", [0.6f, 1.3f, 7.1f, 8.2f, -1.7f, -3.2f, 5, 11, 2, 3, 2.4f, 3.1f, 30, 40, 50, 60], 4, 4);

    private static IEnumerable<GradientCase> Resizes()
    {
        Tensor Scales(params float[] s) => Tensor.From<float>("s", s, s.Length);
        string[] all = ["half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric"];
        foreach (string coordinates in all)
        {
            GradientCase Of(string mode, Tensor?[] inputs, Action<Node>? more = null) => new($"{mode}, {coordinates}", inputs, n =>
            {
                n.With("mode", mode).With("coordinate_transformation_mode", coordinates);
                more?.Invoke(n);
            }, Opset: 19)
            { Vary = [0] };
            foreach (string rounding in new[] { "round_prefer_floor", "round_prefer_ceil", "floor", "ceil" })
            {
                yield return Of("nearest", [F([1, 2, 3, 4]), null, Scales(1, 1, 2, 2.5f)], n => n.With("nearest_mode", rounding));
                yield return Of("nearest", [F([1, 2, 3, 2]), null, Scales(1, 1, 2, 3)], n => n.With("nearest_mode", rounding));
            }
            yield return Of("nearest", [F([1, 2, 5, 4]), null, null, L(1, 2, 3, 7)]);
            yield return Of("linear", [F([2, 2, 3, 4]), null, Scales(1, 1, 2, 1.6f)]);
            yield return Of("linear", [F([2, 2, 6, 4]), null, null, L(2, 2, 4, 9)]);
            yield return Of("linear", [F([1, 1, 1, 4]), null, null, L(1, 1, 3, 1)]);
            yield return Of("linear", [F([2, 3, 5]), null, Scales(1, 1, 0.6f)]);
            yield return Of("linear", [F([1, 2, 2, 3, 2]), null, Scales(1, 1, 2, 0.7f, 1.5f)]);
            yield return Of("linear", [F([2, 3, 4]), null, null, L(5, 2)], n => n.With("axes", [2L, 1]));
            yield return Of("cubic", [F([1, 2, 4, 5]), null, Scales(1, 1, 1.5f, 0.8f)]);
            yield return Of("cubic", [F([1, 2, 4, 5]), null, null, L(7, 3)], n => n.With("axes", [2L, 3]).With("exclude_outside", 1L).With("cubic_coeff_a", -0.5f));
        }
        yield return new("antialias", [F([1, 2, 6, 7]), null, null, L(1, 2, 3, 4)], n => n.With("mode", "linear").With("antialias", 1L), Opset: 19) { Vary = [0] };
        yield return new("antialias, cubic", [F([1, 2, 8, 9]), null, Scales(1, 1, 0.5f, 0.6f)], n => n.With("mode", "cubic").With("antialias", 1L), Opset: 19) { Vary = [0] };
        foreach (string policy in new[] { "not_larger", "not_smaller" })
            yield return new(policy, [F([1, 2, 4, 5]), null, null, L(9, 8)], n => n.With("mode", "linear").With("keep_aspect_ratio_policy", policy).With("axes", [2L, 3]), Opset: 19) { Vary = [0] };
        foreach (string mode in new[] { "nearest", "linear", "cubic" })
            yield return new($"not_larger, {mode}, rounded up", [F([1, 2, 5, 7]), null, null, L(3, 9)], n => n.With("mode", mode).With("keep_aspect_ratio_policy", "not_larger").With("axes", [2L, 3]), Opset: 19) { Vary = [0] };
        foreach (string coordinates in new[] { "half_pixel_symmetric", "half_pixel" })
            foreach (var (mode, antialias, outside) in new[] { ("linear", 0L, 0L), ("linear", 1, 0), ("cubic", 1, 0), ("cubic", 0, 1) })
                yield return new($"not_larger, {coordinates}, {mode}, antialias {antialias}, exclude_outside {outside}", [F([1, 2, 5, 7]), null, null, L(3, 9)], n => n.With("mode", mode).With("keep_aspect_ratio_policy", "not_larger").With("axes", [2L, 3]).With("coordinate_transformation_mode", coordinates).With("antialias", antialias).With("exclude_outside", outside), Opset: 19) { Vary = [0] };
        yield return new("not_smaller, antialias", [F([2, 2, 6, 5]), null, null, L(4, 3)], n => n.With("mode", "linear").With("keep_aspect_ratio_policy", "not_smaller").With("antialias", 1L).With("axes", [2L, 3]), Opset: 19) { Vary = [0] };
        yield return new("crop", [F([1, 2, 4, 5]), Tensor.From<float>("r", [0, 0, 0.2f, -0.3f, 1, 1, 0.9f, 1.2f], 8), null, L(1, 2, 3, 6)], n => n.With("mode", "linear").With("coordinate_transformation_mode", "tf_crop_and_resize").With("extrapolation_value", 3f)) { Vary = [0] };
        yield return new("crop, axes", [F([1, 2, 4, 5]), Tensor.From<float>("r", [0.2f, 0.1f, 0.9f, 0.7f], 4), null, L(3, 6)], n => n.With("mode", "linear").With("coordinate_transformation_mode", "tf_crop_and_resize").With("axes", [2L, 3]), Opset: 18) { Vary = [0] };
        yield return new("for nearest neighbours", [F([1, 2, 4, 5]), null, Scales(1, 1, 1, 1.6f)], n => n.With("coordinate_transformation_mode", "tf_half_pixel_for_nn").With("nearest_mode", "floor")) { Vary = [0] };
        yield return new("channels last", [F([1, 3, 4, 2]), null, Scales(1, 2, 2, 1)], n => n.With("mode", "linear")) { Vary = [0] };
        yield return new("as it is", [F([1, 2, 3]), null, Scales(1, 1, 1)], n => n.With("mode", "linear")) { Vary = [0] };
        yield return new("matrix", [F([3, 4]), null, Scales(2, 1.5f)], n => n.With("mode", "linear")) { Vary = [0] };
    }

    private static IEnumerable<GradientCase> Samples()
    {
        foreach (string padding in new[] { "zeros", "border", "reflection" })
            foreach (long corners in new[] { 0L, 1 })
            {
                GradientCase Of(string mode, long[] image, long[] grid, int opset) => new($"{mode}, {padding}, {corners}", [F(image), F(grid, -1.9f, 1.87f)], n =>
                    n.With("mode", mode).With("padding_mode", padding).With("align_corners", corners), Opset: opset)
                { Step = 2e-4f, Vary = mode == "nearest" ? [0] : [0, 1] };
                yield return Of("bilinear", [2, 2, 3, 4], [2, 2, 3, 2], 17);
                yield return Of("linear", [1, 2, 5, 3], [1, 4, 3, 2], 20);
                yield return Of("nearest", [2, 2, 3, 4], [2, 2, 3, 2], 17);
                yield return Of("bicubic", [2, 2, 5, 6], [2, 2, 3, 2], 17);
                yield return Of("linear", [1, 2, 3, 2, 4], [1, 2, 1, 3, 3], 20);
                yield return Of("nearest", [1, 2, 3, 2, 4], [1, 2, 1, 3, 3], 20);
                yield return Of("linear", [1, 1, 1, 1], [1, 2, 2, 2], 20);
            }
    }
}
