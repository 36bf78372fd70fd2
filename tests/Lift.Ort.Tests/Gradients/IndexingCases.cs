using Lift.Ort.Onnx;
using static Lift.Ort.Tests.Gradients.CaseData;

namespace Lift.Ort.Tests.Gradients;

/// <summary>Cases of operators that pick, put and count: batch axes, reductions, factors that are 0, equals.</summary>
[GradientCaseGroup]
internal static class IndexingCases
{
    public static Dictionary<string, GradientCase[]> Cases => new()
    {
        ["GatherND"] =
        [
            new("one batch axis", [F([2, 3, 4]), L([2, 1], 1, 2)], n => n.With("batch_dims", 1L)),
            new("one batch axis, tuples", [F([2, 3, 4, 2]), L([2, 3, 2], 0, 1, 2, 3, 0, 1, 1, 1, 2, 0, 1, 1)], n => n.With("batch_dims", 1L)),
            new("two batch axes, negative", [F([2, 2, 3]), L([2, 2, 1], 1, -1, 0, 2)], n => n.With("batch_dims", 2L)),
        ],
        ["com.microsoft.GatherND"] = [new("rows", [F([2, 3, 2]), L([2, 2], 0, 1, 1, 2)])],
        ["com.microsoft.ShrunkenGather"] = [new("rows", [F([5, 3]), L(4, 0, 2)]), new("columns", [F([2, 5]), L(3, 3, 1)], n => n.With("axis", 1L))],
        ["com.microsoft.PadAndUnflatten"] = [new("rows", [F([3, 2]), L(0, 3, 1), L(2, 2)])],
        ["com.microsoft.FlattenAndUnpad"] = [new("rows", [F([2, 2, 3]), L(3, 0)], Outputs: 2)],
        ["com.microsoft.ConcatTraining"] = [new("axis 1", [F([2, 3]), F([2, 1])], n => n.With("axis", 1L), 2)],
        ["GatherElements"] = [new("negative axis and index", [F([3, 3]), L([3, 2], 0, -1, 1, 1, -3, 2)], n => n.With("axis", -1L))],
        ["ScatterElements"] =
        [
            new("put, negative axis", [F([2, 5]), L([2, 2], 0, 4, 1, -2), F([2, 2])], n => n.With("axis", -1L)),
            .. Reductions(F([3, 3]), L([2, 3], 0, 1, 2, 0, 1, 0), F([2, 3], -1.2f, 1.3f, 4)),
            new("factors that are 0", [Zeroed(F([3, 2], -1.5f, 1.4f), 0, 3), L([3, 2], 0, 1, 0, 1, 2, 1), Zeroed(F([3, 2], -1.3f, 1.2f, 2), 2, 3, 4)], n => n.With("reduction", "mul"), Opset: 18),
            new("equals", [Tensor.From<float>("x", [1, 2, 3], 3), L(1, 1, 2), Tensor.From<float>("u", [1, 1, 2], 3)], n => n.With("reduction", "max"), Opset: 18),
        ],
        ["ScatterND"] =
        [
            .. Reductions(F([4, 2]), L([2, 1], 1, 1), F([2, 2], -1.2f, 1.3f, 4)),
            new("add to elements", [F([2, 3]), L([3, 2], 0, 1, 1, 2, 0, 1), F([3])], n => n.With("reduction", "add")),
        ],
        ["TopK"] =
        [
            new("smallest", [F([5, 2]), L(3)], n => n.With("largest", 0L).With("axis", 0L), 2) { Step = 1e-3f },
            new("unsorted", [F([2, 6]), L(2)], n => n.With("sorted", 0L).With("axis", 1L), 2) { Step = 1e-3f },
            new("all", [F([3]), L(3)], Outputs: 2) { Step = 1e-3f },
        ],
        ["Compress"] = [new("axis 0", [F([4, 2]), B([4], true, false, false, true)], n => n.With("axis", 0L)), new("short, last axis", [F([2, 5]), B([3], true, false, true)], n => n.With("axis", -1L)), new("flat", [F([2, 3]), B([5], false, true, true, false, true)])],
        ["ReverseSequence"] = [new("time first", [F([4, 3, 2]), L(1, 4, 2)]), new("batch first", [F([3, 4]), L(4, 1, 3)], n => n.With("batch_axis", 0L).With("time_axis", 1L))],
        ["OneHot"] = [new("values", [L([2, 2], 0, 2, -1, 1), S(3L), F([2])]), new("axis 0", [L(1, 3), S(4L), F([2])], n => n.With("axis", 0L))],
        ["CumSum"] =
        [
            new("negative axis", [F([2, 3]), S(-1L)]) { Vary = [0] }, new("exclusive", [F([4]), S(0L)], n => n.With("exclusive", 1L)) { Vary = [0] }, new("reverse", [F([3, 2]), S(0L)], n => n.With("reverse", 1L)) { Vary = [0] },
        ],
        ["ReduceProd"] =
        [
            new("one 0", [Zeroed(F([2, 3]), 1)], n => n.With("axes", [1L])), new("two 0 in a row", [Zeroed(F([2, 3]), 0, 2, 4)], n => n.With("axes", [-1L]).With("keepdims", 0L)), new("all 0", [Zeroed(F([2]), 0, 1)]),
            new("axes as an input", [Zeroed(F([2, 3, 2]), 5), L(0, 2)], Opset: 18),
        ],
        ["Trilu"] = [new("k is negative", [F([3, 4]), S(-1L)]), new("k is beyond the matrix", [F([2, 3]), S(9L)])],
    };

    private static IEnumerable<GradientCase> Reductions(Tensor x, Tensor indices, Tensor updates) =>
        new[] { "mul", "max", "min" }.Select(r => new GradientCase(r, [x, indices, updates], n => n.With("reduction", r), Opset: 18) { Step = 1e-3f });

    private static Tensor Zeroed(Tensor x, params int[] at)
    {
        float[] values = x.ToFloats();
        foreach (int i in at) values[i] = 0;
        return Tensor.From<float>(x.Name, values, x.Dims);
    }
}
