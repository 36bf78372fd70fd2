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
        ["com.microsoft.MultiHeadAttention"] = MultiHead(),
        ["com.microsoft.Attention"] = WithProjection(),
        ["Attention"] = Standard(),
        ["com.microsoft.RotaryEmbedding"] = Rotary(),
        ["com.microsoft.GemmaRotaryEmbedding"] = Gemma(),
        ["RotaryEmbedding"] = StandardRotary(),
        ["RMSNormalization"] =
        [
            new("plain", [F([2, 3, 8]), F([8], 0.5f, 1.5f)], Opset: 23), new("epsilon", [F([5, 8]), F([8], 0.5f, 1.5f)], n => n.With("epsilon", 0.1f), Opset: 23), new("two axes", [F([2, 3, 8]), F([3, 8], 0.5f, 1.5f)], n => n.With("axis", 1L), Opset: 23),
        ],
        ["Swish"] = [new("plain", [F([2, 5])], Opset: 24), new("alpha", [F([2, 5])], n => n.With("alpha", 1.7f), Opset: 24)],
        ["com.microsoft.GemmFastGelu"] = [new("plain", [F([2, 3, 4]), F([4, 5], seed: 2)]) { Expected = () => FastGelu(F([2, 3, 4]), F([4, 5], seed: 2), null) }, new("bias", [F([2, 3, 4]), F([4, 5], seed: 2), F([5])]) { Expected = () => FastGelu(F([2, 3, 4]), F([4, 5], seed: 2), F([5])) }],
        ["com.microsoft.BiasSplitGelu"] = [new("plain", [F([2, 3, 8]), F([8])]) { Expected = SplitGelu, Known = [(1, 0)] }],
        ["com.microsoft.BiasAdd"] = [new("plain", [F([2, 3, 8]), F([8]), F([2, 3, 8], seed: 2)]) { Expected = () => new Dictionary<string, float[]> { ["y"] = [.. F([2, 3, 8]).ToFloats().Select((v, i) => v + F([8]).ToFloats()[i % 8] + F([2, 3, 8], seed: 2).ToFloats()[i])] } }],
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

    private static Dictionary<string, float[]> FastGelu(Tensor x, Tensor w, Tensor? bias)
    {
        float[] a = x.ToFloats(), b = w.ToFloats(), c = bias?.ToFloats() ?? new float[w.Dims[1]];
        int inner = (int)w.Dims[0], width = (int)w.Dims[1];
        IEnumerable<double> product = from row in Enumerable.Range(0, a.Length / inner) from column in Enumerable.Range(0, width) select Enumerable.Range(0, inner).Sum(i => (double)a[row * inner + i] * b[i * width + column]) + c[column];
        return new() { ["y"] = [.. product.Select(v => (float)(0.5 * v * (1 + Math.Tanh(Math.Sqrt(2 / Math.PI) * (v + 0.044715 * v * v * v)))))] };
    }

    /// <summary>Gelu by numeric integration of the normal density, so that no error function is needed.</summary>
    private static Dictionary<string, float[]> SplitGelu()
    {
        float[] x = F([2, 3, 8]).ToFloats(), bias = F([8]).ToFloats();
        double Gelu(double v) => v * (0.5 + Enumerable.Range(0, 2000).Sum(i => Math.Exp(-Math.Pow((i + 0.5) * v / 2000, 2) / 2)) * v / 2000 / Math.Sqrt(2 * Math.PI));
        return new() { ["y"] = [.. from row in Enumerable.Range(0, 6) from i in Enumerable.Range(0, 4) select (float)((x[row * 8 + i] + bias[i]) * Gelu(x[row * 8 + i + 4] + bias[i + 4]))] };
    }
}
