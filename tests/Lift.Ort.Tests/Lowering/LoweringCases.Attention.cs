using Lift.Ort.Onnx;
using Lift.Ort.Tests.Gradients;
using static Lift.Ort.Tests.Gradients.CaseData;

namespace Lift.Ort.Tests.Lowering;

/// <summary>Attention in its fused forms: B = 2, S = 4 or 3, head size 16.</summary>
internal static partial class LoweringCases
{
    private static GradientCase[] GroupQuery()
    {
        Action<Node> Grouped(long heads, long shared, Action<Node>? more = null) => n =>
        {
            n.With("num_heads", heads).With("kv_num_heads", shared);
            more?.Invoke(n);
        };
        // query [2, 4, N·16], key and value [2, 4, K·16], no past, all four tokens
        Tensor?[] Prompt(long heads, long shared, params Tensor?[] rest) =>
            [F([2, 4, heads * 16]), F([2, 4, shared * 16], seed: 2), F([2, 4, shared * 16], seed: 3), null, null, I(3, 3), S(4), .. rest];
        Tensor?[] Wide(params Tensor?[] rest) => [F([2, 4, 4 * 32]), F([2, 4, 2 * 32], seed: 2), F([2, 4, 2 * 32], seed: 3), null, null, I(3, 3), S(4), .. rest];
        Tensor?[] Packed(params Tensor?[] rest) => [F([2, 4, 8 * 16]), null, null, null, null, I(3, 3), S(4), .. rest];
        // three past tokens in row 0 and in row 1, two new ones
        Tensor?[] Continued(int tokens, params Tensor?[] rest) =>
            [F([2, tokens, 64]), F([2, tokens, 32], seed: 2), F([2, tokens, 32], seed: 3), F([2, 2, 3, 16], seed: 4), F([2, 2, 3, 16], seed: 5), I(2 + tokens, 2 + tokens), S(3 + tokens), .. rest];
        Tensor cos = F([10, 8], -1, 1, 6), sin = F([10, 8], -1, 1, 7);
        Action<Node> rotary = n => n.With("do_rotary", 1L);
        return
        [
            new("grouped", Prompt(4, 2), Grouped(4, 2), 3), new("one head each", Prompt(2, 2), Grouped(2, 2), 3), new("one shared head", Prompt(4, 1), Grouped(4, 1), 3),
            new("packed", Packed(), Grouped(4, 2), 3), new("packed, rotary", Packed(cos, sin), Grouped(4, 2, rotary), 3),
            new("rotary", Prompt(4, 2, cos, sin), Grouped(4, 2, rotary), 3), new("rotary interleaved", Prompt(4, 2, cos, sin), Grouped(4, 2, n => n.With("do_rotary", 1L).With("rotary_interleaved", 1L)), 3),
            new("rotary of half a head", Wide(F([10, 8], -1, 1, 6), F([10, 8], -1, 1, 7)), Grouped(4, 2, rotary), 3),
            new("rotary of half a head, interleaved", Wide(F([10, 8], -1, 1, 6), F([10, 8], -1, 1, 7)), Grouped(4, 2, n => n.With("do_rotary", 1L).With("rotary_interleaved", 1L)), 3),
            new("rotary of one head each", Prompt(2, 2, cos, sin), Grouped(2, 2, rotary), 3),
            new("position ids", Prompt(4, 2, cos, sin, L([2, 4], 3, 4, 5, 6, 3, 4, 5, 6)), Grouped(4, 2, rotary), 3),
            new("scale", Prompt(4, 2), Grouped(4, 2, n => n.With("scale", 0.7f)), 3), new("softcap", Prompt(4, 2), Grouped(4, 2, n => n.With("softcap", 1.5f)), 3),
            new("window", Prompt(4, 2), Grouped(4, 2, n => n.With("local_window_size", 2L)), 3), new("smooth", Prompt(4, 2), Grouped(4, 2, n => n.With("smooth_softmax", 1L)), 3),
            new("sink", Prompt(4, 2, null, null, null, null, F([4], seed: 9)), Grouped(4, 2), 3),
            new("bias", Prompt(4, 2, null, null, null, F([1, 4, 4, 4], seed: 8)), Grouped(4, 2), 3), new("bias of the batch", Prompt(4, 2, null, null, null, F([2, 1, 4, 4], seed: 8)), Grouped(4, 2), 3),
            new("bias and softcap", Prompt(4, 2, null, null, null, F([1, 1, 4, 4], seed: 8)), Grouped(4, 2, n => n.With("softcap", 1.5f)), 3),
            new("padded behind", [F([2, 4, 64]), F([2, 4, 32], seed: 2), F([2, 4, 32], seed: 3), null, null, I(3, 2), S(4)], Grouped(4, 2), 3) { NotCompared = [1, 2], Compared = ..448 },
            new("past of two lengths", [F([2, 1, 64]), F([2, 1, 32], seed: 2), F([2, 1, 32], seed: 3), F([2, 2, 3, 16], seed: 4), F([2, 2, 3, 16], seed: 5), I(3, 2), S(4), cos, sin], Grouped(4, 2, rotary), 3) { NotCompared = [1, 2] },
            new("past with ids", Continued(1, cos, sin, L([2, 1], 5, 3)), Grouped(4, 2, rotary), 3),
            new("lengths as a column", [F([2, 4, 64]), F([2, 4, 32], seed: 2), F([2, 4, 32], seed: 3), null, null, I([2, 1], 3, 3), S(4)], Grouped(4, 2), 3),
            new("empty past", [F([2, 4, 64]), F([2, 4, 32], seed: 2), F([2, 4, 32], seed: 3), F([2, 2, 0, 16]), F([2, 2, 0, 16]), I(3, 3), S(4), cos, sin], Grouped(4, 2, rotary), 3) { Vary = [0, 1, 2] },
            new("two more tokens", [F([1, 2, 64]), F([1, 2, 32], seed: 2), F([1, 2, 32], seed: 3), F([1, 2, 3, 16], seed: 4), F([1, 2, 3, 16], seed: 5), I(4), S(5), cos, sin], Grouped(4, 2, rotary), 3), new("past", Continued(1), Grouped(4, 2), 3), new("past, rotary", Continued(1, cos, sin), Grouped(4, 2, rotary), 3), new("past, window", Continued(1), Grouped(4, 2, n => n.With("local_window_size", 2L)), 3),
            new("shares", Prompt(4, 2), Grouped(4, 2, n => n.With("qk_output", 2L)), 4),
        ];
    }

