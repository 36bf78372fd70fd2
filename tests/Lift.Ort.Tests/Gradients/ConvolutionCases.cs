using Lift.Ort.Onnx;
using static Lift.Ort.Tests.Gradients.CaseData;

namespace Lift.Ort.Tests.Gradients;

/// <summary>Cases of convolution and pooling; each is checked with the image's sizes known, and again with symbols for them.</summary>
[GradientCaseGroup]
internal static class ConvolutionCases
{
    public static Dictionary<string, GradientCase[]> Cases { get; } = Twice(new()
    {
        ["Conv"] =
        [
            new("plain", [F([2, 3, 5, 5]), F([4, 3, 3, 3]), F([4])]),
            new("stride pad", [F([2, 2, 6, 5]), F([3, 2, 3, 3])], n => n.With("strides", [2L, 2]).With("pads", [1L, 1, 1, 1])),
            new("asymmetric pads", [F([2, 2, 6, 5]), F([3, 2, 3, 2])], n => n.With("strides", [2L, 1]).With("pads", [0L, 2, 1, 0])),
            new("group", [F([2, 4, 5, 5]), F([6, 2, 3, 3])], n => n.With("group", 2L)),
            new("depthwise stride", [F([2, 3, 7, 6]), F([3, 1, 3, 3])], n => n.With("group", 3L).With("strides", [2L, 2]).With("pads", [1L, 1, 1, 1])),
            new("depthwise twofold", [F([1, 3, 6, 6]), F([6, 1, 3, 3]), F([6])], n => n.With("group", 3L).With("pads", [1L, 1, 1, 1])),
            new("dilation", [F([1, 2, 7, 7]), F([2, 2, 3, 3])], n => n.With("dilations", [2L, 2])),
            new("1d", [F([2, 3, 8]), F([4, 3, 3])], n => n.With("strides", [3L])),
            new("3d", [F([1, 2, 4, 3, 5]), F([3, 2, 2, 3, 2]), F([3])], n => n.With("strides", [1L, 1, 2]).With("pads", [1L, 0, 0, 0, 1, 1])),
            new("1x1", [F([2, 3, 4, 4]), F([5, 3, 1, 1]), F([5])]),
            new("1x1 stride", [F([2, 3, 5, 4]), F([5, 3, 1, 1])], n => n.With("strides", [2L, 2])),
            new("patches", [F([2, 3, 8, 8]), F([5, 3, 4, 4]), F([5])], n => n.With("strides", [4L, 4])),
            new("one pixel", [F([2, 3, 1, 1]), F([4, 3, 1, 1]), F([4])]),
            new("one pixel, padded", [F([2, 3, 1, 1]), F([4, 3, 3, 3])], n => n.With("pads", [1L, 1, 1, 1])),
            new("same upper", [F([1, 2, 6, 7]), F([2, 2, 3, 2])], n => n.With("auto_pad", "SAME_UPPER").With("strides", [2L, 2])),
            new("same lower", [F([1, 2, 6, 7]), F([2, 2, 4, 2])], n => n.With("auto_pad", "SAME_LOWER").With("strides", [1L, 2])),
            new("same, kernel below stride", [F([1, 2, 7, 5]), F([2, 2, 1, 1])], n => n.With("auto_pad", "SAME_UPPER").With("strides", [3L, 2])),
            new("valid", [F([1, 2, 6, 7]), F([2, 2, 3, 3])], n => n.With("auto_pad", "VALID").With("strides", [2L, 2])),
            new("no images", [F([0, 2, 4, 4]), F([3, 2, 3, 3]), F([3])]),
        ],
        ["ConvTranspose"] =
        [
            new("plain", [F([2, 3, 4, 4]), F([3, 2, 3, 3]), F([2])]),
            new("stride", [F([1, 2, 3, 3]), F([2, 3, 3, 3])], n => n.With("strides", [2L, 2]).With("pads", [1L, 1, 1, 1]).With("output_padding", [1L, 1])),
            new("twofold", [F([2, 3, 3, 4]), F([3, 4, 2, 2]), F([4])], n => n.With("strides", [2L, 2])),
            new("group", [F([1, 4, 3, 3]), F([4, 2, 3, 3])], n => n.With("strides", [2L, 2]).With("group", 2L)),
            new("depthwise", [F([1, 3, 3, 3]), F([3, 1, 4, 4])], n => n.With("strides", [2L, 2]).With("group", 3L).With("pads", [1L, 1, 1, 1])),
            new("dilation", [F([1, 2, 3, 3]), F([2, 2, 3, 2])], n => n.With("dilations", [2L, 3]).With("strides", [2L, 1])),
            new("1d", [F([2, 3, 5]), F([3, 2, 4])], n => n.With("strides", [2L]).With("pads", [1L, 0])),
            new("3d", [F([1, 2, 2, 3, 2]), F([2, 2, 2, 2, 3])], n => n.With("strides", [2L, 1, 2])),
            new("output shape", [F([1, 2, 3, 3]), F([2, 3, 3, 3])], n => n.With("strides", [3L, 2]).With("output_shape", [8L, 6])),
            new("output shape, upper", [F([1, 2, 3, 3]), F([2, 3, 3, 3])], n => n.With("strides", [3L, 2]).With("output_shape", [8L, 6]).With("auto_pad", "SAME_UPPER")),
            new("larger output shape", [F([1, 1, 3, 3]), F([1, 2, 3, 3])], n => n.With("strides", [3L, 2]).With("output_shape", [10L, 8]).With("output_padding", [1L, 1])),
            new("same upper", [F([1, 2, 3, 4]), F([2, 2, 3, 3])], n => n.With("strides", [2L, 2]).With("auto_pad", "SAME_UPPER")),
            new("same lower", [F([1, 2, 3, 4]), F([2, 2, 3, 4])], n => n.With("strides", [2L, 1]).With("auto_pad", "SAME_LOWER")),
        ],
        ["MaxPool"] =
        [
            Fine("plain", [2, 2, 4, 4], n => n.With("kernel_shape", [2L, 2]).With("strides", [2L, 2])),
            Fine("overlap", [1, 2, 5, 5], n => n.With("kernel_shape", [3L, 3]).With("pads", [1L, 1, 1, 1])),
            Fine("ceil", [1, 2, 5, 6], n => n.With("kernel_shape", [3L, 3]).With("strides", [2L, 2]).With("ceil_mode", 1L)),
            Fine("dilation", [1, 2, 7, 6], n => n.With("kernel_shape", [3L, 2]).With("dilations", [2L, 3])),
            Fine("same upper", [1, 2, 5, 6], n => n.With("kernel_shape", [3L, 2]).With("strides", [2L, 2]).With("auto_pad", "SAME_UPPER")),
            Fine("same lower", [1, 2, 5, 6], n => n.With("kernel_shape", [2L, 2]).With("auto_pad", "SAME_LOWER")),
            Fine("1d", [2, 3, 7], n => n.With("kernel_shape", [3L]).With("strides", [2L])),
            Fine("3d", [1, 2, 4, 3, 4], n => n.With("kernel_shape", [2L, 2, 2]).With("strides", [2L, 1, 2])),
            Fine("indices given", [1, 2, 4, 4], n => n.With("kernel_shape", [2L, 2]).With("strides", [2L, 2])) with { Outputs = 2 },
            Fine("column-major", [1, 2, 4, 6], n => n.With("kernel_shape", [2L, 2]).With("strides", [2L, 2]).With("storage_order", 1L)) with { Outputs = 2 },
            Fine("one pixel", [2, 2, 1, 1], n => n.With("kernel_shape", [3L, 3]).With("pads", [1L, 1, 1, 1])),
            Fine("no images", [0, 2, 4, 4], n => n.With("kernel_shape", [2L, 2])),
        ],
        ["MaxUnpool"] = [new("plain", [F([1, 1, 2, 2]), L([1, 1, 2, 2], 1, 2, 8, 15)], n => n.With("kernel_shape", [2L, 2]).With("strides", [2L, 2])), new("output shape", [F([1, 1, 2, 2]), L([1, 1, 2, 2], 1, 3, 10, 12), L(1, 1, 5, 5)], n => n.With("kernel_shape", [2L, 2]).With("strides", [2L, 2]))],
        ["AveragePool"] = [.. Means(), .. Means("count_include_pad"),
            new("dilation", [F([1, 2, 7, 6])], n => n.With("kernel_shape", [3L, 2]).With("dilations", [2L, 3]).With("pads", [1L, 1, 1, 1]), Opset: 19),
            new("dilation, ceil", [F([1, 2, 8, 6])], n => n.With("kernel_shape", [3L, 2]).With("dilations", [2L, 3]).With("strides", [2L, 2]).With("ceil_mode", 1L), Opset: 19)],
        ["LpPool"] =
        [
            new("plain", [F([2, 2, 4, 4])], n => n.With("kernel_shape", [2L, 2]).With("strides", [2L, 2])),
            new("one", [F([1, 2, 5, 5])], n => n.With("kernel_shape", [3L, 3]).With("pads", [1L, 1, 1, 1]).With("p", 1L)) { Step = 1e-3f },
            new("three", [F([1, 2, 6])], n => n.With("kernel_shape", [3L]).With("p", 3L)),
            new("same", [F([1, 2, 5, 5])], n => n.With("kernel_shape", [2L, 2]).With("strides", [2L, 2]).With("auto_pad", "SAME_UPPER")),
            new("ceil", [F([1, 2, 6, 5])], n => n.With("kernel_shape", [3L, 2]).With("strides", [2L, 2]).With("dilations", [1L, 2]).With("ceil_mode", 1L), Opset: 18),
        ],
        ["GlobalAveragePool"] = [new("2d", [F([2, 3, 4, 5])]), new("1d", [F([2, 3, 4])]), new("3d", [F([1, 2, 2, 3, 2])]), new("one pixel", [F([2, 3, 1, 1])]), new("no images", [F([0, 3, 2, 2])])],
        ["GlobalMaxPool"] = [Fine("2d", [1, 2, 3, 2]), Fine("1d", [2, 3, 4]), Fine("3d", [1, 2, 2, 3, 2]), Fine("one pixel", [2, 3, 1, 1])],
        ["GlobalLpPool"] = [new("two", [F([2, 3, 4, 5])]), new("one", [F([2, 3, 4])], n => n.With("p", 1L)) { Step = 1e-3f }, new("three", [F([1, 2, 2, 3])], n => n.With("p", 3L))],
    });

