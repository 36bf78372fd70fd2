using Lift.Ort.Onnx;

namespace Lift.Ort.Architectures;

/// <summary>
/// What all forms of a Llama-type decoder have in common: inputs, weights under the names of the public checkpoints, stored [in, out] so that a layer is one
/// product without a Transpose, the gated unit and the head.
/// </summary>
/// <param name="type">Type of weights and activations.</param>
/// <param name="bits">4 stores the matrices of the layers in blocks of 32 four-bit numbers (MatMulNBits); 0 as they are.</param>
internal abstract class LlamaBuilder(LlamaShape shape, ElementType type, int bits)
{
    /// <summary>Numbers that share one scale.</summary>
    public const int Block = 32;

    /// <summary>Rows of a table of angles: the longest sequence.</summary>
    protected const int Positions = 4096;

    protected readonly Graph g = new() { Name = "llama" };

    protected LlamaShape Shape => shape;

    protected ElementType Type => type;

    /// <summary>The graph, its matrices declared but without memory (<see cref="RandomWeights"/> makes their values), its norms 1.</summary>
    public abstract Graph Build(bool attentionMask);

    /// <summary>Inputs <c>input_ids</c> [batch, sequence] and, where asked for, <c>attention_mask</c> of <paramref name="width"/> columns, int64; their shape as a value.</summary>
    protected (Var Ids, Var? Keep) Tokens(bool attentionMask, string width = "sequence")
    {
        Var ids = Input("input_ids", ElementType.Int64, new("batch", "sequence"));
        Var? keep = attentionMask ? Input("attention_mask", ElementType.Int64, new("batch", width)) : null;
        Add("Shape", "input_shape", [ids]);
        return (ids, keep);
    }

    /// <summary>cos and sin of position / θ^(2i/D), [Positions, D/2].</summary>
    protected (Var Cos, Var Sin) Tables()
    {
        int half = shape.Head / 2;
        float[] Values(Func<double, double> turn) => [.. from t in Enumerable.Range(0, Positions) from i in Enumerable.Range(0, half) select (float)turn(t * Math.Pow(shape.Theta, -2.0 * i / shape.Head))];
        return (Constant("cos_cache", Values(Math.Cos), Positions, half), Constant("sin_cache", Values(Math.Sin), Positions, half));
    }

    /// <summary>The weight of a norm: ones.</summary>
    protected Var Ones(string name) => Known(name, () =>
    {
        float[] ones = new float[shape.Width];
        Array.Fill(ones, 1f);
        return RandomWeights.Narrow(name, type, ones, [shape.Width]);
    }, isWeight: true);

    /// <summary>down(silu(gate(x)) · up(x))</summary>
    protected Var Mlp(Var x, string name)
    {
        Var gate = Linear(x, $"{name}.gate_proj");
        Var open = Add("Mul", $"/{name}/silu", [gate, Add("Sigmoid", $"/{name}/sigmoid", [gate])]);
        return Linear(Add("Mul", $"/{name}/gated", [open, Linear(x, $"{name}.up_proj")]), $"{name}.down_proj");
    }

    protected Var Linear(Var x, string name)
    {
        var (_, rows, columns) = shape.Linears.Single(l => name.EndsWith(l.Name, StringComparison.Ordinal));
        if (bits == 0) return Add("MatMul", $"/{name}", [x, Weight($"{name}.weight", rows, columns)]);
        int blocks = (rows + Block - 1) / Block;
        Var packed = Known($"{name}.weight_Q4", () => RandomWeights.Declare($"{name}.weight_Q4", ElementType.UInt8, [columns, blocks, Block / 2]), isWeight: true);
        Var scales = Known($"{name}.weight_scales", () => RandomWeights.Declare($"{name}.weight_scales", type, [columns, blocks]), isWeight: true);
        return Add("MatMulNBits", $"/{name}", [x, packed, scales], n => n.With("K", (long)rows).With("N", (long)columns).With("bits", 4L).With("block_size", (long)Block), "com.microsoft");
    }

    /// <summary>A tied head multiplies by the embedding as it lies (Gemm with transB): a Transpose would copy the largest weight in every step.</summary>
    protected void Head(Var x, Var embedding)
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
        g.Outputs.Add(new("logits", new(ElementType.Float, new("batch", "sequence", shape.Vocab))));
    }

    protected Var Input(string name, ElementType element, Shape dims)
    {
        g.Inputs.Add(new(name, new(element, dims)));
        g.Types[name] = g.Inputs[^1].Type;
        return g.Var(name);
    }

    protected Var Weight(string name, params long[] dims) => Known(name, () => RandomWeights.Declare(name, type, dims), isWeight: true);

    protected Var Constant(string name, long value) => Known(name, () => Tensor.From(name, [value]));

    protected Var Constant(string name, float value) => Known(name, () => Tensor.From(name, [value]));

    protected Var Constant(string name, long[] values) => Known(name, () => Tensor.From(name, values, values.Length));

    /// <summary>Numbers that meet activations: stored in the activations' type.</summary>
    protected Var Constant(string name, float[] values, params long[] dims) => Known(name, () => RandomWeights.Narrow(name, type, values, dims));

    protected Var Known(string name, Func<Tensor> make, bool isWeight = false)
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

    protected Var Cast(Var x, string name, ElementType to) =>
        type == ElementType.Float ? x : Add("Cast", name, [x], n => n.With("to", (long)to));

    protected Var Add(string op, string output, Var?[] inputs, Action<Node>? attributes = null, string domain = "") => AddMany(op, [output], inputs, attributes, domain)[0]!;

    /// <summary>A node named after its first output; an empty name is an output that nobody wants.</summary>
    protected Var[] AddMany(string op, string[] outputs, Var?[] inputs, Action<Node>? attributes = null, string domain = "")
    {
        var node = new Node(op, domain, inputs.Select(v => v?.Name ?? ""), outputs, outputs[0]);
        attributes?.Invoke(node);
        g.Nodes.Add(node);
        if (domain.Length > 0) g.Domains[domain] = 1;
        ShapeInference.Infer(g, node);
        return [.. outputs.Select(g.Var)];
    }
}
