using Lift.Ort.Onnx;
using static Lift.Ort.Tests.Gradients.CaseData;

namespace Lift.Ort.Tests.Gradients;

/// <summary>Quantized operators. Rounding has no derivative to compare with: steps over many grid points stand in for it, and <see cref="QuantizationTests"/> checks the rest.</summary>
[GradientCaseGroup]
internal static class QuantizedCases
{
    public static Dictionary<string, GradientCase[]> Cases => new()
    {
        ["com.microsoft.MatMulNBits"] = [.. MatMulNBits()],
        ["QuantizeLinear"] =
        [
            new("a number", [F([3, 4]), S(1e-4f), Zero(7)], Opset: 21) { Vary = [0], Step = 0.05f },
            new("per axis", [F([3, 4]), Tensor.From<float>("s", [1e-4f, 2e-4f, 3e-4f], 3), Tensor.From<short>("z", [0, 5, -5], 3)], n => n.With("axis", 0L), Opset: 21) { Vary = [0], Step = 0.05f },
            new("half of it clipped", [F([2, 6], 2, 4.5f), S(1e-4f), Zero(0)], Opset: 21) { Vary = [0], Step = 0.005f },
        ],
        ["com.microsoft.QuantizeLinear"] = [new("a number", [F([3, 4]), S(1e-4f), Zero(7)]) { Vary = [0], Step = 0.05f }],
        ["DequantizeLinear"] = [new("constant", [Tensor.From<byte>("q", [1, 2, 250], 3), S(0.5f), Tensor.Scalar("z", (byte)3)]) { Vary = [] }],
        ["com.microsoft.DequantizeLinear"] = [new("constant", [Tensor.From<byte>("q", [1, 2, 250], 3), S(0.5f), Tensor.Scalar("z", (byte)3)]) { Vary = [] }],
        ["DynamicQuantizeLinear"] = [new("made", [F([2, 3])], Outputs: 3) { Vary = [] }],
        ["ConvInteger"] = [new("constant", [U8([1, 2, 4, 4]), U8([3, 2, 3, 3], 2), S((byte)7), S((byte)100)]) { Vary = [] }],
        ["com.microsoft.MatMulBnb4"] = [.. from type in new[] { 0L, 1 } from shape in new[] { (N: 6, K: 16, Block: 16), (N: 4, K: 24, Block: 32), (N: 3, K: 12, Block: 16), (N: 3, K: 5, Block: 16) } select Bnb4(type, shape.N, shape.K, shape.Block)],
        ["MatMulInteger"] = [new("constant", [Tensor.From<byte>("a", [1, 2, 3, 4], 2, 2), Tensor.From<byte>("b", [5, 6, 7, 8], 2, 2)]) { Vary = [] }],
    };

    private static IEnumerable<GradientCase> MatMulNBits()
    {
        foreach (int bits in new[] { 2, 4, 8 })
        {
            yield return Blocks("no zero points", bits, [3, 32], n: 5);
            yield return Blocks("packed zero points, flat scales, batch", bits, [2, 3, 64], n: 4, zeros: "packed", flat: true);
            yield return Blocks("K ends within a block, bias", bits, [3, 40], n: 3, zeros: "packed", bias: true);
        }
        yield return Blocks("float zero points", 4, [3, 64], n: 4, zeros: "float");
        yield return Blocks("groups out of order", 4, [3, 64], n: 4, groups: true);
        yield return Blocks("symbols", 4, [2, 3, 32], n: 4) with { Dynamic = true };
        yield return Blocks("integer arithmetic allowed", 4, [3, 32], n: 4, accuracy: 1);
    }

    private static GradientCase Blocks(string note, int bits, long[] a, int n, string? zeros = null, bool flat = false, bool bias = false, bool groups = false, int accuracy = 0)
    {
        const int Block = 32;
        int k = (int)a[^1], blocks = (k + Block - 1) / Block, bytes = Block * bits / 8, zeroBytes = ((blocks * bits) + 7) / 8;
        var random = new Random(bits);
        byte[] packed = new byte[n * blocks * bytes], packedZeros = new byte[n * zeroBytes];
        random.NextBytes(packed);
        random.NextBytes(packedZeros);
        Tensor scales = F([n, blocks], 0.01f, 0.02f);
        Tensor? zero = zeros switch { "packed" => Tensor.From<byte>("z", packedZeros, packedZeros.Length), "float" => F([n * blocks], 5, 9), _ => null };
        Tensor? index = groups ? I([.. Enumerable.Range(0, blocks * Block).Select(i => i * 7 % blocks)]) : null;
        Tensor?[] inputs = [F(a), Tensor.From<byte>("b", packed, n, blocks, bytes), flat ? scales.Reshape(n * blocks) : scales, zero, index, bias ? F([n]) : null];
        return new($"{bits} bits: {note}", [.. inputs.Take(bias ? 6 : groups ? 5 : zero is null ? 3 : 4)],
            node => node.With("K", (long)k).With("N", (long)n).With("bits", (long)bits).With("block_size", (long)Block).With("accuracy_level", (long)accuracy))
        {
            Vary = bias ? [0, 5] : [0],
        };
    }

    private static GradientCase Bnb4(long type, long n, long k, int block)
    {
        int blocks = (int)(((n * k) + block - 1) / block);
        return new($"type {type}, [{n}, {k}] in blocks of {block}", [F([2, 3, k]), U8([((n * k) + 1) / 2]), F([blocks], 0.3f, 0.6f)], node => node.With("K", k).With("N", n).With("block_size", (long)block).With("quant_type", type)) { Vary = [0] };
    }

    private static Tensor Zero(short value) => Tensor.Scalar("z", value);
}