    private static GradientCase[] MultiHead()
    {
        Action<Node> Two(Action<Node>? more = null) => n =>
        {
            n.With("num_heads", 2L);
            more?.Invoke(n);
        };
        // two heads of 4, three queries, five keys
        Tensor?[] Cross(params Tensor?[] rest) => [F([2, 3, 8]), F([2, 5, 8], seed: 2), F([2, 5, 8], seed: 3), .. rest];
        Tensor?[] Self(params Tensor?[] rest) => [F([2, 3, 8]), F([2, 3, 8], seed: 2), F([2, 3, 8], seed: 3), .. rest];
        Tensor?[] Past(params Tensor?[] rest) => [.. Self(), .. rest, F([2, 2, 4, 4], seed: 4), F([2, 2, 4, 4], seed: 5)];
        return
        [
            new("cross", Cross(), Two()), new("wide values", [F([2, 3, 8]), F([2, 5, 8], seed: 2), F([2, 5, 12], seed: 3)], Two()), new("scale", Cross(), Two(n => n.With("scale", 0.3f))),
            new("bias", Cross(F([24])), Two()), new("wide values, bias", [F([2, 3, 8]), F([2, 5, 8], seed: 2), F([2, 5, 12], seed: 3), F([28])], Two()),
            new("lengths", Cross(null, I(5, 3)), Two()), new("mask of keys", Cross(null, I([2, 5], 1, 1, 1, 1, 1, 0, 1, 1, 1, 0)), Two()),
            new("mask of queries and keys", Cross(null, I([2, 3, 5], [.. Enumerable.Range(0, 30).Select(i => i % 4 == 1 ? 0 : 1)])), Two()),
            new("filter", Cross(null, I([2, 5], 1, 1, 1, 1, 1, 0, 1, 1, 1, 0)), Two(n => n.With("mask_filter_value", -2.5f))),
            new("attention bias", Cross(null, null, F([1, 2, 3, 5], seed: 6)), Two()), new("attention bias of the batch", Cross(null, null, F([2, 1, 3, 5], seed: 6)), Two()),
            new("causal", Self(), Two(n => n.With("unidirectional", 1L))), new("causal, mask, bias", Self(F([24]), I([2, 3], 1, 1, 1, 0, 1, 1), F([1, 1, 3, 3], seed: 6)), Two(n => n.With("unidirectional", 1L))),
            new("past", Past(null, null, null), Two(), 3), new("past, causal", Past(null, null, null), Two(n => n.With("unidirectional", 1L)), 3),
            new("past, bias, mask", Past(F([24]), I([2, 7], 1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1), null), Two(), 3),
            new("keys by head", [F([2, 3, 8]), F([2, 2, 5, 4], seed: 2), F([2, 2, 5, 4], seed: 3)], Two()),
            new("presents", Self(), Two(), 3), .. PackedHeads(), new("one query", [F([2, 1, 8]), F([2, 5, 8], seed: 2), F([2, 5, 8], seed: 3)], Two()),
        ];
    }

