using System.Runtime.InteropServices;
using Lift.Ort.Onnx;

namespace Lift.Ort.Architectures;

/// <summary>
/// Weights drawn from N(0, 0.02²), made piece by piece when they are written, so that a model larger than memory is no special case.
/// Bytes (packed four-bit numbers) are uniform, and the scales that belong to them positive, so that their product has about the same deviation.
/// A weight's values depend on the seed and on its name only: not on other weights, and not on the number of threads.
/// </summary>
internal static unsafe class RandomWeights
{
    private const float Deviation = 0.02f;

    /// <summary>Uniform numbers from −8 to 7 times this have the deviation of the other weights.</summary>
    private const float FourBitScale = Deviation / 4.61f;

    /// <summary>2⁻²⁴: the distance of the uniform numbers.</summary>
    private const float Step = 1f / (1 << 24);

    /// <summary>Values of one piece; each piece has a random sequence of its own.</summary>
    private const int Piece = 1 << 16;

    /// <summary>A weight that has a type and dimensions but no bytes yet.</summary>
    public static Tensor Declare(string name, ElementType type, long[] dims) => new(name, type, dims, null, type);

    public static bool IsDeclared(Tensor tensor) => tensor.Data is null;

    /// <summary>Writes the bytes of a declared weight.</summary>
    public static void Write(Tensor weight, int seed, Stream to)
    {
        int bytes = weight.Type.Bits() / 8, together = 4 * Environment.ProcessorCount;
        byte[] buffer = new byte[Math.Min(weight.Count, (long)together * Piece) * bytes];
        for (long at = 0; at < weight.Count; at += (long)together * Piece)
        {
            int count = (int)Math.Min(weight.Count - at, (long)together * Piece);
            Parallel.For(0, (count + Piece - 1) / Piece, i =>
            {
                int from = i * Piece, length = Math.Min(Piece, count - from);
                Fill(buffer.AsSpan(from * bytes, length * bytes), weight, seed, (at + from) / Piece);
            });
            to.Write(buffer.AsSpan(0, count * bytes));
        }
    }

    /// <summary>Gives every declared weight of a graph memory and values: for models that fit into it.</summary>
    public static void Materialise(Graph graph, int seed)
    {
        foreach (Tensor weight in graph.Initializers.Values.Where(IsDeclared).ToArray())
        {
            Tensor filled = Tensor.Empty(weight.Name, weight.Type, weight.Dims);
            using var stream = new UnmanagedMemoryStream(filled.Data, 0, filled.ByteLength, FileAccess.Write);
            Write(weight, seed, stream);
            graph.Initializers[weight.Name] = filled;
        }
    }

    /// <summary>A tensor of <paramref name="type"/> with these values, rounded to nearest even.</summary>
    public static Tensor Narrow(string name, ElementType type, float[] values, long[] dims)
    {
        Tensor tensor = Tensor.Empty(name, type, dims);
        Store(values, tensor.AsSpan<byte>(), type);
        return tensor;
    }

    /// <summary>One piece: pairs of normal numbers by Box and Muller, √(−2 ln u) · (cos 2πv, sin 2πv), from a SplitMix64 sequence.</summary>
    private static void Fill(Span<byte> target, Tensor weight, int seed, long piece)
    {
        ulong state = (ulong)seed;
        foreach (char c in weight.Name) state = Mix(state + c);
        state = Mix(state + (ulong)piece);
        if (weight.Type == ElementType.UInt8)
        {
            for (int i = 0; i < target.Length; i++) target[i] = (byte)(Mix(state += 0x9E3779B97F4A7C15) >> 32);
            return;
        }
        float[] values = new float[target.Length / (weight.Type.Bits() / 8)];
        for (int i = 0; i < values.Length; i += 2)
        {
            ulong bits = Mix(state += 0x9E3779B97F4A7C15);
            float radius = Deviation * MathF.Sqrt(-2 * MathF.Log(((uint)(bits >> 40) + 1) * Step));
            var (sin, cos) = MathF.SinCos(2 * MathF.PI * ((uint)bits >> 8) * Step);
            values[i] = radius * cos;
            if (i + 1 < values.Length) values[i + 1] = radius * sin;
        }
        if (weight.Name.EndsWith("_scales", StringComparison.Ordinal)) for (int i = 0; i < values.Length; i++) values[i] = FourBitScale * MathF.Exp(10 * values[i]);
        Store(values, target, weight.Type);
    }

    private static void Store(float[] values, Span<byte> target, ElementType type)
    {
        switch (type)
        {
            case ElementType.Float:
                MemoryMarshal.AsBytes<float>(values).CopyTo(target);
                break;
            case ElementType.Float16:
                Span<Half> halves = MemoryMarshal.Cast<byte, Half>(target);
                for (int i = 0; i < values.Length; i++) halves[i] = (Half)values[i];
                break;
            case ElementType.BFloat16:
                Span<ushort> tops = MemoryMarshal.Cast<byte, ushort>(target);
                for (int i = 0; i < values.Length; i++) tops[i] = TopHalf(BitConverter.SingleToUInt32Bits(values[i]));
                break;
            default:
                throw new NotSupportedException($"No model is made of {type}");
        }
    }

    /// <summary>The upper 16 bits of a finite float32, rounded to nearest even.</summary>
    private static ushort TopHalf(uint bits) => (ushort)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);

    /// <summary>The finisher of SplitMix64 (Steele, Lea, Flood 2014).</summary>
    private static ulong Mix(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
