using Lift.Ort.Gradients.Rules;
using Lift.Ort.Onnx;

namespace Lift.Ort.Gradients;

/// <summary>The float values of a quantized matrix: (q − zero) · scale in float32, rounded to the scales' type.</summary>
internal sealed unsafe class QuantizedValues
{
    private readonly QuantizedLayer layer;
    private readonly Node node;
    private readonly Tensor packed, scales;
    private readonly Tensor? zeros, groups;

    /// <exception cref="LiftException">The node's scales or zero points are no constants of the file, or of a form that is not read.</exception>
    public QuantizedValues(Graph graph, QuantizedLayer layer)
    {
        (this.layer, node) = (layer, layer.Node);
        packed = Constant(graph, layer.Weight)!;
        scales = Constant(graph, layer.Scale)!;
        zeros = Constant(graph, node.Input(QuantizedLayer.Inputs(node.Operator)!.Value.Zero));
        groups = node.OpType == "MatMulNBits" ? Constant(graph, node.Input(4)) : null;
        if (!Type.IsFloat()) throw Refuse($"it has scales of {Type.ToString().ToLowerInvariant()}, and only layers whose scales are floats can be dequantized");
        if (node.OpType == "MatMulBnb4" && FourBitTables.Table(node) is null) throw Refuse($"its quant_type {node.Int("quant_type")} is neither fp4 (0) nor nf4 (1)");
    }

    /// <summary>Type of the values: that of the scales.</summary>
    public ElementType Type => scales.Type;

    public NativeBuffer Make() => node.OpType switch { "MatMulNBits" => Blocks(), "MatMulBnb4" => Table(), _ => Linear() };

    /// <summary>[K, N] for a product from the right; the file has rows [N] of blocks along K.</summary>
    private NativeBuffer Blocks()
    {
        int n = (int)node.Int("N"), k = (int)node.Int("K"), bits = (int)node.Int("bits", 4), block = (int)node.Int("block_size"), blocks = (k + block - 1) / block, perByte = 8 / bits, mask = (1 << bits) - 1;
        long bytes = (long)blocks * block * bits / 8, zeroBytes = ((long)blocks * bits + 7) / 8;
        float[] scale = scales.ToFloats();
        float[]? floatZeros = zeros?.Type.IsFloat() == true ? zeros.ToFloats() : null;
        int[]? group = groups?.AsSpan<int>().ToArray();
        if (packed.ByteLength != n * bytes || scale.LongLength != (long)n * blocks) throw new LiftException($"{node} holds {packed.ByteLength} bytes and {scale.LongLength} scales where N {n}, K {k}, {bits} bits and blocks of {block} ask for {n * bytes} and {(long)n * blocks}.");
        var result = new NativeBuffer(Type.ByteLength((long)k * n), zeroed: false);
        Parallel.For(0, k, row => // one row of the result at a time, so that writing is contiguous
        {
            int b = group?[row] ?? row / block;
            for (int column = 0; column < n; column++)
            {
                int q = (packed.Data[(column * bytes) + (row / perByte)] >> (row % perByte * bits)) & mask;
                float zero = floatZeros is not null ? floatZeros[((long)column * blocks) + b]
                    : zeros is null ? 1 << (bits - 1) : (zeros.Data[(column * zeroBytes) + (b / perByte)] >> (b % perByte * bits)) & mask;
                Store(result, ((long)row * n) + column, (q - zero) * scale[((long)column * blocks) + b]);
            }
        });
        GC.KeepAlive(this);
        return result;
    }

    /// <summary>[K, N] again; the file has [N, K] in one row, two numbers to a byte, the first one in the upper half.</summary>
    private NativeBuffer Table()
    {
        long n = node.Int("N"), k = node.Int("K"), block = node.Int("block_size");
        float[] values = FourBitTables.Table(node)!, largest = scales.ToFloats();
        if (packed.ByteLength != ((n * k) + 1) / 2 || largest.LongLength != ((n * k) + block - 1) / block) throw new LiftException($"{node} holds {packed.ByteLength} bytes and {largest.LongLength} scales where N {n}, K {k} and blocks of {block} ask for {((n * k) + 1) / 2} and {((n * k) + block - 1) / block}.");
        var result = new NativeBuffer(Type.ByteLength(k * n), zeroed: false);
        Parallel.For(0L, k, row =>
        {
            for (long column = 0; column < n; column++)
            {
                long at = (column * k) + row;
                Store(result, (row * n) + column, values[(packed.Data[at / 2] >> (at % 2 == 0 ? 4 : 0)) & 15] * largest[at / block]);
            }
        });
        GC.KeepAlive(this);
        return result;
    }