    private static GradientCase[] WithProjection()
    {
        Action<Node> Two(Action<Node>? more = null) => n =>
        {
            n.With("num_heads", 2L);
            more?.Invoke(n);
        };
        Tensor?[] Plain(params Tensor?[] rest) => [F([2, 3, 6]), F([6, 24], seed: 2), F([24], seed: 3), .. rest];
        return
        [
            new("plain", Plain(), Two()), new("sizes", [F([2, 3, 6]), F([6, 28], seed: 2), F([28], seed: 3)], Two(n => n.With("qkv_hidden_sizes", [8L, 8, 12]))), new("scale", Plain(), Two(n => n.With("scale", 0.3f))),
            new("causal", Plain(), Two(n => n.With("unidirectional", 1L))), new("lengths", Plain(I(3, 2)), Two()), new("ends and begins", Plain(I(3, 3, 0, 1)), Two()),
            new("mask of keys", Plain(I([2, 3], 1, 1, 0, 0, 1, 1)), Two()), new("mask of queries and keys", Plain(I([2, 3, 3], [.. Enumerable.Range(0, 18).Select(i => i % 4 == 1 ? 0 : 1)])), Two()),
            new("filter", Plain(I([2, 3], 1, 1, 0, 0, 1, 1)), Two(n => n.With("mask_filter_value", -2.5f))), new("attention bias", Plain(null, null, F([1, 2, 3, 3], seed: 6)), Two()),
            new("causal, lengths, bias", Plain(I(3, 2), null, F([2, 1, 3, 3], seed: 6)), Two(n => n.With("unidirectional", 1L))),
            new("present", Plain(), Two(), 2), new("past", Plain(null, F([2, 2, 2, 4, 4], seed: 5)), Two(n => n.With("unidirectional", 1L)), 2),
            new("past, mask", Plain(I([2, 7], 1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1), F([2, 2, 2, 4, 4], seed: 5)), Two(n => n.With("unidirectional", 1L)), 2),
        ];
    }

