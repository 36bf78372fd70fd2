using Lift.Ort.Onnx;
using Lift.Ort.Tests.Gradients;
using static Lift.Ort.Tests.Gradients.CaseData;

namespace Lift.Ort.Tests.Lowering;

/// <summary>
/// Operators on 8-bit numbers, as onnxruntime.quantization writes them: numbers, scale, zero point, again and again. Integers may differ by one from ONNX Runtime's kernel.
/// What has a gradient here are float inputs and biases only; the way through rounding is checked by <see cref="StraightThroughTests"/>.
/// </summary>
internal static partial class LoweringCases
{
    /// <summary>Scales are floats that have no gradient.</summary>
    private static GradientCase[] Frozen(GradientCase[] cases) => [.. cases.Select(c => c with { Vary = c.Vary ?? [] })];

    private static Tensor Scales(int count, float low = 0.005f, float high = 0.02f) => F([count], low, high);

    private static GradientCase[] Products8() =>
    [
        new("bytes", [U8([3, 4]), S(0.02f), S((byte)120), U8([4, 5], 2), S(0.03f), S((byte)130), S(0.05f), S((byte)7)]),
        new("signed weight, batch", [U8([2, 3, 4]), S(0.02f), S((byte)0), I8([4, 5], 2), S(0.03f), S((sbyte)0), S(0.09f), S((byte)128)]),
        new("signed all", [I8([3, 4]), S(0.02f), S((sbyte)3), I8([4, 5], 2), S(0.03f), S((sbyte)0), S(0.09f), S((sbyte)-2)]),
        new("a scale per column", [U8([3, 4]), S(0.02f), S((byte)120), I8([4, 5], 2), Scales(5), Tensor.From<sbyte>("z", [0, 0, 0, 0, 0], 5), S(0.02f), S((byte)128)]),
        new("scales as vectors of one, batches of both", [U8([2, 3, 4]), F([1], 0.02f, 0.02f), Tensor.From<byte>("z", [9], 1), U8([2, 4, 5], 2), F([1], 0.01f, 0.02f), Tensor.From<byte>("z", [128], 1), F([1], 0.05f, 0.06f), Tensor.From<byte>("z", [100], 1)]),
    ];

    private static GradientCase[] Gemms8() =>
    [
        new("bias", [U8([3, 4]), S(0.02f), S((byte)120), I8([4, 5], 2), S(0.03f), S((sbyte)0), I(100, -200, 300, -400, 0), S(0.05f), S((byte)128)]),
        new("turned, alpha", [U8([3, 4]), S(0.02f), S((byte)120), I8([5, 4], 2), S(0.03f), S((sbyte)0), null, S(0.05f), S((byte)128)], n => n.With("transB", 1L).With("alpha", 0.7f)),
        new("a scale per column, float output", [U8([3, 4]), S(0.02f), S((byte)120), I8([5, 4], 2), Scales(5), Tensor.From<sbyte>("z", [0, 0, 0, 0, 0], 5), I(100, -200, 300, -400, 0)], n => n.With("transB", 1L).With("alpha", 1.5f)),
    ];

    private static GradientCase[] Convolutions8(bool last)
    {
        Tensor X(long n, long c, long h, long w) => last ? U8([n, h, w, c]) : U8([n, c, h, w]);
        void Set(Node node, params long[] pads)
        {
            node.With("pads", pads).With("kernel_shape", [3L, 3]);
            if (last) node.With("channels_last", 1L);
        }
        return
        [
            new("bias, a scale per channel", [X(1, 2, 5, 5), S(0.02f), S((byte)120), I8([3, 2, 3, 3], 2), Scales(3), Tensor.From<sbyte>("z", [0, 0, 0], 3), S(0.05f), S((byte)128), I(100, -2000, 3000)], n => Set(n, 1, 1, 1, 1)) { Known = Kernel },
            new("one scale, strides, groups", [X(2, 2, 6, 7), S(0.02f), S((byte)3), U8([4, 1, 3, 3], 2), S(0.01f), S((byte)100), S(0.02f), S((byte)50)], n => { Set(n, 0, 1, 1, 0); n.With("strides", [2L, 1]).With("group", 2L); }) { Known = Kernel },
        ];
    }

    private static (int, int)[] Kernel => [(3, 0), (3, 1), (3, 2), (3, 3), (0, 1), (0, 3)];