    /// <summary>The layout of the file; one scale for all, one per entry of the axis, or one per block along it.</summary>
    private NativeBuffer Linear()
    {
        long[] dims = layer.Dims;
        bool gathers = node.OpType == "GatherBlockQuantized";
        long axis = Axis(), block = gathers ? node.Int("block_size", 128) : node.Int("block_size"), count = dims.Aggregate(1L, (n, d) => n * d);
        if (axis < 0) axis += dims.Length;
        float[] scale = scales.ToFloats();
        long inner = 1, length = scales.Count == 1 ? 1 : dims[axis];
        for (long i = axis + 1; i < dims.Length && scales.Count > 1; i++) inner *= dims[i];
        bool blocked = scales.Dims.Length == dims.Length && block > 0;
        long groups = blocked ? scales.Dims[axis] : length;
        bool halves = gathers && packed.Type == ElementType.UInt8; // several numbers to a byte, and zero points likewise
        int bits = layer.Bits;
        if (halves && axis != dims.Length - 1 && bits < 8) throw Refuse("its blocks run along another axis than its packed numbers");
        long zeroRow = halves ? ((groups * bits) + 7) / 8 * 8 / bits : groups; // each row of packed zero points is filled up to whole bytes
        var result = new NativeBuffer(Type.ByteLength(count), zeroed: false);
        long rows = scales.Count == 1 ? 1 : count / (inner * length), row = scales.Count == 1 ? count : inner * length;
        Parallel.For(0L, rows, r =>
        {
            for (long i = 0; i < row; i++)
            {
                long at = (r * row) + i, along = i / inner % length, s = scales.Count == 1 ? 0 : blocked ? (((r * groups) + (along / block)) * inner) + (i % inner) : along;
                float zero = zeros is not null ? Number(zeros, zeros.Count == 1 && !halves ? 0 : halves && bits < 8 ? (r * zeroRow) + (along / block) : s, halves ? bits : 8) : halves ? 1 << (bits - 1) : 0;
                Store(result, at, (Number(packed, at, halves ? bits : 8) - zero) * scale[s]);
            }
        });
        GC.KeepAlive(this);
        return result;
    }

    /// <summary>The axis that has scales of its own.</summary>
    private long Axis() => node.OpType switch
    {
        "DequantizeLinear" => node.Int("axis", 1),
        "GatherBlockQuantized" => node.Int("quantize_axis", 1),
        "QLinearConv" or "ConvInteger" => 0,
        "QGemm" => node.Int("transB") != 0 ? 0 : 1,
        _ => -1,
    };

    private static float Number(Tensor tensor, long i, int bits) => tensor.Type switch
    {
        ElementType.UInt8 when bits < 8 => (tensor.Data[i * bits / 8] >> (int)(i * bits % 8)) & ((1 << bits) - 1),
        ElementType.UInt8 => tensor.Data[i],
        ElementType.Int8 => ((sbyte*)tensor.Data)[i],
        ElementType.UInt16 => ((ushort*)tensor.Data)[i],
        ElementType.Int16 => ((short*)tensor.Data)[i],
        ElementType.Int32 => ((int*)tensor.Data)[i],
        ElementType.UInt4 => (tensor.Data[i / 2] >> (int)(i % 2 * 4)) & 15,
        ElementType.Int4 => (sbyte)(tensor.Data[i / 2] << (int)((1 - (i % 2)) * 4)) >> 4,
        ElementType.Float8E5M2 => (float)BitConverter.UInt16BitsToHalf((ushort)(tensor.Data[i] << 8)),
        ElementType.Float8E4M3FN => Float8(tensor.Data[i]),
        var other => throw new LiftException($"'{tensor.Name}' holds {other.ToString().ToLowerInvariant()}, which --dequantize does not read; leave it quantized."),
    };

    /// <summary>Sign, four bits of exponent (bias 7), three of mantissa; all ones is no number.</summary>
    private static float Float8(byte bits)
    {
        int exponent = (bits >> 3) & 15, mantissa = bits & 7;
        float size = (bits & 0x7f) == 0x7f ? float.NaN : exponent == 0 ? mantissa * MathF.Pow(2, -9) : (8 + mantissa) * MathF.Pow(2, exponent - 10);
        return (bits & 0x80) != 0 ? -size : size;
    }

    private void Store(NativeBuffer to, long at, float value)
    {
        if (Type == ElementType.Float) ((float*)to.Data)[at] = value;
        else if (Type == ElementType.Double) ((double*)to.Data)[at] = value;
        else if (Type == ElementType.Float16) ((Half*)to.Data)[at] = (Half)value;
        else
        {
            uint bits = BitConverter.SingleToUInt32Bits(value);
            ((ushort*)to.Data)[at] = (ushort)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
        }
    }

    private Tensor? Constant(Graph graph, string? name) => name is null ? null
        : graph.Initializers.TryGetValue(name, out Tensor? tensor) ? tensor
        : throw Refuse($"it computes its input '{name}' instead of holding it, and only layers whose scales and zero points are constants can be dequantized");

    private LiftException Refuse(string why) => new($"{node} cannot become a float layer: {why}; leave '{layer.Weight}' quantized.");
}
