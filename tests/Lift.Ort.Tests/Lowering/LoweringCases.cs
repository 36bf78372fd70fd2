using Lift.Ort.Onnx;
using Lift.Ort.Tests.Gradients;
using static Lift.Ort.Tests.Gradients.CaseData;

namespace Lift.Ort.Tests.Lowering;

/// <summary>Cases for every lowering: attributes, optional inputs and shapes as exporters use them.</summary>
internal static partial class LoweringCases
{
    public static readonly Dictionary<string, GradientCase[]> Table = new()
    {
        ["com.microsoft.GroupQueryAttention"] = GroupQuery(),
        ["com.microsoft.SkipLayerNormalization"] =
        [
            new("plain", [F([2, 3, 8]), F([2, 3, 8], seed: 2), F([8], 0.5f, 1.5f), F([8])], n => n.With("epsilon", 1e-5f)),
            new("no beta, sum", [F([2, 3, 8]), F([2, 3, 8], seed: 2), F([8], 0.5f, 1.5f)], Outputs: 4) { Absent = [1, 2] },
            new("bias, sum", [F([2, 3, 8]), F([2, 3, 8], seed: 2), F([8], 0.5f, 1.5f), F([8]), F([8], seed: 5)], n => n.With("epsilon", 1e-5f), Outputs: 4) { Absent = [1, 2] },
            new("skip broadcasts", [F([2, 3, 8]), F([1, 3, 8], seed: 2), F([8], 0.5f, 1.5f), F([8])]), new("skip without batch", [F([2, 3, 8]), F([3, 8], seed: 2), F([8], 0.5f, 1.5f), F([8])]),
            new("rows", [F([5, 8]), F([5, 8], seed: 2), F([8], 0.5f, 1.5f), null, F([8], seed: 4)]),
        ],
        ["com.microsoft.SkipSimplifiedLayerNormalization"] =
        [
            new("plain", [F([2, 3, 8]), F([2, 3, 8], seed: 2), F([8], 0.5f, 1.5f)], n => n.With("epsilon", 1e-5f)),
            new("sum", [F([2, 3, 8]), F([2, 3, 8], seed: 2), F([8], 0.5f, 1.5f)], n => n.With("epsilon", 1e-5f), Outputs: 4) { Absent = [1, 2] },
            new("bias", [F([2, 3, 8]), F([2, 3, 8], seed: 2), F([8], 0.5f, 1.5f), F([8])], Outputs: 4) { Absent = [1, 2] }, new("skip broadcasts", [F([2, 3, 8]), F([1, 3, 8], seed: 2), F([8], 0.5f, 1.5f)]),
        ],
    };
}
