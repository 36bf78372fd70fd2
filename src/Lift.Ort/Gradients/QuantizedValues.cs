using Lift.Ort.Onnx;

namespace Lift.Ort.Gradients;

/// <summary>The float values of a quantized matrix: (q − zero) · scale in float32, rounded to the scales' type.</summary>
internal sealed unsafe class QuantizedValues
{
    private readonly Node node;
    private readonly Tensor packed, scales;
    private readonly Tensor? zeros, groups;

    /// <exception cref="LiftException">The node's scales or zero points are no constants of the file.</exception>
    public QuantizedValues(Graph graph, Node node)
    {
        this.node = node;
        bool blocks = node.OpType == "MatMulNBits";
        packed = Constant(graph, blocks ? 1 : 0)!;
        scales = Constant(graph, blocks ? 2 : 1)!;
        zeros = Constant(graph, blocks ? 3 : 2);
        groups = blocks ? Constant(graph, 4) : null;
        if (!Type.IsFloat()) throw new LiftException($"{node} has scales of {Type.ToString().ToLowerInvariant()}; only layers whose scales are floats can be dequantized, so leave it as it is.");
    }

    /// <summary>Type of the values: that of the scales.</summary>
    public ElementType Type => scales.Type;

    public NativeBuffer Make() => node.OpType == "MatMulNBits" ? Blocks() : Linear();

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

    /// <summary>The layout of the file; one scale for all, one per entry of the axis, or one per block along it.</summary>
    private NativeBuffer Linear()
    {
        long[] dims = packed.Dims;
        long axis = node.Int("axis", 1), block = node.Int("block_size");
        if (axis < 0) axis += dims.Length;
        float[] scale = scales.ToFloats();
        long inner = 1, length = scales.Count == 1 ? 1 : dims[axis];
        for (long i = axis + 1; i < dims.Length && scales.Count > 1; i++) inner *= dims[i];
        bool blocked = scales.Dims.Length == dims.Length && block > 0;
        long groups = blocked ? scales.Dims[axis] : length;
        var result = new NativeBuffer(Type.ByteLength(packed.Count), zeroed: false);
        long rows = scales.Count == 1 ? 1 : packed.Count / (inner * length), row = scales.Count == 1 ? packed.Count : inner * length;
        Parallel.For(0L, rows, r =>
        {
            for (long i = 0; i < row; i++)
            {
                long at = (r * row) + i, along = i / inner % length, s = scales.Count == 1 ? 0 : blocked ? (((r * groups) + (along / block)) * inner) + (i % inner) : along;
                Store(result, at, (Number(packed, at) - (zeros is null ? 0 : Number(zeros, zeros.Count == 1 ? 0 : s))) * scale[s]);
            }
        });
        GC.KeepAlive(this);
        return result;
    }

    private static float Number(Tensor tensor, long i) => tensor.Type switch
    {
        ElementType.UInt8 => tensor.Data[i],
        ElementType.Int8 => ((sbyte*)tensor.Data)[i],
        ElementType.UInt16 => ((ushort*)tensor.Data)[i],
        ElementType.Int16 => ((short*)tensor.Data)[i],
        ElementType.Int32 => ((int*)tensor.Data)[i],
        ElementType.UInt4 => (tensor.Data[i / 2] >> (int)(i % 2 * 4)) & 15,
        ElementType.Int4 => (sbyte)(tensor.Data[i / 2] << (int)((1 - (i % 2)) * 4)) >> 4,
        var other => throw new LiftException($"'{tensor.Name}' holds {other.ToString().ToLowerInvariant()}, which --dequantize does not read; leave it quantized."),
    };

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

    private Tensor? Constant(Graph graph, int index) => node.Input(index) is not { } name ? null
        : graph.Initializers.TryGetValue(name, out Tensor? tensor) ? tensor
        : throw new LiftException($"{node} computes its input '{name}' instead of holding it; only layers whose scales and zero points are constants can be dequantized, so leave it as it is.");
}
