using Lift.Ort.Onnx;
using Lift.Ort.Tests.Gradients;
using static Lift.Ort.Tests.Gradients.CaseData;

namespace Lift.Ort.Tests.Lowering;

/// <summary>Cases of small operators of ONNX Runtime's own; those that it runs on CUDA only are compared with a plain computation.</summary>
internal static partial class LoweringCases
{
    private static GradientCase[] Pads() =>
    [
        new("constant", [F([2, 3]), L(1, 0, 0, 2)]), new("value", [F([2, 3]), L(1, 0, 0, 2), S(0.7f)]), new("reflect", [F([3, 4]), L(1, 1, 0, 2)], n => n.With("mode", "reflect")), new("one row of pads", [F([2, 3]), L([1, 4], 0, 1, 1, 0)]),
    ];

    private static GradientCase[] Triangles() => [new("upper", [F([3, 3])]), new("lower", [F([2, 3, 4]), S(1L)], n => n.With("upper", 0L))];

    private static GradientCase[] Grids() =>
        [.. from mode in new[] { "bilinear", "nearest" } from padding in new[] { "zeros", "border" } select new GradientCase($"{mode}, {padding}", [F([1, 2, 4, 5]), F([1, 2, 3, 2], -1.2f, 1.17f)], n => n.With("mode", mode).With("padding_mode", padding)) { Step = 2e-4f, Vary = mode == "nearest" ? [0] : [0, 1] }];

    private static GradientCase[] MoreAxes() => [new("in front", [F([2, 3]), S(0)]), new("from the end", [F([2, 3]), S(-1)])];

    private static GradientCase[] Samples() => [new("plain", [F([2, 3])])];

    private static GradientCase[] Unfolded() =>
        [new("last axis", [F([2, 7])], n => n.With("size", 3L).With("step", 2L)), new("middle", [F([2, 5, 3])], n => n.With("dim", 1L).With("size", 2L)), new("from the end", [F([6, 2])], n => n.With("dim", -2L).With("size", 6L))];

    private static GradientCase[] Distances() =>
        [.. new[] { "euclidean", "sqeuclidean" }.Select(metric => new GradientCase(metric, [F([3, 4]), F([5, 4], -1.3f, 1.4f, 2)], n => n.With("metric", metric)) { Step = 1e-3f })];

    private static GradientCase[] BiasedSoftmax()
    {
        GradientCase Of(string note, long[] x, long[] bias, long axis, long inner)
        {
            int width = (int)x[(int)axis..].Aggregate(1L, (p, d) => p * d);
            return new(note, [F(x), F(bias, seed: 2)], n => n.With("axis", axis).With("is_inner_broadcast", inner))
            {
                Expected = () =>
                {
                    float[] a = F(x).ToFloats(), b = F(bias, seed: 2).ToFloats();
                    long[] wide = [.. Enumerable.Repeat(1L, x.Length - bias.Length), .. bias];
                    double[] sum = [.. a.Select((v, i) => { long at = 0, rest = i, stride = 1; for (int d = x.Length - 1; d >= 0; d--) { at += rest % x[d] % wide[d] * stride; stride *= wide[d]; rest /= x[d]; } return v + b[at]; })];
                    return new Dictionary<string, float[]> { ["y"] = [.. sum.Chunk(width).SelectMany(row => { double all = row.Sum(Math.Exp); return row.Select(v => (float)(Math.Exp(v) / all)); })] };
                },
            };
        }
        return [Of("a mask of keys", [2, 2, 3, 4], [2, 1, 1, 4], 3, 1), Of("a bias for all rows", [3, 2, 4], [2, 4], 2, 0), Of("two axes", [2, 3, 2], [1, 3, 2], 1, 0)];
    }

    private static GradientCase[] BiasedDropout() =>
    [
        new("bias", [F([2, 3]), F([3], seed: 2)]) { Expected = () => new Dictionary<string, float[]> { ["y"] = Sum([2, 3], [3]) } },
        new("residual, ratio", [F([2, 3]), F([3], seed: 2), F([2, 3], seed: 3), S(0.4f)]) { Vary = [0, 1, 2], Expected = () => new Dictionary<string, float[]> { ["y"] = [.. Sum([2, 3], [3]).Zip(F([2, 3], seed: 3).ToFloats(), (a, b) => a + b)] } },
    ];

    private static float[] Sum(long[] x, long[] bias) => [.. F(x).ToFloats().Select((v, i) => v + F(bias, seed: 2).ToFloats()[i % bias[0]])];

    private static GradientCase[] Bitmask() => [new("plain", [F([2, 3]), S(0.4f)]) { Vary = [0], Expected = () => new Dictionary<string, float[]> { ["y"] = F([2, 3]).ToFloats() } }];

