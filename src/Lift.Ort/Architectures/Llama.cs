using Lift.Ort.Onnx;

namespace Lift.Ort.Architectures;

/// <summary>
/// Builds a Llama-type decoder out of standard ONNX operators (opset 17): <c>input_ids</c> [batch, sequence] int64 to <c>logits</c>
/// [batch, sequence, vocabulary] float32. Weights carry the names of the public checkpoints and lie as [in, out], so that a layer is one
/// MatMul without a Transpose; grouped queries meet their key-value head by broadcasting, so that no key or value is copied.
/// Letters in comments: B batch, T sequence, W width, K key-value heads, G queries per key-value head, D head size.
/// </summary>
internal sealed class Llama
{
    private readonly LlamaShape shape;
    private readonly ElementType type;
    private readonly Graph g;

    private Llama(LlamaShape shape, ElementType type) => (this.shape, this.type, g) = (shape, type, new Graph { Name = "llama" });

    /// <summary>The graph, its matrices declared but without memory (<see cref="RandomWeights"/> makes their values), its norms 1.</summary>
    /// <param name="type">Type of weights and activations; norms, softmax and logits are computed in float32.</param>
    /// <param name="attentionMask">True adds the input <c>attention_mask</c> [batch, sequence] int64, 1 for tokens and 0 for padding.</param>
    public static Graph Build(LlamaShape shape, ElementType type, bool attentionMask)
    {
        shape.Check();
        return new Llama(shape, type).Build(attentionMask);
    }

    private Graph Build(bool attentionMask)
    {
        Shape batchSequence = new("batch", "sequence");
        var ids = Input("input_ids", batchSequence);
        var keep = attentionMask ? Input("attention_mask", batchSequence) : null;
        var length = Add("Gather", "sequence_length", [Add("Shape", "input_shape", [ids]), Constant("one", 1L)]);
        var positions = Add("Range", "positions", [Constant("zero", 0L), length, Constant("one", 1L)]);
        var rotation = Rotation(positions);
        var mask = Mask(positions, keep);

        Var embedding = Weight("model.embed_tokens.weight", shape.Vocab, shape.Width);
        Var x = Add("Gather", "/model/embed_tokens", [embedding, ids]);
        for (int i = 0; i < shape.Layers; i++)
        {
            string layer = $"model.layers.{i}";
            x = Add("Add", $"/{layer}/attention_sum", [x, Attention(Norm(x, $"{layer}.input_layernorm"), $"{layer}.self_attn", rotation, mask)]);
            x = Add("Add", $"/{layer}/mlp_sum", [x, Mlp(Norm(x, $"{layer}.post_attention_layernorm"), $"{layer}.mlp")]);
        }
        Head(Norm(x, "model.norm"), embedding);
        g.Outputs.Add(new("logits", new(ElementType.Float, new("batch", "sequence", shape.Vocab))));
        return g;
    }

    /// <summary>x / √(mean(x²) + ε) · weight, in float32.</summary>
    private Var Norm(Var x, string name)
    {
        Var wide = Cast(x, $"/{name}/float", ElementType.Float);
        Var square = Add("ReduceMean", $"/{name}/mean_square", [Add("Pow", $"/{name}/square", [wide, Constant("two", 2f)])], n => n.With("axes", [-1L]).With("keepdims", 1L));
        Var root = Add("Sqrt", $"/{name}/root", [Add("Add", $"/{name}/plus_epsilon", [square, Constant("epsilon", (float)shape.Epsilon)])]);
        Var unit = Cast(Add("Div", $"/{name}/unit", [wide, root]), $"/{name}/narrow", type);
        float[] ones = new float[shape.Width];
        Array.Fill(ones, 1f);
        return Add("Mul", $"/{name}", [unit, Known($"{name}.weight", () => RandomWeights.Narrow($"{name}.weight", type, ones, [shape.Width]), isWeight: true)]);
    }

    /// <summary>softmax(q kᵀ / √D + mask) v: scores are [B, K, G, T, T].</summary>
    private Var Attention(Var x, string name, (Var Cos, Var Sin) rotation, Var mask)
    {
        int groups = shape.Heads / shape.KvHeads;
        Var q = Rotate(Heads(Linear(x, $"{name}.q_proj"), $"/{name}/q", groups), $"/{name}/q", rotation);
        Var k = Rotate(Heads(Linear(x, $"{name}.k_proj"), $"/{name}/k", 1), $"/{name}/k", rotation);
        Var v = Heads(Linear(x, $"{name}.v_proj"), $"/{name}/v", 1);
        Var scaled = Add("Mul", $"/{name}/q_scaled", [q, Constant("attention_scale", [(float)(1 / Math.Sqrt(shape.Head))])]);
        Var scores = Add("MatMul", $"/{name}/scores", [scaled, Add("Transpose", $"/{name}/k_transposed", [k], n => n.With("perm", [0L, 1, 2, 4, 3]))]);
        Var masked = Add("Add", $"/{name}/masked", [Cast(scores, $"/{name}/scores_float", ElementType.Float), mask]);
        Var shares = Cast(Add("Softmax", $"/{name}/shares", [masked], n => n.With("axis", -1L)), $"/{name}/shares_narrow", type);
        Var mixed = Add("Transpose", $"/{name}/mixed_by_token", [Add("MatMul", $"/{name}/mixed", [shares, v])], n => n.With("perm", [0L, 3, 1, 2, 4]));
        return Linear(Add("Reshape", $"/{name}/joined", [mixed, Constant("joined_shape", [0L, 0, shape.Width])]), $"{name}.o_proj");
    }

