using Lift.Ort.Onnx;
using static Lift.Ort.Tests.Gradients.CaseData;

namespace Lift.Ort.Tests.Training;

/// <summary>A graph with input x [batch, 8] to which quantized layers are added as quantizers write them.</summary>
internal sealed unsafe class QuantizedModel
{
    private const int Width = 32;

    public QuantizedModel(int opset)
    {
        Graph = new Graph { Opset = opset, IrVersion = 10, Domains = { ["com.microsoft"] = 1 } };
        Graph.Inputs.Add(new("x", new(ElementType.Float, new Shape("batch", 8))));
        ShapeInference.InferInputs(Graph);
    }

    public Graph Graph { get; }

    /// <summary>Of activations: 0.02 and 128.</summary>
    public Var Scale => Const(S(0.02f));

    public Var Zero => Const(S((byte)128));

    public Var Named(string name, Tensor tensor)
    {
        Graph.Initializers.Add(name, tensor.Rename(name));
        Graph.Types[name] = tensor.TensorType;
        return Graph.Var(name);
    }

    public Var Const(Tensor tensor) => Named(Graph.NewName("parameter"), tensor);

    public Var Op(string op, IEnumerable<Var?> inputs, Action<Node>? attributes = null) => Graph.Add(op[(op.LastIndexOf('.') + 1)..], inputs, attributes, op.Contains('.') ? "com.microsoft" : "");

    public Var Bytes(Var x) => Graph.Add("QuantizeLinear", [x, Scale, Zero]);

    public Var Real(Var q) => Graph.Add("DequantizeLinear", [q, Scale, Zero]);

    public Var Quantize(Var y) => Real(Bytes(y));

    public Var Weight(Tensor q, float scale) => Weight(q, S(scale));

    public Var Weight(Tensor q, Tensor scale, int? axis = null, int block = 0) => Graph.Add("DequantizeLinear", [Named("middle.weight_quantized", q), Named("middle.weight_scale", scale)], n =>
    {
        if (axis is { } along) n.With("axis", (long)along);
        if (block > 0) n.With("block_size", (long)block);
    });

    /// <summary>int4 numbers, a scale and a zero point for each block along the first axis.</summary>
    public Var Int4(long[] dims, int block) => Graph.Add("DequantizeLinear",
        [Named("middle.weight_Q4", Pack4(dims)), Named("middle.weight_scale", F([dims[0] / block, dims[1]], 0.01f, 0.05f)), Named("middle.weight_zero", Pack4([dims[0] / block, dims[1]]))], n => n.With("axis", 0L).With("block_size", (long)block));

    /// <summary>Seeded int4 numbers, two to a byte.</summary>
    public static Tensor Pack4(long[] dims)
    {
        Tensor packed = Tensor.Empty("q", ElementType.Int4, dims);
        new Random(4).NextBytes(packed.AsSpan<byte>());
        return packed;
    }

    public Var Float8(long[] dims)
    {
        Tensor q = Tensor.Empty("q", ElementType.Float8E4M3FN, dims);
        Span<byte> bytes = q.AsSpan<byte>();
        new Random(8).NextBytes(bytes);
        for (int i = 0; i < bytes.Length; i++) if ((bytes[i] & 0x7f) == 0x7f) bytes[i] = 0; // no number
        return Graph.Add("DequantizeLinear", [Named("middle.weight_F8", q), Named("middle.weight_scale", S(0.002f))]);
    }

    /// <summary>DynamicQuantizeLinear, the product of integers, Cast, and Mul by the product of both scales.</summary>
    public Var Dynamic(Var x, string op, Tensor weight, Tensor scale, Action<Node>? attributes = null)
    {
        Var[] q = Graph.AddMany("DynamicQuantizeLinear", 3, [x]);
        Var zero = weight.Type == ElementType.UInt8 ? Const(S((byte)120)) : Const(S((sbyte)0));
        Var product = Op(op, [q[0], Named("middle.weight_quantized", weight), q[2], zero], attributes);
        return product.Cast(ElementType.Float) * (q[1] * Named("middle.weight_scale", scale));
    }

    /// <summary>Four bits in blocks of 16 along K.</summary>
    public Var NBits(Var x, bool zeros, bool groups, int level)
    {
        const int Blocks = Width / 16;
        Var?[] inputs =
        [
            x, Named("middle.weight_Q4", U8([Width, Blocks, 8], 3)), Named("middle.weight_scales", F([Width, Blocks], 0.01f, 0.05f)), zeros ? Named("middle.weight_zero_points", U8([Width, 1], 5)) : null,
            groups ? Named("middle.weight_g_idx", I([.. Enumerable.Range(0, Width).Select(i => i * 7 % Blocks)])) : null,
        ];
        return Op("com.microsoft.MatMulNBits", inputs.Take(groups ? 5 : zeros ? 4 : 3), n => n.With("K", (long)Width).With("N", (long)Width).With("bits", 4L).With("block_size", 16L).With("accuracy_level", (long)level));
    }
}
