using Lift.Ort.Onnx;

namespace Lift.Ort.Architectures;

/// <summary>
/// Builds a Llama-type decoder out of standard ONNX operators (opset 17): <c>input_ids</c> [batch, sequence] int64 to <c>logits</c>
/// [batch, sequence, vocabulary] float32. Weights carry the names of the public checkpoints and lie as [in, out], so that a layer is one
/// MatMul without a Transpose; grouped queries meet their key-value head by broadcasting, so that no key or value is copied.
/// Letters in comments: B batch, T sequence, W width, K key-value heads, G queries per key-value head, D head size.
/// </summary>
internal sealed class Llama(LlamaShape shape, ElementType type, int bits) : LlamaBuilder(shape, type, bits)
{
    public override Graph Build(bool attentionMask)
    {
        var (ids, keep) = Tokens(attentionMask);
        var length = Add("Gather", "sequence_length", [g.Var("input_shape"), Constant("one", 1L)]);
        var positions = Add("Range", "positions", [Constant("zero", 0L), length, Constant("one", 1L)]);
        var rotation = Rotation(positions);
        var mask = Mask(positions, keep);

        Var embedding = Weight("model.embed_tokens.weight", Shape.Vocab, Shape.Width);
        Var x = Add("Gather", "/model/embed_tokens", [embedding, ids]);
        for (int i = 0; i < Shape.Layers; i++)
        {
            string layer = $"model.layers.{i}";
            x = Add("Add", $"/{layer}/attention_sum", [x, Attention(Norm(x, $"{layer}.input_layernorm"), $"{layer}.self_attn", rotation, mask)]);
            x = Add("Add", $"/{layer}/mlp_sum", [x, Mlp(Norm(x, $"{layer}.post_attention_layernorm"), $"{layer}.mlp")]);
        }
        Head(Norm(x, "model.norm"), embedding);
        return g;
    }

    /// <summary>x / √(mean(x²) + ε) · weight, in float32.</summary>
    private Var Norm(Var x, string name)
    {
        Var wide = Cast(x, $"/{name}/float", ElementType.Float);
        Var square = Add("ReduceMean", $"/{name}/mean_square", [Add("Pow", $"/{name}/square", [wide, Constant("two", 2f)])], n => n.With("axes", [-1L]).With("keepdims", 1L));
        Var root = Add("Sqrt", $"/{name}/root", [Add("Add", $"/{name}/plus_epsilon", [square, Constant("epsilon", (float)Shape.Epsilon)])]);
        Var unit = Cast(Add("Div", $"/{name}/unit", [wide, root]), $"/{name}/narrow", Type);
        return Add("Mul", $"/{name}", [unit, Ones($"{name}.weight")]);
    }

    /// <summary>softmax(q kᵀ / √D + mask) v: scores are [B, K, G, T, T].</summary>
    private Var Attention(Var x, string name, (Var Cos, Var Sin) rotation, Var mask)
    {
        int groups = Shape.Heads / Shape.KvHeads;
        Var q = Rotate(Heads(Linear(x, $"{name}.q_proj"), $"/{name}/q", groups), $"/{name}/q", rotation);
        Var k = Rotate(Heads(Linear(x, $"{name}.k_proj"), $"/{name}/k", 1), $"/{name}/k", rotation);
        Var v = Heads(Linear(x, $"{name}.v_proj"), $"/{name}/v", 1);
        Var scaled = Add("Mul", $"/{name}/q_scaled", [q, Constant("attention_scale", [(float)(1 / Math.Sqrt(Shape.Head))])]);
        Var scores = Add("MatMul", $"/{name}/scores", [scaled, Add("Transpose", $"/{name}/k_transposed", [k], n => n.With("perm", [0L, 1, 2, 4, 3]))]);
        Var masked = Add("Add", $"/{name}/masked", [Cast(scores, $"/{name}/scores_float", ElementType.Float), mask]);
        Var shares = Cast(Add("Softmax", $"/{name}/shares", [masked], n => n.With("axis", -1L)), $"/{name}/shares_narrow", Type);
        Var mixed = Add("Transpose", $"/{name}/mixed_by_token", [Add("MatMul", $"/{name}/mixed", [shares, v])], n => n.With("perm", [0L, 3, 1, 2, 4]));
        return Linear(Add("Reshape", $"/{name}/joined", [mixed, Constant("joined_shape", [0L, 0, Shape.Width])]), $"{name}.o_proj");
    }

    /// <summary>[B, T, K·G·D] → [B, K, G, T, D]</summary>
    private Var Heads(Var x, string name, int groups)
    {
        Var split = Add("Reshape", $"{name}/split", [x, Constant($"heads_shape_{groups}", [0L, 0, Shape.KvHeads, groups, Shape.Head])]);
        return Add("Transpose", $"{name}/heads", [split], n => n.With("perm", [0L, 2, 3, 1, 4]));
    }

    /// <summary>Rotate-half RoPE: x · cos + (−x₂, x₁) · sin, where x = (x₁, x₂) along D.</summary>
    private Var Rotate(Var x, string name, (Var Cos, Var Sin) rotation)
    {
        Var[] halves = AddMany("Split", [$"{name}/first_half", $"{name}/second_half"], [x], n => n.With("axis", -1L));
        Var turned = Add("Concat", $"{name}/turned", [Add("Neg", $"{name}/minus_second", [halves[1]]), halves[0]], n => n.With("axis", -1L));
        return Add("Add", $"{name}/rotated", [Add("Mul", $"{name}/cosine_part", [x, rotation.Cos]), Add("Mul", $"{name}/sine_part", [turned, rotation.Sin])]);
    }

    /// <summary>cos(t / θ^(2i/D)) and sin, [T, D], both halves of D equal; float32 until the end.</summary>
    private (Var Cos, Var Sin) Rotation(Var positions)
    {
        float[] frequencies = [.. Enumerable.Range(0, Shape.Head / 2).Select(i => (float)Math.Pow(Shape.Theta, -2.0 * i / Shape.Head))];
        Var time = Add("Unsqueeze", "/rope/time", [Add("Cast", "/rope/positions", [positions], n => n.With("to", (long)ElementType.Float)), Constant("/rope/axis", [1L])]);
        Var half = Add("Mul", "/rope/half_angles", [time, Known("/rope/frequencies", () => Tensor.From<float>("/rope/frequencies", frequencies, frequencies.Length))]);
        Var angles = Add("Concat", "/rope/angles", [half, half], n => n.With("axis", 1L));
        return (Cast(Add("Cos", "/rope/cos", [angles]), "/rope/cos_narrow", Type), Cast(Add("Sin", "/rope/sin", [angles]), "/rope/sin_narrow", Type));
    }

    /// <summary>0 where a token may look, float32's lowest number where it may not: [T, T], or [B, 1, 1, T, T] with padding.</summary>
    private Var Mask(Var positions, Var? keep)
    {
        Var allowed = Add("LessOrEqual", "causal",
            [Add("Unsqueeze", "key_positions", [positions, Constant("first_axis", [0L])]), Add("Unsqueeze", "query_positions", [positions, Constant("second_axis", [1L])])]);
        if (keep is not null)
        {
            Var tokens = Add("Unsqueeze", "kept_keys", [Add("Cast", "kept", [keep], n => n.With("to", (long)ElementType.Bool)), Constant("middle_axes", [1L, 2, 3])]);
            allowed = Add("And", "allowed", [tokens, allowed]);
        }
        return Add("Where", "attention_bias", [allowed, Constant("nothing", 0f), Constant("lowest", float.MinValue)]);
    }
}
