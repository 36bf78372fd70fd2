using Lift.Ort.Onnx;
using static Lift.Ort.Tests.Gradients.CaseData;

namespace Lift.Ort.Tests.Gradients;

/// <summary>Cases of losses that are nodes of the model: reductions, class weights, ignored labels, more than two axes.</summary>
[GradientCaseGroup]
internal static class LossNodeCases
{
    private static readonly string[] reductions = ["none", "sum", "mean"];

    public static Dictionary<string, GradientCase[]> Cases => new()
    {
        ["SoftmaxCrossEntropyLoss"] =
        [
            .. reductions.Select(r => new GradientCase(r, [F([3, 4]), L([3], 1, 0, 3)], n => n.With("reduction", r))),
            .. reductions.Select(r => new GradientCase($"weights, {r}", [F([3, 4, 2]), L([3, 2], 1, 0, 3, 2, 2, 1), F([4], 0.5f, 2)], n => n.With("reduction", r).With("ignore_index", 2L)) { Vary = [0] }),
            new("log_prob is used too", [F([3, 4]), L([3], 1, 0, 3)], Outputs: 2), new("log_prob of pixels", [F([2, 3, 2, 2]), L([2, 2, 2], 0, 1, 2, 0, 1, 2, 0, 1)], n => n.With("reduction", "sum"), Outputs: 2),
            new("int32 labels", [F([3, 4]), Tensor.From<int>("l", [1, 0, 3], 3)]),
        ],
        ["com.microsoft.SoftmaxCrossEntropyLossInternal"] =
        [
            .. reductions.Select(r => new GradientCase(r, [F([3, 4]), L([3], 1, 0, 3)], n => n.With("reduction", r), Outputs: 2)),
            new("weights, ignored", [F([3, 4]), L([3], 1, -100, 3), F([4], 0.5f, 2), S(-100L)], Outputs: 2) { Vary = [0] },
        ],
        ["NegativeLogLikelihoodLoss"] =
        [
            .. reductions.Select(r => new GradientCase(r, [F([3, 4]), L([3], 1, 0, 3)], n => n.With("reduction", r))),
            .. reductions.Select(r => new GradientCase($"weights, {r}", [F([3, 4, 2]), L([3, 2], 1, 0, 3, 2, 2, 1), F([4], 0.5f, 2)], n => n.With("reduction", r).With("ignore_index", 2L)) { Vary = [0] }),
            new("ignored label outside the classes", [F([3, 4]), L([3], 1, -100, 3)], n => n.With("ignore_index", -100L)),
        ],
        ["com.microsoft.NegativeLogLikelihoodLossInternal"] = [.. Internal()],
        ["com.microsoft.NegativeLogLikelihoodLossInternal2"] = [.. Internal()],
        ["SparseSoftmaxCrossEntropy"] =
        [
            new("log_prob is used too", [F([2, 3, 4]), L([2, 3], 0, 1, 2, 3, 3, 0)], Outputs: 2),
            new("mean", [F([2, 3, 4]), L([2, 3], 0, 1, 2, 3, 3, 0)]), new("sum", [F([3, 4]), L(3, 0, 3)], n => n.With("reduction", "sum")),
            .. new[] { "mean", "sum" }.Select(r => new GradientCase($"weights, {r}", [F([3, 4]), L(3, 0, 3), F([3], 0.5f, 2)], n => n.With("reduction", r)) { Vary = [0] }),
        ],
        ["com.microsoft.SoftmaxCrossEntropy"] = [.. Probabilities("mean"), .. Probabilities("sum")],
    };

    private static IEnumerable<GradientCase> Internal() =>
    [
        .. reductions.Select(r => new GradientCase(r, [F([3, 4]), L([3], 1, 0, 3)], n => n.With("reduction", r))),
        new("weights, ignored", [F([3, 4, 2]), L([3, 2], 1, 0, -1, 2, 2, 1), F([4], 0.5f, 2), S(-1L)]) { Vary = [0] },
    ];

    private static IEnumerable<GradientCase> Probabilities(string reduction) =>
        [new(reduction, [F([2, 3]), Tensor.From<float>("l", [0.2f, 0.3f, 0.5f, 1, 0, 0], 2, 3)], n => n.With("reduction", reduction)) { Vary = [0] },
            new($"{reduction}, log_prob is used too", [F([2, 3]), Tensor.From<float>("l", [0.2f, 0.3f, 0.5f, 1, 0, 0], 2, 3)], n => n.With("reduction", reduction), Outputs: 2) { Vary = [0] }];
}