    private static GradientCase[] Standard()
    {
        Action<Node> Flat(long heads, long shared, Action<Node>? more = null) => n =>
        {
            n.With("q_num_heads", heads).With("kv_num_heads", shared);
            more?.Invoke(n);
        };
        Tensor?[] Heads(params Tensor?[] rest) => [F([2, 4, 3, 4]), F([2, 4, 5, 4], seed: 2), F([2, 4, 5, 4], seed: 3), .. rest];
        Tensor?[] Grouped(params Tensor?[] rest) => [F([2, 4, 3, 4]), F([2, 2, 5, 4], seed: 2), F([2, 2, 5, 6], seed: 3), .. rest];
        Tensor?[] Self(params Tensor?[] rest) => [F([2, 4, 3, 4]), F([2, 2, 3, 4], seed: 2), F([2, 2, 3, 4], seed: 3), .. rest];
        Tensor?[] Past(Tensor? mask) => Self(mask, F([2, 2, 4, 4], seed: 4), F([2, 2, 4, 4], seed: 5));
        Tensor some = B([3, 5], [.. Enumerable.Range(0, 15).Select(i => i % 4 != 1)]);
        Action<Node> causal = n => n.With("is_causal", 1L);
        GradientCase[] cases =
        [
            new("heads", Heads()), new("grouped, wide values", Grouped()), new("scale", Grouped(), n => n.With("scale", 0.3f)), new("softcap", Grouped(), n => n.With("softcap", 1.5f)),
            new("flat", [F([2, 3, 16]), F([2, 5, 16], seed: 2), F([2, 5, 16], seed: 3)], Flat(4, 4)), new("flat, grouped", [F([2, 3, 16]), F([2, 5, 8], seed: 2), F([2, 5, 12], seed: 3)], Flat(4, 2)),
            new("causal", Self(), causal), new("causal, more keys", Grouped(), causal), new("causal, flat", [F([2, 3, 16]), F([2, 3, 16], seed: 2), F([2, 3, 16], seed: 3)], Flat(4, 4, causal)),
            new("bools", Grouped(some)), new("floats", Grouped(F([3, 5], seed: 7))), new("floats of rank 3", Grouped(F([4, 3, 5], seed: 7))), new("floats of rank 4", Grouped(F([2, 1, 3, 5], seed: 7))), new("floats per head", Grouped(F([1, 4, 3, 5], seed: 7))),
            new("floats and softcap", Grouped(F([3, 5], seed: 7)), n => n.With("softcap", 1.5f)), new("causal and bools", Self(B([3, 3], true, true, true, true, true, false, true, true, true)), causal),
            new("past", Past(null), Outputs: 3), new("past, causal", Past(null), causal, 3), new("past, floats", Past(F([3, 7], seed: 7)), Outputs: 3),
            .. Enumerable.Range(0, 4).Select(mode => new GradientCase($"scores {mode}", Self(F([3, 3], seed: 7)), n => n.With("softcap", 1.5f).With("qk_matmul_output_mode", (long)mode), 4) { Absent = [1, 2] }),
        ];
        return
        [
            .. cases.Select(c => c with { Opset = 23, Known = [(0, 1), (1, 1)] }),
            new("lengths", [F([2, 4, 3, 4]), F([2, 2, 5, 4], seed: 2), F([2, 2, 5, 4], seed: 3), null, null, null, L(5, 3)], Opset: 24) { Known = [(0, 1), (1, 1)] },
        ];
    }

    private static GradientCase[] Rotary()
    {
        Tensor cos = F([10, 4], -1, 1, 6), sin = F([10, 4], -1, 1, 7);
        Tensor ids = L([2, 3], 1, 2, 3, 5, 6, 7);
        Action<Node> interleaved = n => n.With("interleaved", 1L), half = n => n.With("rotary_embedding_dim", 8L).With("num_heads", 2L);
        GradientCase[] cases =
        [
            new("flat", [F([2, 3, 16]), ids, cos, sin]), new("by head", [F([2, 2, 3, 8]), ids, cos, sin]), new("first position", [F([2, 3, 16]), L(4), cos, sin]), new("first position, by head", [F([2, 2, 3, 8]), L(4), cos, sin]),
            new("interleaved", [F([2, 3, 16]), ids, cos, sin], interleaved), new("interleaved, by head", [F([2, 2, 3, 8]), L(4), cos, sin], interleaved), new("num_heads", [F([2, 3, 16]), ids, cos, sin], n => n.With("num_heads", 2L)),
            new("half", [F([2, 3, 32]), ids, cos, sin], half), new("half, by head", [F([2, 2, 3, 16]), L(4), cos, sin], half), new("half, interleaved", [F([2, 3, 32]), ids, cos, sin], half + interleaved),
        ];
        return [.. cases.Select(c => c with { Known = [(2, 1)] })];
    }

