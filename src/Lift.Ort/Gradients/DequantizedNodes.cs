using Lift.Ort.Onnx;

namespace Lift.Ort.Gradients;

/// <summary>
/// What takes the place of a quantized layer's node when its matrix becomes a float weight. Activations that the layer reads and makes as 8-bit numbers stay so, between
/// DequantizeLinear and QuantizeLinear; what it quantized for itself (DynamicQuantizeMatMul) stays float.
/// </summary>
internal sealed class DequantizedNodes(Graph graph, QuantizedLayer layer, string weight)
{
    private static readonly Dictionary<string, Action<DequantizedNodes>> table = new()
    {
        ["DequantizeLinear"] = _ => { },
        ["com.microsoft.DequantizeLinear"] = _ => { },
        ["com.microsoft.MatMulNBits"] = n => n.Biased(n.node.Inputs[0], n.node.Input(5)),
        ["com.microsoft.MatMulBnb4"] = n => n.Biased(n.node.Inputs[0], null),
        ["com.microsoft.DynamicQuantizeMatMul"] = n => n.Biased(n.node.Inputs[0], n.node.Input(4)),
        ["com.microsoft.MatMulIntegerToFloat"] = n => n.Biased(n.Real(0, 2, 4), n.node.Input(6)),
        ["com.microsoft.GatherBlockQuantized"] = n => n.Add("Gather", [n.Weight, n.node.Inputs[1]], n.Result, a => a.With("axis", n.node.Int("gather_axis"))),
        ["QLinearMatMul"] = n => n.Quantize(n.Add("MatMul", [n.Real(0, 1, 2), n.Weight]), 6, 7),
        ["QLinearConv"] = QLinearConv,
        ["com.microsoft.QGemm"] = QGemm,
        ["MatMulInteger"] = n => n.Integers("MatMul"),
        ["ConvInteger"] = n => n.Integers("Conv"),
        ["com.microsoft.QAttention"] = n => n.Add("Attention", [n.Real(0, 3, 6), n.Weight, n.node.Inputs[2], n.node.Input(5) ?? ""], n.Result, n.Copy("num_heads", "unidirectional", "mask_filter_value", "scale", "do_rotary"), "com.microsoft"),
    };

    private readonly Node node = layer.Node;
    private readonly List<Node> nodes = [];

    /// <summary>True where there is a form for the layer's operator.</summary>
    public static bool Knows(string op) => table.ContainsKey(op);

    /// <summary>Initializers that the nodes read beside the weight: biases, scales.</summary>
    public List<string> Constants { get; } = [];

    private string Result => node.Outputs[0];

    private string Weight => weight;

    public IReadOnlyList<Node> Make()
    {
        table[node.Operator](this);
        if (nodes.Count > 0) nodes[^1].Name = node.Name;
        return nodes;
    }

    private static void QLinearConv(DequantizedNodes n)
    {
        string[] inputs = n.node.Input(8) is { } bias ? [n.Real(0, 1, 2), n.Weight, n.Bias(bias, 1, 4, 1)] : [n.Real(0, 1, 2), n.Weight];
        n.Quantize(n.Add("Conv", inputs, null, n.Copy("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides")), 6, 7);
    }

    private static void QGemm(DequantizedNodes n)
    {
        float alpha = n.node.Float("alpha", 1);
        string[] inputs = n.node.Input(6) is { } bias ? [n.Real(0, 1, 2), n.Weight, n.Bias(bias, 1, 4, alpha)] : [n.Real(0, 1, 2), n.Weight];
        if (n.node.Input(7) is null) n.Add("Gemm", inputs, n.Result, n.Copy("alpha", "transA", "transB"));
        else n.Quantize(n.Add("Gemm", inputs, null, n.Copy("alpha", "transA", "transB")), 7, 8);
    }

    /// <summary>
    /// The product of integers, whose scales follow behind a Cast: in float it is divided by the weight's scale, which is multiplied in again there. So the weight has its true size.
    /// </summary>
    private void Integers(string op)
    {
        string x = Real(0, null, 2), scale = layer.Scale ?? throw Refuse("the scale of its weight was not found behind it (Cast, then Mul by the product of both scales)");
        Tensor values = Constant(scale);
        string divisor = scale;
        if (values.Count > 1 && op == "Conv") divisor = New("scale", Tensor.From<float>("", values.ToFloats(), [values.Count, .. Enumerable.Repeat(1L, layer.Dims.Length - 2)]));
        Add("Div", [Add(op, [x, weight], null, op == "Conv" ? Copy("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides") : null), divisor], Result);
    }

    private void Biased(string x, string? bias)
    {
        if (bias is null) Add("MatMul", [x, weight], Result);
        else Add("Add", [Add("MatMul", [x, weight]), bias], Result);
    }

    /// <summary>The real numbers of 8-bit input <paramref name="value"/>; without a scale, the integers less their zero.</summary>
    private string Real(int value, int? scale, int zero)
    {
        string factor = scale is { } at ? node.Inputs[at] : New("one", Tensor.Scalar("", 1f));
        return Add("DequantizeLinear", node.Input(zero) is { } point ? [node.Inputs[value], factor, point] : [node.Inputs[value], factor], null, RowScales(value, factor));
    }

    private Action<Node>? RowScales(int value, string scale) =>
        graph.TypeOf(scale) is { Rank: 1 } type && type.Shape![0].Value != 1 && graph.TypeOf(node.Inputs[value]).Rank is { } rank ? a => a.With("axis", (long)rank - 2) : null;

    private void Quantize(string y, int scale, int zero) => Add("QuantizeLinear", node.Input(zero) is { } point ? [y, node.Inputs[scale], point] : [y, node.Inputs[scale]], Result);

    /// <summary>An int32 bias as floats: times both scales.</summary>
    private string Bias(string name, int first, int second, float factor)
    {
        int[] values = Constant(name).AsSpan<int>().ToArray();
        float one = Constant(node.Inputs[first]).ToFloats()[0];
        float[] scales = Constant(node.Inputs[second]).ToFloats();
        return New("bias", Tensor.From<float>("", [.. values.Select((v, i) => v * (one * scales[scales.Length == 1 ? 0 : i]) * factor)], values.Length));
    }

    private Tensor Constant(string name) => graph.Initializers.TryGetValue(name, out Tensor? tensor) ? tensor : throw Refuse($"it computes its input '{name}' instead of holding it");

    /// <summary>A new initializer beside the weight.</summary>
    private string New(string what, Tensor tensor)
    {
        string name = graph.NewName(what == "bias" && weight.EndsWith(".weight", StringComparison.Ordinal) ? $"{weight[..^".weight".Length]}.bias" : $"{weight}/{what}");
        graph.Initializers.Add(name, tensor.Rename(name));
        graph.Types[name] = tensor.TensorType;
        if (what != "bias") graph.Buffers.Add(name);
        Constants.Add(name);
        return name;
    }

    private string Add(string op, string[] inputs, string? output = null, Action<Node>? attributes = null, string domain = "")
    {
        output ??= graph.NewName($"{Result}/{op.ToLowerInvariant()}");
        var made = new Node(op, domain, inputs, [output], $"{(node.Name.Length > 0 ? node.Name : Result)}/{op}");
        attributes?.Invoke(made);
        nodes.Add(made);
        return output;
    }

    private Action<Node> Copy(params string[] attributes) => made =>
    {
        foreach (string name in attributes)
            if (node.Attributes.TryGetValue(name, out AttributeProto? given)) made.Set(given);
    };

    private LiftException Refuse(string why) => new($"{node} cannot become a float layer: {why}; leave '{layer.Weight}' quantized.");
}