    /// <summary>[B, T, K·G·D] → [B, K, G, T, D]</summary>
    private Var Heads(Var x, string name, int groups)
    {
        Var split = Add("Reshape", $"{name}/split", [x, Constant($"heads_shape_{groups}", [0L, 0, shape.KvHeads, groups, shape.Head])]);
        return Add("Transpose", $"{name}/heads", [split], n => n.With("perm", [0L, 2, 3, 1, 4]));
    }

    /// <summary>Rotate-half RoPE: x · cos + (−x₂, x₁) · sin, where x = (x₁, x₂) along D.</summary>
    private Var Rotate(Var x, string name, (Var Cos, Var Sin) rotation)
    {
        Var[] halves = AddMany("Split", [$"{name}/first_half", $"{name}/second_half"], [x], n => n.With("axis", -1L));
        Var turned = Add("Concat", $"{name}/turned", [Add("Neg", $"{name}/minus_second", [halves[1]]), halves[0]], n => n.With("axis", -1L));
        return Add("Add", $"{name}/rotated", [Add("Mul", $"{name}/cosine_part", [x, rotation.Cos]), Add("Mul", $"{name}/sine_part", [turned, rotation.Sin])]);
    }

    /// <summary>down(silu(gate(x)) · up(x))</summary>
    private Var Mlp(Var x, string name)
    {
        Var gate = Linear(x, $"{name}.gate_proj");
        Var open = Add("Mul", $"/{name}/silu", [gate, Add("Sigmoid", $"/{name}/sigmoid", [gate])]);
        return Linear(Add("Mul", $"/{name}/gated", [open, Linear(x, $"{name}.up_proj")]), $"{name}.down_proj");
    }

    private Var Linear(Var x, string name)
    {
        var (_, rows, columns) = shape.Linears.Single(l => name.EndsWith(l.Name, StringComparison.Ordinal));
        return Add("MatMul", $"/{name}", [x, Weight($"{name}.weight", rows, columns)]);
    }

    /// <summary>A tied head multiplies by the embedding as it lies (Gemm with transB): a Transpose would copy the largest weight in every step.</summary>
    private void Head(Var x, Var embedding)
    {
        bool wide = type == ElementType.Float;
        string name = wide ? "logits" : "/lm_head/narrow";
        if (shape.Tied)
        {
            Var rows = Add("Reshape", "/lm_head/rows", [x, Constant("rows_shape", [-1L, shape.Width])]);
            Var flat = Add("Gemm", "/lm_head/flat", [rows, embedding], n => n.With("transB", 1L));
            Var dims = Add("Concat", "/lm_head/shape", [g.Var("input_shape"), Constant("vocabulary", [(long)shape.Vocab])], n => n.With("axis", 0L));
            x = Add("Reshape", name, [flat, dims]);
        }
        else
        {
            x = Add("MatMul", name, [x, Weight("lm_head.weight", shape.Width, shape.Vocab)]);
        }
        Cast(x, "logits", ElementType.Float);
    }

    /// <summary>cos(t / θ^(2i/D)) and sin, [T, D], both halves of D equal; float32 until the end.</summary>
    private (Var Cos, Var Sin) Rotation(Var positions)
    {
        float[] frequencies = [.. Enumerable.Range(0, shape.Head / 2).Select(i => (float)Math.Pow(shape.Theta, -2.0 * i / shape.Head))];
        Var time = Add("Unsqueeze", "/rope/time", [Add("Cast", "/rope/positions", [positions], n => n.With("to", (long)ElementType.Float)), Constant("/rope/axis", [1L])]);
        Var half = Add("Mul", "/rope/half_angles", [time, Known("/rope/frequencies", () => Tensor.From<float>("/rope/frequencies", frequencies, frequencies.Length))]);
        Var angles = Add("Concat", "/rope/angles", [half, half], n => n.With("axis", 1L));
        return (Cast(Add("Cos", "/rope/cos", [angles]), "/rope/cos_narrow", type), Cast(Add("Sin", "/rope/sin", [angles]), "/rope/sin_narrow", type));
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

    private Var Input(string name, Shape dims)
    {
        g.Inputs.Add(new(name, new(ElementType.Int64, dims)));
        g.Types[name] = g.Inputs[^1].Type;
        return g.Var(name);
    }

    private Var Weight(string name, params long[] dims) => Known(name, () => RandomWeights.Declare(name, type, dims), isWeight: true);

    private Var Constant(string name, long value) => Known(name, () => Tensor.From(name, [value]));

    private Var Constant(string name, float value) => Known(name, () => Tensor.From(name, [value]));

    private Var Constant(string name, long[] values) => Known(name, () => Tensor.From(name, values, values.Length));

    /// <summary>Numbers that meet activations: stored in the activations' type.</summary>
    private Var Constant(string name, float[] values, params long[] dims) => Known(name, () => RandomWeights.Narrow(name, type, values, dims));

    private Var Known(string name, Func<Tensor> make, bool isWeight = false)
    {
        if (!g.Initializers.ContainsKey(name))
        {
            Tensor tensor = make();
            if (!isWeight) g.Constants.Add(name);
            g.Initializers.Add(name, tensor);
            g.Types[name] = tensor.TensorType;
        }
        return g.Var(name);
    }

    private Var Cast(Var x, string name, ElementType to) =>
        type == ElementType.Float ? x : Add("Cast", name, [x], n => n.With("to", (long)to));

    private Var Add(string op, string output, Var[] inputs, Action<Node>? attributes = null) => AddMany(op, [output], inputs, attributes)[0];

    private Var[] AddMany(string op, string[] outputs, Var[] inputs, Action<Node>? attributes = null)
    {
        var node = new Node(op, "", inputs.Select(v => v.Name), outputs, outputs[0]);
        attributes?.Invoke(node);
        g.Nodes.Add(node);
        ShapeInference.Infer(g, node);
        return [.. outputs.Select(g.Var)];
    }
}