    private static GradientCase[] Complex(int sign)
    {
        Dictionary<string, float[]> Product(long[] x, long[] w)
        {
            float[] a = F(x).ToFloats(), b = F(w, seed: 2).ToFloats();
            return new() { ["y"] = [.. Enumerable.Range(0, a.Length / 2).Select(i => new System.Numerics.Complex(a[2 * i], a[2 * i + 1]) * new System.Numerics.Complex(b[2 * i % b.Length], sign * b[(2 * i + 1) % b.Length])).SelectMany(z => new[] { (float)z.Real, (float)z.Imaginary })] };
        }
        return [new("same", [F([3, 2]), F([3, 2], seed: 2)]) { Known = [(0, 1), (1, 1)], Expected = () => Product([3, 2], [3, 2]) }, new("repeated", [F([2, 3, 2]), F([3, 2], seed: 2)]) { Known = [(0, 2), (1, 1)], Expected = () => Product([2, 3, 2], [3, 2]) }];
    }

    private static GradientCase[] TableRows() =>
    [
        .. from padding in new Tensor?[] { null, S(-1L), S(2L) }
           select new GradientCase($"padding {padding?.ToLongs()[0]}", [F([4, 3]), L([2, 2], 1, 3, 1, 0), padding]) { Expected = () => new Dictionary<string, float[]> { ["y"] = [.. new[] { 1, 3, 1, 0 }.SelectMany(row => F([4, 3]).ToFloats()[(row * 3)..(row * 3 + 3)])] } },
    ];

    /// <summary>WavLM's bias in plain loops: 2 texts of 3 words, 2 heads of 4.</summary>
    private static GradientCase[] Gated()
    {
        Tensor[] inputs = [F([2, 3, 8]), F([8], seed: 2), F([1, 2, 3, 3], seed: 3), F([4, 6], seed: 4), F([6], seed: 5), F([1, 2, 1, 1], 0.5f, 1.5f, 6)];
        Dictionary<string, float[]> Expected()
        {
            float[] x = inputs[0].ToFloats(), bias = inputs[1].ToFloats(), positions = inputs[2].ToFloats(), w = inputs[3].ToFloats(), b = inputs[4].ToFloats(), eco = inputs[5].ToFloats();
            var y = new List<float>();
            for (int text = 0; text < 2; text++)
                for (int head = 0; head < 2; head++)
                    for (int word = 0; word < 3; word++)
                    {
                        double Half(int from) => 1 / (1 + Math.Exp(-Enumerable.Range(from, 3).Sum(j => b[j] + Enumerable.Range(0, 4).Sum(d => (x[(text * 3 + word) * 8 + head * 4 + d] + bias[head * 4 + d]) * (double)w[d * 6 + j]))));
                        for (int key = 0; key < 3; key++) y.Add((float)((Half(0) * (Half(3) * eco[head] - 1) + 2) * positions[(head * 3 + word) * 3 + key]));
                    }
            return new() { ["y"] = [.. y] };
        }
        return [new("plain", inputs, n => n.With("num_heads", 2L)) { Known = [(0, 2), (3, 1)], Expected = Expected }];
    }

    private static GradientCase[] Crops() =>
    [
        .. from mode in new[] { "bilinear", "nearest" }
           from size in new[] { new[] { 3, 4 }, [1, 2] }
           select new GradientCase($"{mode}, {size[0]} x {size[1]}", [F([2, 2, 5, 6]), Tensor.From<float>("r", [0.11f, 0.21f, 0.87f, 0.93f, -0.21f, 0.13f, 0.52f, 1.37f, 0.71f, 0.83f, 0.12f, 0.23f], 3, 4), I(0, 1, 0), I(size)], n => n.With("mode", mode).With("extrapolation_value", 0.3f)) { Vary = [0] },
    ];

    private static GradientCase[] RegionMaxima() =>
        [new("plain", [F([2, 3, 6, 7]), Tensor.From<float>("r", [0, 1, 1, 5, 4, 1, 0, 2, 3, 5, 0, 4, 4, 4, 4, 1, -3, -3, -1, 9], 4, 5)], n => n.With("pooled_shape", [2L, 3])) { Vary = [0], Step = 1e-3f },
            new("scaled", [F([1, 2, 5, 5]), Tensor.From<float>("r", [0, 1, 2, 9, 7], 1, 5)], n => n.With("pooled_shape", [3L, 2]).Set(new() { Name = "spatial_scale", Type = AttributeProto.Types.AttributeType.Float, F = 0.5f })) { Vary = [0], Step = 1e-3f }];

    private static GradientCase[] DynamicPads() =>
    [
        new("pads", [F([1, 2, 3, 3]), F([2, 3, 3, 3], seed: 2), L(1, 1, 1, 1), F([3])], n => n.With("strides", [2L, 2]).With("output_padding", [1L, 1])), new("uneven", [F([1, 2, 3, 4]), F([2, 3, 3, 3], seed: 2), L(1, 0, 0, 2)]),
    ];