    private static GradientCase[] ToFloat8() =>
    [
        new("zeros, bias", [U8([2, 3, 4]), I8([4, 5], 2), S(0.02f), S(0.03f), S((byte)120), S((sbyte)3), F([5])]) { Vary = [6] },
        new("a scale per column", [U8([3, 4]), U8([4, 5], 2), S(0.02f), Scales(5), S((byte)120), Tensor.From<byte>("z", [1, 2, 3, 128, 255], 5)]) { Vary = [] },
        new("no zeros", [U8([3, 4]), I8([4, 5], 2), S(0.02f), S(0.03f)]) { Vary = [] },
    ];

    private static GradientCase[] Dynamic8() =>
    [
        new("bias", [F([2, 3, 4]), I8([4, 5], 2), S(0.03f), S((sbyte)3), F([5])]) { Vary = [4], Tolerance = 1e-4f },
        new("a scale per column", [F([3, 4]), U8([4, 5], 2), Scales(5), Tensor.From<byte>("z", [1, 2, 3, 128, 255], 5)]) { Vary = [], Tolerance = 1e-4f },
    ];

    private static GradientCase[] Pairs8() =>
    [
        new("same shapes", [U8([3, 4]), S(0.02f), S((byte)120), U8([3, 4], 2), S(0.03f), S((byte)7), S(0.04f), S((byte)100)]),
        new("broadcast, signed", [I8([2, 3, 4]), S(0.02f), S((sbyte)20), I8([3, 1], 2), S(0.03f), S((sbyte)7), S(0.04f), S((sbyte)-10)]),
    ];

    private static GradientCase[] Single8(float scale, Action<Node> attributes) =>
    [
        new("bytes", [U8([3, 40]), S(0.03f), S((byte)120), S(scale), S((byte)5)], attributes), new("signed", [I8([3, 40]), S(0.03f), S((sbyte)12), S(scale), S((sbyte)-100)], attributes),
    ];

    private static GradientCase[] Softmaxes8() =>
    [
        new("last axis", [U8([3, 8]), S(0.03f), S((byte)120), S(1 / 256f), S((byte)0)], n => n.With("axis", -1L).With("opset", 13L)),
        new("middle axis", [U8([2, 5, 3]), S(0.03f), S((byte)120), S(1 / 256f), S((byte)0)], n => n.With("axis", 1L).With("opset", 13L)),
        new("old form", [I8([2, 5, 3]), S(0.03f), S((sbyte)0), S(1 / 256f), S((sbyte)-128)], n => n.With("axis", 1L).With("opset", 12L)),
    ];

    private static GradientCase[] Pools8(bool global) => [.. new[] { false, true }.Select(last => new GradientCase(last ? "channels last" : "channels second", [U8(last ? [2, 5, 6, 3] : [2, 3, 5, 6]), S(0.03f), S((byte)120), S(0.02f), S((byte)90)], n =>
    {
        if (!global) n.With("kernel_shape", [3L, 2]).With("strides", [2L, 1]).With("pads", [1L, 0, 1, 1]).With("count_include_pad", 1L);
        if (last || global) n.With("channels_last", last ? 1L : 0);
    }))];

    private static GradientCase[] Joins8() =>
    [
        new("two", [S(0.05f), S((byte)100), U8([2, 3]), S(0.03f), S((byte)120), U8([2, 4], 2), S(0.06f), S((byte)7)], n => n.With("axis", 1L)) { Known = [(2, 0), (5, 0)] },
        new("three, signed", [S(0.05f), S((sbyte)10), I8([2, 3]), S(0.03f), S((sbyte)12), I8([1, 3], 2), S(0.06f), S((sbyte)7), I8([3, 3], 3), S(0.05f), S((sbyte)10)], n => n.With("axis", -2L)) { Known = [(2, 1), (5, 1), (8, 1)] },
    ];

    private static GradientCase[] Choices8() =>
    [
        new("broadcast", [B([2, 1, 3], true, false, true, false, false, true), U8([2, 4, 3]), S(0.03f), S((byte)120), U8([4, 1], 2), S(0.06f), S((byte)7), S(0.05f), S((byte)100)]),
    ];

