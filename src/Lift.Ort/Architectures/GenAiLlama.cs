using Lift.Ort.Onnx;

namespace Lift.Ort.Architectures;

/// <summary>
/// The same decoder as ONNX Runtime's GenAI model builder writes it: GroupQueryAttention with rotary embedding and a cache, and norms that take the residual
/// sum along. Inputs: input_ids [batch, sequence], attention_mask [batch, total_sequence], past_key_values.N.key and .value [batch, K, past_sequence, D];
/// outputs: logits, present.N.key and .value [batch, K, total_sequence, D].
/// </summary>
internal sealed class GenAiLlama(LlamaShape shape, ElementType type, int bits) : LlamaBuilder(shape, type, bits)
{
    private const string Domain = "com.microsoft";

    public override Graph Build(bool attentionMask)
    {
        if (Shape.Head % 16 != 0) throw new LiftException($"GroupQueryAttention rotates heads of a multiple of 16 entries, but {Shape.Width} over {Shape.Heads} heads gives {Shape.Head}; choose --heads {Math.Max(1, Shape.Width / 16)} or fewer.");
        var (ids, keep) = Tokens(attentionMask: true, "total_sequence");
        string[] parts = ["key", "value"];
        Var[][] pasts = [.. from i in Enumerable.Range(0, Shape.Layers) select parts.Select(p => Input($"past_key_values.{i}.{p}", Type, new("batch", Shape.KvHeads, "past_sequence", Shape.Head))).ToArray()];
        var (lengths, total) = Lengths(keep!);
        var tables = Tables();

        Var embedding = Weight("model.embed_tokens.weight", Shape.Vocab, Shape.Width);
        Var skip = Add("Gather", "/model/embed_tokens/Gather", [embedding, ids]);
        Var x = Add("SimplifiedLayerNormalization", "/model/layers.0/input_layernorm/LayerNorm", [skip, Ones("model.layers.0.input_layernorm.weight")],
            n => n.With("axis", -1L).With("epsilon", (float)Shape.Epsilon).With("stash_type", 1L));
        for (int i = 0; i < Shape.Layers; i++)
        {
            string layer = $"model.layers.{i}";
            Var attended = Attention(x, $"{layer}.self_attn", pasts[i], i, lengths, total, tables);
            (x, skip) = SkipNorm(skip, attended, $"{layer}.post_attention_layernorm");
            string next = i + 1 < Shape.Layers ? $"model.layers.{i + 1}.input_layernorm" : "model.norm";
            (x, skip) = SkipNorm(skip, Mlp(x, $"{layer}.mlp"), next, last: i + 1 == Shape.Layers);
        }
        Head(x, embedding);
        for (int i = 0; i < Shape.Layers; i++)
            foreach (string part in parts) g.Outputs.Add(new($"present.{i}.{part}", new(Type, new("batch", Shape.KvHeads, "total_sequence", Shape.Head))));
        return g;
    }

    /// <summary>Per row the number of tokens, less one, and the length of the longest row, as int32: what GroupQueryAttention asks for.</summary>
    private (Var Lengths, Var Total) Lengths(Var keep)
    {
        const string name = "/model/attn_mask_reformat";
        Var sum = Add("ReduceSum", $"{name}/ReduceSum", [keep, Constant("second_axis", [1L])], n => n.With("keepdims", 1L));
        Var lengths = Add("Cast", $"{name}/seqlens_k", [Add("Sub", $"{name}/Sub", [sum, Constant("one", 1L)])], n => n.With("to", (long)ElementType.Int32));
        Var columns = Add("Gather", $"{name}/Gather", [Add("Shape", $"{name}/Shape", [keep]), Constant("one", 1L)]);
        return (lengths, Add("Cast", $"{name}/total_sequence_length", [columns], n => n.With("to", (long)ElementType.Int32)));
    }

    private Var Attention(Var x, string name, Var[] past, int layer, Var lengths, Var total, (Var Cos, Var Sin) tables)
    {
        Var[] results = AddMany("GroupQueryAttention", [$"/{name}/GroupQueryAttention", $"present.{layer}.key", $"present.{layer}.value"],
            [Linear(x, $"{name}.q_proj"), Linear(x, $"{name}.k_proj"), Linear(x, $"{name}.v_proj"), past[0], past[1], lengths, total, tables.Cos, tables.Sin],
            n => n.With("num_heads", (long)Shape.Heads).With("kv_num_heads", (long)Shape.KvHeads).With("do_rotary", 1L).With("rotary_interleaved", 0L).With("scale", (float)(1 / Math.Sqrt(Shape.Head))), Domain);
        return Linear(results[0], $"{name}.o_proj");
    }

    /// <summary>The norm of skip + x, and the sum itself.</summary>
    private (Var Norm, Var Sum) SkipNorm(Var skip, Var x, string name, bool last = false)
    {
        string output = $"/{name}/SkipLayerNorm";
        Var[] results = AddMany("SkipSimplifiedLayerNormalization", last ? [output] : [output, "", "", $"{output}/sum"], [skip, x, Ones($"{name}.weight")], n => n.With("epsilon", (float)Shape.Epsilon), Domain);
        return (results[0], results[^1]);
    }
}
