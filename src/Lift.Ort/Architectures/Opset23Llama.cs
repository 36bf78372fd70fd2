using Lift.Ort.Onnx;

namespace Lift.Ort.Architectures;

/// <summary>The same decoder in the operators of opset 23: Attention, RotaryEmbedding and RMSNormalization, as PyTorch's exporter writes it for that opset.</summary>
internal sealed class Opset23Llama(LlamaShape shape, ElementType type, int bits) : LlamaBuilder(shape, type, bits)
{
    public override Graph Build(bool attentionMask)
    {
        (g.Opset, g.IrVersion) = (23, 11);
        var (ids, keep) = Tokens(attentionMask);
        Var length = Add("Gather", "sequence_length", [g.Var("input_shape"), Constant("one", 1L)]);
        Var steps = Add("Range", "steps", [Constant("zero", 0L), length, Constant("one", 1L)]);
        Var positions = Add("Expand", "positions", [steps, g.Var("input_shape")]);
        Var? mask = keep is null ? null : Mask(keep, length);
        var tables = Tables();

        Var embedding = Weight("model.embed_tokens.weight", Shape.Vocab, Shape.Width);
        Var x = Add("Gather", "/model/embed_tokens/Gather", [embedding, ids]);
        for (int i = 0; i < Shape.Layers; i++)
        {
            string layer = $"model.layers.{i}";
            x = Add("Add", $"/{layer}/attention_sum", [x, Attention(Norm(x, $"{layer}.input_layernorm"), $"{layer}.self_attn", positions, tables, mask)]);
            x = Add("Add", $"/{layer}/mlp_sum", [x, Mlp(Norm(x, $"{layer}.post_attention_layernorm"), $"{layer}.mlp")]);
        }
        Head(Norm(x, "model.norm"), embedding);
        return g;
    }

    /// <summary>True for keys that are no padding, [batch, 1, sequence, sequence]; Attention itself keeps to earlier keys.</summary>
    private Var Mask(Var keep, Var length)
    {
        Var keys = Add("Unsqueeze", "attention_mask/by_head", [Add("Cast", "attention_mask/bool", [keep], n => n.With("to", (long)ElementType.Bool)), Constant("middle_axes", [1L, 2])]);
        Var rows = Add("Concat", "attention_mask/shape", [Constant("ones", [1L, 1]), Add("Unsqueeze", "attention_mask/length", [length, Constant("first_axis", [0L])]), Constant("one_row", [1L])], n => n.With("axis", 0L));
        return Add("Expand", "attention_mask/by_query", [keys, rows]);
    }

    private Var Norm(Var x, string name) => Add("RMSNormalization", $"/{name}", [x, Ones($"{name}.weight")], n => n.With("epsilon", (float)Shape.Epsilon));

    private Var Attention(Var x, string name, Var positions, (Var Cos, Var Sin) tables, Var? mask)
    {
        Var Rotated(string part, int heads) =>
            Add("RotaryEmbedding", $"/{name}/{part}_rotated", [Linear(x, $"{name}.{part}_proj"), tables.Cos, tables.Sin, positions], n => n.With("num_heads", (long)heads));
        Var y = Add("Attention", $"/{name}/Attention", [Rotated("q", Shape.Heads), Rotated("k", Shape.KvHeads), Linear(x, $"{name}.v_proj"), mask],
            n => n.With("is_causal", 1L).With("q_num_heads", (long)Shape.Heads).With("kv_num_heads", (long)Shape.KvHeads));
        return Linear(y, $"{name}.o_proj");
    }
}