    private static GradientCase[] ChannelsLast(bool fused)
    {
        Dictionary<string, float[]> Expected(bool bias, bool sum)
        {
            float[] x = F([1, 4, 5, 2]).ToFloats(), w = F([3, 2, 3, 3], seed: 2).ToFloats(), b = F([3]).ToFloats(), z = F([1, 2, 3, 3], seed: 3).ToFloats();
            var y = new List<float>();
            for (int i = 0; i < 2; i++)
                for (int j = 0; j < 3; j++)
                    for (int o = 0; o < 3; o++)
                    {
                        double v = (bias ? b[o] : 0) + (sum ? z[(i * 3 + j) * 3 + o] : 0);
                        for (int c = 0; c < 2; c++) for (int p = 0; p < 3; p++) for (int q = 0; q < 3; q++) v += x[((i + p) * 5 + j + q) * 2 + c] * (double)w[((o * 2 + c) * 3 + p) * 3 + q];
                        y.Add((float)(fused ? Math.Max(v, 0) : v));
                    }
            return new() { ["y"] = [.. y] };
        }
        void Activation(Node n) { if (fused) n.With("activation", "Relu"); }
        GradientCase plain = new("plain", [F([1, 4, 5, 2]), F([3, 2, 3, 3], seed: 2)], Activation) { Step = 1e-3f, Expected = () => Expected(false, false) };
        GradientCase biased = plain with { Note = "bias", Inputs = [.. plain.Inputs, F([3])], Expected = () => Expected(true, false) };
        return fused ? [plain, biased, biased with { Note = "sum", Inputs = [.. biased.Inputs, F([1, 2, 3, 3], seed: 3)], Expected = () => Expected(true, true) }] : [plain, biased];
    }

    /// <summary>Experts with gates: in alternating columns of the first layer, in its halves, and in a third layer; five tokens of width 6, four experts with a middle of 8.</summary>
    private static IEnumerable<GradientCase> Gates()
    {
        foreach (long fusion in new[] { 1L, 2, 0 })
        {
            Tensor[] first = fusion == 0 ? [F([4, 8, 6], seed: 3), F([4, 8])] : [F([4, 16, 6], seed: 3), F([4, 16])];
            Tensor[] inputs = [F([5, 6]), F([5, 4], seed: 2), .. first, F([4, 6, 8], seed: 4), F([4, 6], seed: 5), .. (Tensor[])(fusion == 0 ? [F([4, 8, 6], seed: 6), F([4, 8], seed: 7)] : [])];
            yield return new($"swiglu, {fusion}", inputs, n => n.With("k", 2L).With("activation_type", "swiglu").With("swiglu_fusion", fusion).With("swiglu_limit", 1.1f).With("activation_alpha", 1.702f).With("activation_beta", 1f).With("normalize_routing_weights", 1L))
            {
                Step = 3e-4f,
                Expected = () => new Dictionary<string, float[]> { ["y"] = PlainExperts(inputs, fusion, true) },
            };
            if (fusion == 0)
            {
                yield return new("silu with a third layer", inputs, n => n.With("k", 2L).With("activation_type", "silu")) { Step = 1e-3f, Expected = () => new Dictionary<string, float[]> { ["y"] = PlainExperts(inputs, -1, false) } };
            }
        }
    }

    private static float[] PlainExperts(Tensor[] inputs, long fusion, bool normalised)
    {
        float[] x = inputs[0].ToFloats(), router = inputs[1].ToFloats(), w1 = inputs[2].ToFloats(), b1 = inputs[3].ToFloats(), w2 = inputs[4].ToFloats(), b2 = inputs[5].ToFloats(), w3 = inputs.ElementAtOrDefault(6)?.ToFloats() ?? [], b3 = inputs.ElementAtOrDefault(7)?.ToFloats() ?? [];
        int width = b1.Length / 4;
        var y = new float[30];
        for (int token = 0; token < 5; token++)
        {
            double[] shares = [.. Enumerable.Range(0, 4).Select(e => Math.Exp(router[token * 4 + e]))];
            double total = shares.Sum();
            int[] best = [.. Enumerable.Range(0, 4).OrderByDescending(e => shares[e]).Take(2)];
            double chosen = normalised ? best.Sum(e => shares[e]) : total;
            foreach (int e in best)
            {
                double Layer(float[] w, float[] b, int unit) => b[e * (b.Length / 4) + unit] + Enumerable.Range(0, 6).Sum(i => (double)w[(e * (b.Length / 4) + unit) * 6 + i] * x[token * 6 + i]);
                double Middle(int unit)
                {
                    if (fusion < 0) return Layer(w1, b1, unit) / (1 + Math.Exp(-Layer(w1, b1, unit))) * Layer(w3, b3, unit);
                    double gate = fusion == 1 ? Layer(w1, b1, 2 * unit) : Layer(w1, b1, unit), value = fusion == 1 ? Layer(w1, b1, 2 * unit + 1) : fusion == 2 ? Layer(w1, b1, width / 2 + unit) : Layer(w3, b3, unit);
                    (gate, value) = (Math.Min(gate, 1.1f), Math.Clamp(value, -1.1f, 1.1f));
                    return gate / (1 + Math.Exp(-1.702f * gate)) * (value + 1);
                }
                for (int o = 0; o < 6; o++) y[token * 6 + o] += (float)(shares[e] / chosen * (b2[e * 6 + o] + Enumerable.Range(0, 8).Sum(u => w2[(e * 6 + o) * 8 + u] * Middle(u))));
            }
        }
        return y;
    }
}