    /// <summary>Five tokens of width 32, four experts with a middle of 16.</summary>
    private static GradientCase[] Mixtures8()
    {
        GradientCase Case(string note, long bits, string activation, bool bias = false, long block = 0, bool zeros = false)
        {
            long gates = activation == "swiglu" ? 2 : 1, pack = 8 / bits, first = block > 0 ? 32 / block : 1, second = block > 0 ? Math.Max(1, 16 / block) : 1;
            Tensor Scale(long rows, long blocks, int seed) => F(block > 0 ? [4, rows, blocks] : [4, rows], 0.003f, 0.01f, seed);
            Tensor Point(long rows, long blocks, int seed) => U8(block > 0 ? [4, rows, (blocks + pack - 1) / pack] : [4, (rows + pack - 1) / pack], seed);
            Tensor?[] inputs =
            [
                F([5, 32]), F([5, 4], seed: 2), U8([4, 16 * gates, 32 / pack], 3), Scale(16 * gates, first, 3), bias ? F([4, 16 * gates], seed: 7) : null,
                U8([4, 32, 16 / pack], 4), Scale(32, second, 4), bias ? F([4, 32], seed: 8) : null, null, null, null, zeros ? Point(16 * gates, first, 5) : null, zeros ? Point(32, second, 6) : null,
            ];
            return new(note, [.. inputs.Take(zeros ? 13 : bias ? 8 : 7)], n =>
            {
                n.With("k", 2L).With("activation_type", activation).With("expert_weight_bits", bits).With("normalize_routing_weights", 1L);
                if (block > 0) n.With("block_size", block);
                if (gates > 1) n.With("swiglu_fusion", 1L).With("activation_alpha", 1.702f).With("activation_beta", 1f);
            })
            { Vary = [0], Step = 1e-3f, Tolerance = 1e-3f, Known = [(2, 0), (2, 1), (2, 2), (3, 0), (3, 1), (3, 2), (5, 0), (5, 1), (5, 2), (6, 0), (6, 1), (6, 2)] };
        }
        return
        [
            Case("8 bits, silu", 8, "silu"), Case("4 bits, swiglu, bias", 4, "swiglu", bias: true), Case("4 bits in blocks", 4, "swiglu", block: 16), Case("8 bits in blocks, zero points", 8, "swiglu", block: 16, zeros: true),
        ];
    }

    /// <summary>Three steps of width 5, four hidden numbers; the kernel's rounding of x and h shows in the tolerance.</summary>
    private static GradientCase[] Recurrent8()
    {
        GradientCase Case(string note, long directions, bool columns)
        {
            Tensor Scale(int seed) => F(columns ? [directions, 16] : [directions], 0.003f, 0.006f, seed);
            Tensor Point() => columns ? Tensor.From<sbyte>("z", new sbyte[directions * 16], directions, 16) : Tensor.From<sbyte>("z", new sbyte[directions], directions);
            return new(note, [F([3, 2, 5]), I8([directions, 5, 16], 2), I8([directions, 4, 16], 3), F([directions, 32], -0.3f, 0.3f, 4), null, null, null, null, Scale(5), Point(), Scale(6), Point()],
                n => n.With("hidden_size", 4L).With("direction", directions == 2 ? "bidirectional" : "forward"), 3)
            { Vary = [0, 3], Tolerance = 0.02f, Known = [(0, 2), (1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2), (3, 0), (3, 1), (8, 0), (8, 1), (10, 0), (10, 1)] };
        }
        return [Case("one direction", 1, false), Case("both directions, a scale per column", 2, true)];
    }

    private static GradientCase[] Attention8()
    {
        GradientCase Case(string note, Tensor? mask, Action<Node> attributes) => new(note, [U8([2, 3, 8]), I8([8, 24], 2), F([24]), S(0.01f), S(0.008f), mask, S((byte)128), S((sbyte)0)], n => attributes(n.With("num_heads", 2L)))
        {
            Vary = [2],
            Known = [(0, 2), (1, 0), (1, 1), (2, 0)],
        };
        return
        [
            Case("plain", null, _ => { }) with { Inputs = [U8([2, 3, 8]), I8([8, 24], 2), F([24]), S(0.01f), S(0.008f), null, S((byte)128), S((sbyte)0)] }, Case("causal", null, n => n.With("unidirectional", 1L)), Case("mask", I([2, 3], 1, 1, 1, 1, 1, 0), _ => { }),
            Case("a scale per column", null, _ => { }) with { Inputs = [U8([2, 3, 8]), I8([8, 24], 2), F([24]), S(0.01f), Scales(24), null, S((byte)128), Tensor.From<sbyte>("z", new sbyte[24], 24)] },
        ];
    }

    private static GradientCase[] Embedding8()
    {
        Tensor?[] zeros = [.. Enumerable.Range(0, 5).Select(_ => S((byte)128))], scales = [S(0.01f), S(0.02f), S(0.015f), S(0.01f), S(0.005f)];
        return
        [
            new("all", [I([2, 3], 1, 4, 0, 2, 2, 3), I([2, 3], 0, 1, 1, 0, 0, 1), U8([5, 8]), U8([7, 8], 2), U8([2, 8], 3), U8([8], 4), U8([8], 5), I([2, 3], 1, 1, 1, 1, 1, 0), .. scales, .. zeros], n => n.With("epsilon", 1e-5f), 2) { Vary = [] },
        ];
    }
}
