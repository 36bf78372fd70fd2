using Lift.Ort.Onnx;
using Lift.Ort.Tests.Gradients;
using static Lift.Ort.Tests.Gradients.CaseData;

namespace Lift.Ort.Tests.Lowering;

/// <summary>Cases for every lowering: attributes, optional inputs and shapes as exporters use them.</summary>
internal static partial class LoweringCases
{
    public static readonly Dictionary<string, GradientCase[]> Table = new()
    {
        ["QLinearMatMul"] = Frozen(Products8()),
        ["com.microsoft.QGemm"] = Frozen(Gemms8()),
        ["QLinearConv"] = Frozen(Convolutions8(last: false)),
        ["com.microsoft.QLinearConv"] = Frozen(Convolutions8(last: true)),
        ["com.microsoft.MatMulIntegerToFloat"] = Frozen(ToFloat8()),
        ["com.microsoft.DynamicQuantizeMatMul"] = Frozen(Dynamic8()),
        ["com.microsoft.QLinearAdd"] = Frozen(Pairs8()),
        ["com.microsoft.QLinearMul"] = Frozen(Pairs8()),
        ["com.microsoft.QLinearSigmoid"] = Frozen(Single8(1 / 256f, _ => { })),
        ["com.microsoft.QLinearLeakyRelu"] = Frozen(Single8(0.03f, n => n.With("alpha", 0.2f))),
        ["com.microsoft.QLinearSoftmax"] = Frozen(Softmaxes8()),
        ["com.microsoft.QLinearAveragePool"] = Frozen(Pools8(global: false)),
        ["com.microsoft.QLinearGlobalAveragePool"] = Frozen(Pools8(global: true)),
        ["com.microsoft.QLinearConcat"] = Frozen(Joins8()),
        ["com.microsoft.QLinearWhere"] = Frozen(Choices8()),
        ["com.microsoft.DynamicQuantizeLSTM"] = Frozen(Recurrent8()),
        ["com.microsoft.QMoE"] = Frozen(Mixtures8()),
        ["com.microsoft.QAttention"] = Frozen(Attention8()),
        ["com.microsoft.QEmbedLayerNormalization"] = Frozen(Embedding8()),
        ["com.microsoft.GroupQueryAttention"] = GroupQuery(),
        ["com.microsoft.Pad"] = Pads(),
        ["com.microsoft.Trilu"] = Triangles(),
        ["com.microsoft.GridSample"] = Grids(),
        ["com.microsoft.ExpandDims"] = MoreAxes(),
        ["com.microsoft.SampleOp"] = Samples(),
        ["com.microsoft.UnfoldTensor"] = Unfolded(),
        ["com.microsoft.CDist"] = Distances(),
        ["com.microsoft.BiasSoftmax"] = BiasedSoftmax(),
        ["com.microsoft.BitmaskDropout"] = Bitmask(),
        ["com.microsoft.TorchEmbedding"] = TableRows(),
        ["com.microsoft.GatedRelativePositionBias"] = Gated(),
        ["com.microsoft.CropAndResize"] = Crops(),
        ["MaxRoiPool"] = RegionMaxima(),
        ["com.microsoft.ConvTransposeWithDynamicPads"] = DynamicPads(),
        ["com.microsoft.MultiHeadAttention"] = MultiHead(),
        ["com.microsoft.GroupNorm"] = GroupNorms(skips: false),
        ["com.microsoft.SkipGroupNorm"] = GroupNorms(skips: true),
        ["DeformConv"] = Deformable(),
        ["com.microsoft.Attention"] = WithProjection(),
        ["Attention"] = Standard(),
        ["com.microsoft.RotaryEmbedding"] = Rotary(),
        ["com.microsoft.GemmaRotaryEmbedding"] = Gemma(),
        ["RotaryEmbedding"] = StandardRotary(),
        ["com.microsoft.EmbedLayerNormalization"] =
        [
            new("all", [I([2, 3], 1, 4, 0, 2, 2, 3), I([2, 3], 0, 1, 1, 0, 0, 1), F([5, 8]), F([7, 8], seed: 2), F([2, 8], seed: 3), F([8], 0.5f, 1.5f), F([8])], n => n.With("epsilon", 1e-5f), 2) { Absent = [1] },
            new("no segments, sum", [I([2, 3], 1, 4, 0, 2, 2, 3), null, F([5, 8]), F([7, 8], seed: 2), null, F([8], 0.5f, 1.5f), F([8])], Outputs: 3) { Absent = [1] },
            new("mask", [I([2, 3], 1, 4, 0, 2, 2, 3), null, F([5, 8]), F([7, 8], seed: 2), null, F([8], 0.5f, 1.5f), F([8]), I([2, 3], 1, 1, 1, 1, 1, 0)], n => n.With("mask_index_type", 1L), 2),
            new("no mask", [I([2, 3], 1, 4, 0, 2, 2, 3), null, F([5, 8]), F([7, 8], seed: 2), null, F([8], 0.5f, 1.5f), F([8])], Outputs: 2),
            new("position ids", [I([2, 3], 1, 4, 0, 2, 2, 3), null, F([5, 8]), F([7, 8], seed: 2), null, F([8], 0.5f, 1.5f), F([8]), null, I([2, 3], 2, 3, 4, 0, 1, 2)], Outputs: 2) { Absent = [1] },
            new("shared position ids", [I([2, 3], 1, 4, 0, 2, 2, 3), null, F([5, 8]), F([7, 8], seed: 2), null, F([8], 0.5f, 1.5f), F([8]), null, I([1, 3], 2, 3, 4)], Outputs: 2) { Absent = [1] },
        ],
        ["com.microsoft.RelativePositionBias"] =
        [
            Buckets("one direction", 8, 9, 9, 20, false), Buckets("both directions", 8, 9, 12, 6, true), Buckets("more buckets than positions", 32, 4, 4, 128, true), Buckets("far away", 32, 200, 200, 128, false),
        ],
        ["com.microsoft.FusedGemm"] =
        [
            .. new[] { "Relu", "Tanh", "Sigmoid", "Softplus" }.Select(a => new GradientCase(a, [F([2, 3]), F([4, 3], seed: 2), F([4])], n => n.With("transB", 1L).With("alpha", 0.7f).With("activation", a)) { Step = 1e-3f }),
            new("alpha", [F([2, 3]), F([3, 4], seed: 2)], n => n.With("activation", "LeakyRelu").With("activation_alpha", 0.3f)) { Step = 1e-3f }, new("elu", [F([2, 3]), F([3, 4], seed: 2)], n => n.With("activation", "Elu").With("activation_alpha", 0.7f)) { Step = 1e-3f },
        ],
        ["com.microsoft.FusedConv"] =
        [
            new("relu", [F([1, 2, 5, 5]), F([3, 2, 3, 3], seed: 2), F([3])], n => n.With("activation", "Relu").With("pads", [1L, 1, 1, 1]).With("kernel_shape", [3L, 3])) { Step = 1e-3f },
            new("sum", [F([1, 2, 5, 5]), F([3, 2, 3, 3], seed: 2), F([3]), F([1, 3, 3, 3], seed: 3)], n => n.With("activation", "Relu")) { Step = 1e-3f }, new("clip", [F([1, 2, 5, 5]), F([3, 2, 3, 3], seed: 2)], Clipped) { Step = 1e-3f },
        ],
        ["com.microsoft.FusedMatMulActivation"] = [new("relu", [F([2, 3]), F([3, 4], seed: 2)], n => n.With("activation", "Relu").With("alpha", 0.5f)) { Step = 1e-3f, Expected = MatMulRelu }],
        ["com.microsoft.BiasDropout"] = BiasedDropout(),
        ["com.microsoft.BitmaskBiasDropout"] = BiasedDropout(),
        ["com.microsoft.ComplexMul"] = Complex(1),
        ["com.microsoft.ComplexMulConj"] = Complex(-1),
        ["com.microsoft.NhwcConv"] = ChannelsLast(false),
        ["com.microsoft.NhwcFusedConv"] = ChannelsLast(true),
        ["com.microsoft.MoE"] =
        [
            .. Gates(),
            .. new[] { "relu", "gelu", "silu", "identity" }.Select(a => Mixture(a, 2, n => n.With("activation_type", a)) with { Step = a == "relu" ? 3e-4f : 1e-3f }), Mixture("normalized", 2, n => n.With("activation_type", "silu").With("normalize_routing_weights", 1L)),
            Mixture("one expert", 1, _ => { }),
        ],
        ["RMSNormalization"] =
        [
            new("plain", [F([2, 3, 8]), F([8], 0.5f, 1.5f)], Opset: 23), new("epsilon", [F([5, 8]), F([8], 0.5f, 1.5f)], n => n.With("epsilon", 0.1f), Opset: 23), new("two axes", [F([2, 3, 8]), F([3, 8], 0.5f, 1.5f)], n => n.With("axis", 1L), Opset: 23),
        ],
        ["TensorScatter"] =
        [
            new("plain", [F([2, 3, 5, 4]), F([2, 3, 2, 4], seed: 2), L(1, 3)], Opset: 24), new("from the start", [F([2, 3, 5, 4]), F([2, 3, 5, 4], seed: 2)], Opset: 24),
            new("round", [F([3, 5, 2]), F([3, 4, 2], seed: 2), L(0, 3, 4)], n => n.With("mode", "circular"), Opset: 24), new("axis", [F([2, 5, 3, 2]), F([2, 2, 3, 2], seed: 2), L(2, 0)], n => n.With("axis", 1L), Opset: 24),
            new("last axis", [F([2, 5]), F([2, 1], seed: 2), L(4, 0)], n => n.With("axis", -1L), Opset: 24),
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

    private static void Clipped(Node n)
    {
        var limits = new AttributeProto { Name = "activation_params", Type = AttributeProto.Types.AttributeType.Floats };
        limits.Floats.AddRange([-0.35f, 0.82f]);
        n.With("activation", "Clip").Set(limits);
    }

    private static Dictionary<string, float[]> MatMulRelu()
    {
        float[] a = F([2, 3]).ToFloats(), b = F([3, 4], seed: 2).ToFloats();
        return new() { ["y"] = [.. from row in Enumerable.Range(0, 2) from column in Enumerable.Range(0, 4) select Math.Max(0, 0.5f * Enumerable.Range(0, 3).Sum(i => a[row * 3 + i] * b[i * 4 + column]))] };
    }

    /// <summary>Five tokens of width 6, four experts with a middle of 8.</summary>
    private static GradientCase Mixture(string note, long best, Action<Node> attributes) =>
        new(note, [F([5, 6]), F([5, 4], seed: 2), F([4, 8, 6], seed: 3), F([4, 8]), F([4, 6, 8], seed: 4), F([4, 6], seed: 5)], n => attributes(n.With("k", best))) { Step = 1e-3f };

    /// <summary>T5's buckets by its own formula, in a loop; the table lies column by column.</summary>
    private static GradientCase Buckets(string note, int rows, int queries, int keys, int far, bool both)
    {
        Tensor table = F([rows, 3]);
        int Bucket(int query, int key)
        {
            int behind = query - key, half = both ? rows / 2 : rows, exact = half / 2, first = both && behind < 0 ? half : 0;
            behind = both ? Math.Abs(behind) : Math.Max(behind, 0);
            return first + (behind < exact ? behind : Math.Min(half - 1, exact + (int)(Math.Log((double)behind / exact) / Math.Log((double)far / exact) * (half - exact))));
        }
        float[] values = table.ToFloats();
        float[] expected = [.. from head in Enumerable.Range(0, 3) from query in Enumerable.Range(0, queries) from key in Enumerable.Range(0, keys) select values[head * rows + Bucket(query, key)]];
        return new(note, [table, S((long)queries), S((long)keys)], n =>
        {
            n.With("max_distance", (long)far);
            if (both) n.With("is_bidirectional", 1L);
        })
        { Known = [(0, 0)], Expected = () => new Dictionary<string, float[]> { ["y"] = expected } };
    }
}