    private static GradientCase[] StandardRotary()
    {
        Tensor cos = F([10, 4], -1, 1, 6), sin = F([10, 4], -1, 1, 7), ids = L([2, 3], 1, 2, 3, 5, 6, 7);
        Tensor rowsCos = F([2, 3, 4], -1, 1, 6), rowsSin = F([2, 3, 4], -1, 1, 7);
        Action<Node> interleaved = n => n.With("interleaved", 1L), heads = n => n.With("num_heads", 2L), half = n => n.With("rotary_embedding_dim", 8L);
        GradientCase[] cases =
        [
            new("by head", [F([2, 2, 3, 8]), cos, sin, ids]), new("flat", [F([2, 3, 16]), cos, sin, ids], heads), new("rows", [F([2, 2, 3, 8]), rowsCos, rowsSin]), new("rows, flat", [F([2, 3, 16]), rowsCos, rowsSin], heads),
            new("interleaved", [F([2, 2, 3, 8]), cos, sin, ids], interleaved), new("interleaved, flat", [F([2, 3, 16]), rowsCos, rowsSin], heads + interleaved),
            new("half", [F([2, 2, 3, 16]), cos, sin, ids], half), new("half, flat, interleaved", [F([2, 3, 32]), cos, sin, ids], heads + half + interleaved),
        ];
        return [.. cases.Select(c => c with { Opset = 23 })];
    }

    private static GradientCase[] Gemma()
    {
        Tensor e = F([2, 3, 8]), q = F([2, 4, 3, 8], seed: 2), turnedQ = F([2, 4, 3, 8], seed: 3), k = F([2, 1, 3, 8], seed: 4), turnedK = F([2, 1, 3, 8], seed: 5);
        float[] Rotated(Tensor x, Tensor turned)
        {
            float[] angles = e.ToFloats(), a = x.ToFloats(), b = turned.ToFloats();
            long perBatch = x.Count / 2;
            return [.. a.Select((v, i) => (int)(i / perBatch * 24 + i % 24)).Select((at, i) => a[i] * MathF.Cos(angles[at]) + b[i] * MathF.Sin(angles[at]))];
        }
        return [new("plain", [e, q, turnedQ, k, turnedK], Outputs: 2) { Expected = () => new Dictionary<string, float[]> { ["y"] = Rotated(q, turnedQ), ["y.1"] = Rotated(k, turnedK) } }];
    }

    /// <summary>Packed queries, keys and values have no processor kernel; what they mean is the same node with three inputs.</summary>
    private static IEnumerable<GradientCase> PackedHeads()
    {
        Tensor q = F([2, 3, 8]), k = F([2, 3, 8], seed: 2), v = F([2, 3, 8], seed: 3), bias = F([24]), mask = I([2, 3], 1, 1, 0, 0, 1, 1);
        Tensor Pack(params Tensor[] parts)
        {
            float[][] values = [.. parts.Select(p => p.ToFloats())];
            float[] packed = [.. from row in Enumerable.Range(0, 6) from head in Enumerable.Range(0, 2) from part in values from i in Enumerable.Range(0, 4) select part[row * 8 + head * 4 + i]];
            return Tensor.From<float>("x", packed, 2, 3, 2, parts.Length, 4);
        }
        Action<Node> two = n => n.With("num_heads", 2L);
        Func<IReadOnlyDictionary<string, float[]>> Unpacked(params Tensor?[] rest) => () => LoweringCheck.Outputs("com.microsoft.MultiHeadAttention", new("unpacked", [q, k, v, .. rest], two));
        yield return new("packed", [Pack(q, k, v)], two) { Expected = Unpacked() };
        yield return new("packed, bias, mask", [Pack(q, k, v), null, null, bias, mask], two) { Expected = Unpacked(bias, mask) };
        yield return new("packed keys and values", [q, Pack(k, v)], two) { Expected = Unpacked() };
    }
}
