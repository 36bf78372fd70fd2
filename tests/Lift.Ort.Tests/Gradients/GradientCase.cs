using Lift.Ort.Onnx;

namespace Lift.Ort.Tests.Gradients;

/// <summary>One node with concrete inputs; floats are differentiated, integers and bools are constants.</summary>
internal sealed record GradientCase(string Note, Tensor?[] Inputs, Action<Node>? Attributes = null, int Outputs = 1, int Opset = 17)
{
    /// <summary>Inputs that are compared; default: all float inputs.</summary>
    public int[]? Vary { get; init; }

    /// <summary>Outputs that the node lists without a name.</summary>
    public int[] Absent { get; init; } = [];

    /// <summary>The outputs' values, for operators that ONNX Runtime has no processor kernel for.</summary>
    public Func<IReadOnlyDictionary<string, float[]>>? Expected { get; init; }

    /// <summary>Outputs that a lowering need not reproduce.</summary>
    public int[] NotCompared { get; init; } = [];

    /// <summary>By how much, times one plus its size, a float of a lowering may differ from ONNX Runtime's kernel.</summary>
    public float Tolerance { get; init; } = 2e-5f;

    /// <summary>Elements of output 0 that a lowering must reproduce.</summary>
    public Range Compared { get; init; } = ..;

    /// <summary>True: the rule sees symbols for the dimensions of input 0.</summary>
    public bool Dynamic { get; init; }

    /// <summary>Axes of inputs that stay numbers where a lowering is tried with symbols: those that every export knows (heads, head sizes of tables).</summary>
    public (int Input, int Axis)[] Known { get; init; } = [];

    /// <summary>An input for which another one's value stands too.</summary>
    public (int Input, int Of)? Twice { get; init; }

    /// <summary>Sees the graph after the node was added, for operators that need something around them.</summary>
    public float Step { get; init; } = 1e-2f;
}

/// <summary>Marks a class whose property <c>Cases</c> adds cases to <see cref="GradientCases"/>.</summary>
[AttributeUsage(AttributeTargets.Class)]
internal sealed class GradientCaseGroupAttribute : Attribute;

/// <summary>Seeded data for cases.</summary>
internal static class CaseData
{
    /// <summary>Floats in [low, high], no two closer than they have to be (no ties), never near 0 unless the range says so.</summary>
    public static Tensor F(long[] dims, float low = -1.5f, float high = 1.5f, int seed = 1)
    {
        int count = (int)dims.Aggregate(1L, (n, d) => n * d);
        var random = new Random(seed * 7919 + count);
        float[] values = [.. Enumerable.Range(0, count).Select(i => low + (high - low) * (i + 0.5f) / Math.Max(count, 1))];
        for (int i = count - 1; i > 0; i--) { int j = random.Next(i + 1); (values[i], values[j]) = (values[j], values[i]); }
        return Tensor.From<float>("x", values, dims);
    }

    public static Tensor L(params long[] values) => Tensor.From<long>("i", values, values.Length);

    public static Tensor L(long[] dims, params long[] values) => Tensor.From<long>("i", values, dims);

    public static Tensor I(params int[] values) => Tensor.From<int>("i", values, values.Length);

    public static Tensor I(long[] dims, params int[] values) => Tensor.From<int>("i", values, dims);

    /// <summary>Seeded bytes.</summary>
    public static Tensor U8(long[] dims, int seed = 1) => Tensor.From<byte>("q", Bytes(dims, seed), dims);

    /// <summary>Seeded signed bytes, −128 left out.</summary>
    public static Tensor I8(long[] dims, int seed = 1) => Tensor.From<sbyte>("q", [.. Bytes(dims, seed).Select(b => (sbyte)Math.Max(-127, b - 128))], dims);

    private static byte[] Bytes(long[] dims, int seed)
    {
        byte[] bytes = new byte[dims.Aggregate(1L, (n, d) => n * d)];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    public static Tensor S(byte value) => Tensor.Scalar("z", value);

    public static Tensor S(sbyte value) => Tensor.Scalar("z", value);

    public static Tensor S(int value) => Tensor.Scalar("s", value);

    public static Tensor S(long value) => Tensor.Scalar("s", value);

    public static Tensor S(float value) => Tensor.Scalar("s", value);

    public static Tensor B(long[] dims, params bool[] values) => Tensor.From<bool>("b", values, dims);
}