    /// <summary>Each case, and its twin that hides the image's sizes from the rule.</summary>
    public static Dictionary<string, GradientCase[]> Twice(Dictionary<string, GradientCase[]> table) =>
        table.ToDictionary(t => t.Key, t => (GradientCase[])[.. t.Value, .. t.Value.Select(c => c with { Dynamic = true })]);

    private static GradientCase Fine(string note, long[] dims, Action<Node>? attributes = null) => new(note, [F(dims)], attributes) { Step = 1e-3f };

    private static IEnumerable<GradientCase> Means(string? flag = null)
    {
        GradientCase Mean(string note, long[] dims, Action<Node> attributes) => new(flag is null ? note : $"{note}, {flag}", [F(dims)], n =>
        {
            attributes(n);
            if (flag is not null) n.With(flag, 1L);
        });
        yield return Mean("plain", [2, 2, 4, 4], n => n.With("kernel_shape", [2L, 2]).With("strides", [2L, 2]));
        yield return Mean("pads", [1, 2, 5, 5], n => n.With("kernel_shape", [3L, 3]).With("strides", [2L, 2]).With("pads", [1L, 1, 1, 1]));
        yield return Mean("asymmetric pads", [1, 2, 5, 6], n => n.With("kernel_shape", [3L, 3]).With("pads", [0L, 1, 2, 0]));
        yield return Mean("remainder", [1, 2, 6, 7], n => n.With("kernel_shape", [2L, 3]).With("strides", [3L, 2]));
        yield return Mean("ceil", [1, 2, 6, 5], n => n.With("kernel_shape", [3L, 2]).With("strides", [2L, 2]).With("ceil_mode", 1L));
        yield return Mean("ceil pads", [1, 2, 7, 6], n => n.With("kernel_shape", [3L, 3]).With("strides", [2L, 2]).With("pads", [1L, 1, 1, 1]).With("ceil_mode", 1L));
        yield return Mean("same upper", [1, 2, 5, 6], n => n.With("kernel_shape", [3L, 2]).With("strides", [2L, 2]).With("auto_pad", "SAME_UPPER"));
        yield return Mean("same lower", [1, 2, 5, 6], n => n.With("kernel_shape", [3L, 2]).With("auto_pad", "SAME_LOWER"));
        yield return Mean("1d", [2, 3, 7], n => n.With("kernel_shape", [3L]).With("strides", [2L]));
        yield return Mean("3d", [1, 2, 4, 3, 4], n => n.With("kernel_shape", [2L, 2, 2]).With("strides", [2L, 1, 2]).With("pads", [1L, 0, 1, 0, 1, 0]));
        yield return Mean("one pixel", [2, 2, 1, 1], n => n.With("kernel_shape", [3L, 3]).With("pads", [1L, 1, 1, 1]));
    }
}
