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
}
