using static Lift.Ort.Tests.Gradients.CaseData;

namespace Lift.Ort.Tests.Gradients;

/// <summary>Cases of normalisations over channels, groups and space; each with the image's sizes known, and again with symbols for them.</summary>
[GradientCaseGroup]
internal static class NormalizationCases
{
    public static Dictionary<string, GradientCase[]> Cases { get; } = ConvolutionCases.Twice(new()
    {
        ["BatchNormalization"] =
        [
            .. new long[][] { [2, 3, 2, 2], [4, 3], [2, 3, 5], [1, 3, 2, 2, 2], [2, 3, 1, 1] }.Select(d => new GradientCase($"given statistics, rank {d.Length}", Batch(d)) { Vary = [0, 1, 2] }),
            new("statistics of the graph's own", Batch([2, 3, 4])) { Vary = [0, 1, 2, 3, 4] },
            .. new long[][] { [2, 3, 2, 2], [4, 3], [2, 3, 5], [1, 3, 2, 2, 2], [40, 3, 9] }.Select(d => new GradientCase($"training, rank {d.Length}", Batch(d), n => n.With("training_mode", 1L)) { Vary = [0, 1, 2] }),
            new("training, one output, epsilon", Batch([3, 3, 2, 2]), n => n.With("training_mode", 1L).With("epsilon", 0.1f).With("momentum", 0.5f)) { Vary = [0, 1, 2] },
        ],
        ["com.microsoft.BatchNormInternal"] = [new("plain", Batch([2, 3, 2, 3])) { Vary = [0, 1, 2] }],
        ["InstanceNormalization"] = [.. new long[][] { [2, 3, 2, 3], [2, 3, 6], [1, 2, 2, 2, 2] }.Select(d => new GradientCase($"rank {d.Length}", [F(d), F([d[1]], 0.5f, 1.5f), F([d[1]])])), new("epsilon", [F([2, 3, 4]), F([3], 0.5f, 1.5f), F([3])], n => n.With("epsilon", 0.1f))],
        ["GroupNormalization"] =
        [
            new("per channel", [F([2, 4, 2, 3]), F([4], 0.5f, 1.5f), F([4])], n => n.With("num_groups", 2L), Opset: 21),
            new("one group", [F([2, 3, 5]), F([3], 0.5f, 1.5f), F([3])], n => n.With("num_groups", 1L).With("epsilon", 0.01f), Opset: 21),
            new("group per channel", [F([2, 3, 2, 3]), F([3], 0.5f, 1.5f), F([3])], n => n.With("num_groups", 3L), Opset: 21),
            new("per group", [F([2, 4, 2, 3]), F([2], 0.5f, 1.5f), F([2])], n => n.With("num_groups", 2L), Opset: 18),
            new("per group, 1d", [F([2, 6, 4]), F([3], 0.5f, 1.5f), F([3])], n => n.With("num_groups", 3L), Opset: 18),
        ],
        ["MeanVarianceNormalization"] = [new("default", [F([2, 3, 2, 3])]), new("axes", [F([2, 3, 4])], n => n.With("axes", [-1L])), new("all", [F([2, 3])], n => n.With("axes", [0L, 1]))],
        ["LRN"] =
        [
            new("three", [F([2, 5, 2, 3])], n => n.With("size", 3L).With("alpha", 0.5f)),
            new("wider than the channels", [F([2, 3, 4, 1])], n => n.With("size", 7L).With("alpha", 0.7f)),
        ],
        ["LpNormalization"] = [new("l2", [F([2, 4])]), new("l1", [F([2, 4])], n => n.With("p", 1L)) { Step = 1e-3f }, new("axis", [F([2, 3, 4])], n => n.With("axis", 1L)), new("negative axis, l1", [F([2, 3, 4])], n => n.With("axis", -2L).With("p", 1L)) { Step = 1e-3f }],
    });

    private static Lift.Ort.Onnx.Tensor[] Batch(long[] dims) => [F(dims), F([dims[1]], 0.5f, 1.5f), F([dims[1]]), F([dims[1]], seed: 2), F([dims[1]], 0.5f, 1)];
}
