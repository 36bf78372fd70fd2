using Lift.Ort.Onnx;

namespace Lift.Ort.Tests.Operators;

internal static partial class OperatorCases
{
    private static IEnumerable<OperatorCase> CrossEntropyStep()
    {
        foreach (LossExample e in LossExamples().Where(e => e.LabelDims.Length == 1 && e.Weights is null))
            foreach (ElementType type in new[] { ElementType.Int64, ElementType.Int32 })
            {
                var (dy, _, dx) = Gradient(e, "mean");
                var (_, losses, weight, _) = PlainLoss(e, _ => 1);
                (string, object)[] attributes = e.Ignored is { } index ? [("ignore_index", index)] : [];
                yield return new(Own("CrossEntropyStep", attributes) with { Outputs = 2 }, [e.Scores, new(type, e.LabelDims, e.Labels), dy], dx, LossOf(losses, weight, "mean")[0]) { HasFallback = false };
            }
    }

    private static IEnumerable<OperatorCase> GatedUnit()
    {
        foreach (var (g, u, _) in GatedExamples()) yield return new(Own("GatedUnit"), [g, u], g.Zip(u, (a, b) => a * Sigmoid(a) * b)) { HasFallback = false };
    }

    private static IEnumerable<OperatorCase> GatedUnitGrad()
    {
        foreach (var (g, u, dy) in GatedExamples())
        {
            Grid dGate = g.Zip(u, (a, b) => b * (Sigmoid(a) + a * Sigmoid(a) * (1 - Sigmoid(a)))).Zip(dy, (a, d) => a * d), dUp = g.Zip(dy, (a, d) => d * a * Sigmoid(a));
            yield return new(Own("GatedUnitGrad") with { Outputs = 2 }, [dy, g, u], dGate, dUp) { HasFallback = false };
        }
    }

    private static IEnumerable<(Grid Gate, Grid Up, Grid Dy)> GatedExamples() =>
        new long[][] { [1], [0, 3], [2, 3, 5], [100, 300] }.Select(dims => (Grid.Normal(51, dims).Map(v => 3 * v), Grid.Normal(52, dims), Grid.Normal(53, dims)));

    private static IEnumerable<OperatorCase> Rotary()
    {
        foreach (var (batch, time, width) in new (long, long, long)[] { (1, 1, 2), (3, 4, 6), (0, 4, 6), (2, 5, 34), (40, 20, 64) })
        {
            Grid x = Grid.Normal(54, batch, 2, time, width), cosine = Grid.Normal(55, time, width), sine = Grid.Normal(56, time, width), y = Grid.Zeros(x.Dims), back = Grid.Zeros(x.Dims);
            long half = width / 2;
            foreach (long[] at in x.Positions())
            {
                long d = at[^1], t = at[^2];
                long[] other = [.. at[..^1], d < half ? d + half : d - half];
                double turned = d < half ? -x[other] : x[other];
                y[at] = x[at] * cosine[t, d] + turned * sine[t, d];
                back[at] += x[at] * cosine[t, d]; // the transpose of the same lines: x plays the part of dy
                back[other] += (d < half ? -1 : 1) * x[at] * sine[t, d];
            }
            yield return new(Own("Rotary"), [x, cosine, sine], y) { HasFallback = false };
            yield return new(Own("Rotary", ("backward", 1)), [x, cosine, sine], back) { HasFallback = false };
        }
    }

    /// <summary>Every float16 number, and bfloat16 numbers of all sizes.</summary>
    private static IEnumerable<OperatorCase> Widen()
    {
        double[] halves = [.. Enumerable.Range(0, 1 << 16).Select(b => (double)BitConverter.UInt16BitsToHalf((ushort)b)).Where(double.IsFinite)];
        double[] tops = [.. Enumerable.Range(0, 1 << 16).Select(b => (double)BitConverter.UInt32BitsToSingle((uint)b << 16)).Where(v => double.IsFinite(v) && Math.Abs(v) < 1e30)];
        foreach (var (type, all) in new[] { (ElementType.Float16, halves), (ElementType.BFloat16, tops) })
            foreach (double[] values in new[] { all, all[^37..], [] })
                yield return new(Own("Widen", ("use", 3)), [new TestTensor(type, [values.Length], values)], new TestTensor(ElementType.Float, [values.Length], values)) { HasFallback = false, Tolerance = 0 };
    }

    /// <summary>One number, one per row and block, or one per entry, as scale and as zero point.</summary>
    private static IEnumerable<OperatorCase> DequantizeNBits()
    {
        foreach (int bits in new[] { 2, 4, 8 })
            foreach (var (rows, blocks, bytes) in new (long, long, long)[] { (1, 1, 1), (3, 2, 5), (70, 40, 16) })
                foreach (var (scaleDims, zeroDims) in new (long[], long[])[] { ([rows, blocks, 1], []), ([rows, blocks, 1], [rows, blocks, 1]), ([], []), ([rows, blocks, bytes * 8 / bits], [rows, blocks, 1]) })
                {
                    var random = new Random(bits);
                    long size = bytes * 8 / bits;
                    double[] packed = [.. Enumerable.Range(0, (int)(rows * blocks * bytes)).Select(_ => (double)random.Next(256))];
                    Grid scale = Grid.Normal(61, scaleDims), zero = Grid.Normal(62, zeroDims).Map(v => Math.Round(4 * v)), y = Grid.Zeros(rows, blocks * size);
                    for (long r = 0; r < rows; r++)
                        for (long b = 0; b < blocks; b++)
                            for (long e = 0; e < size; e++)
                            {
                                int q = ((int)packed[(((r * blocks) + b) * bytes) + (e * bits / 8)] >> (int)(e * bits % 8)) & ((1 << bits) - 1);
                                double At(Grid g) => g.Rank == 0 ? g.Values[0] : g[r, b, g.Dims[2] == 1 ? 0 : e];
                                y[r, (b * size) + e] = (q - At(zero)) * At(scale);
                            }
                    yield return new(new OneNode("DequantizeNBits", ("bits", bits)), [new TestTensor(ElementType.UInt8, [rows, blocks, bytes], packed), scale, zero], y);
                }
    }

    private static OneNode Own(string op, params (string, object)[] attributes) => new(op, attributes) { Domain = "lift.ort" };
}
