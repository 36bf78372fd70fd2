using Lift.Ort.Devices;
using Lift.Ort.Devices.Cpu;
using Lift.Ort.Onnx;
using Lift.Ort.Sparse;

namespace Lift.Ort.Tests.Sparse;

[TestClass]
public sealed class MaskedAdamWTests
{
    private const int Count = 1003;

    public static IEnumerable<object[]> Cases()
    {
        foreach (AdamWForm form in Enum.GetValues<AdamWForm>())
        {
            foreach (ElementType type in new[] { ElementType.Float, ElementType.BFloat16, ElementType.Float16 })
            {
                foreach (int k in new[] { 1, 7, 8, 93, Count }) yield return [form, type, k];
            }
        }
    }

    [TestMethod, DynamicData(nameof(Cases))]
    public void Three_steps_equal_a_plain_loop_in_float64(AdamWForm form, ElementType type, int k)
    {
        using var device = new CpuDevice();
        Tensor weight = Weight(type, 1), before = weight.Copy();
        int[] positions = Numbers.Top(Numbers.Normal(Count, 9).Select(x => (double)x), k);
        var options = new AdamWOptions { Form = form, WeightDecay = 0.1, ClipValue = 1.5, BiasCorrection = k != 93, Beta2 = 0.99 };
        using var optimizer = new Optimizer(device, [weight], options);
        optimizer.SetMasks([new Mask("w", weight.Dims, positions)]);
        double[] w = [.. weight.ToFloats()], m = new double[k], v = new double[k];
        using var gradient = new CpuBuffer<float>(k);
        for (int t = 1; t <= 3; t++)
        {
            float[] g = Numbers.Normal(k, t);
            gradient.CopyFrom(g);
            optimizer.Step(gradient, 0.01 * t, 0.5);
            for (int i = 0; i < k; i++) w[positions[i]] = Plain(options, t, 0.01 * t, w[positions[i]], 0.5 * g[i], ref m[i], ref v[i]);
        }

        Assert.IsLessThan(2e-6, Error(m, optimizer.Moments.First));
        Assert.IsLessThan(2e-6, Error(v, optimizer.Moments.Second));
        float[] after = weight.ToFloats(), old = before.ToFloats();
        double tolerance = type switch { ElementType.Float => 1e-6, ElementType.Float16 => 1e-3, _ => 8e-3 };
        for (int i = 0; i < Count; i++)
        {
            if (positions.Contains(i)) Assert.AreEqual(w[i], after[i], tolerance * (1 + Math.Abs(w[i])), $"entry {i}");
            else Assert.AreEqual(old[i], after[i], $"entry {i} is not selected");
        }
    }

    [TestMethod]
    public void Full_and_listed_positions_give_the_same_bits()
    {
        using var device = new CpuDevice();
        float[] Run(int[]? positions)
        {
            Tensor weight = Weight(ElementType.Float, 1);
            var moments = Moments.Zero(device, [weight], [new Mask("w", weight.Dims, null)]);
            using var listed = new CpuBuffer<int>(Count);
            listed.CopyFrom(Enumerable.Range(0, Count).ToArray());
            using var gradient = new CpuBuffer<float>(Count);
            gradient.CopyFrom(Numbers.Normal(Count, 5));
            Segment segment = moments.Segments[0] with { Positions = positions is null ? 0 : listed.Pointer };
            device.Run(new MaskedAdamW([segment], gradient, moments.First, moments.Second, null, new AdamWStep(new AdamWOptions(), 1, 0.1)));
            return weight.AsSpan<float>().ToArray();
        }
        CollectionAssert.AreEqual(Run(null), Run([]));
    }

    [TestMethod]
    public void Small_updates_of_16_bit_weights_add_up_in_their_master()
    {
        using var device = new CpuDevice();
        Tensor weight = Tensor.Empty("w", ElementType.BFloat16, [16]);
        weight.AsSpan<ushort>().Fill(0x3f80); // 1.0
        using var optimizer = new Optimizer(device, [weight]);
        optimizer.SetMasks([new Mask("w", [16], [3])]);
        using var gradient = new CpuBuffer<float>(1);
        gradient.CopyFrom([1f]);
        for (int t = 0; t < 200; t++) optimizer.Step(gradient, 1e-4); // each far below half a unit in the last place of 1.0
        Assert.AreEqual(0.98, weight.ToFloats()[3], 0.005);
        Assert.AreEqual(1f, weight.ToFloats()[4]);
    }

    [TestMethod]
    public void Norm_clipping_scales_the_whole_model_to_the_norm()
    {
        using var device = new CpuDevice();
        Tensor[] Weights() => [Weight(ElementType.Float, 1), Tensor.From<float>("u", Numbers.Normal(20, 2), 20)];
        float[] g = Numbers.Normal(Count + 20, 3);
        double norm = Math.Sqrt(g.Sum(x => (double)x * x)) * 0.25;

        float[] Run(AdamWOptions options, double scale, out double reported)
        {
            Tensor[] weights = Weights();
            using var optimizer = new Optimizer(device, weights, options);
            optimizer.SetMasks([.. weights.Select(w => new Mask(w.Name, w.Dims, null))]);
            using var gradient = new CpuBuffer<float>(g.Length);
            gradient.CopyFrom(g);
            optimizer.Step(gradient, 0.1, scale);
            reported = optimizer.GradientNorm;
            return [.. optimizer.Moments.First.ToArray()];
        }

        float[] clipped = Run(new AdamWOptions { ClipNorm = 0.5 }, 0.25, out double seen);
        Assert.AreEqual(norm, seen, 1e-6 * norm);
        Assert.IsLessThan(1e-6, Numbers.RelativeError(Run(new AdamWOptions(), 0.25 * 0.5 / norm, out _), clipped));
        CollectionAssert.AreEqual(Run(new AdamWOptions(), 0.25, out _), Run(new AdamWOptions { ClipNorm = 10 * norm }, 0.25, out _));
    }

    [TestMethod]
    public void Gradients_are_averaged_over_micro_batches()
    {
        using var device = new CpuDevice();
        using CpuBuffer<float> sum = new(300_001), a = new(300_001), b = new(300_001);
        a.CopyFrom(Numbers.Normal(300_001, 1));
        b.CopyFrom(Numbers.Normal(300_001, 2));
        sum.Span.Fill(float.NaN);
        device.Run(new AddScaled(sum, a, 0.25f, Overwrite: true));
        device.Run(new AddScaled(sum, b, 0.75f, Overwrite: false));
        for (int i = 0; i < sum.Length; i++) Assert.AreEqual(0.25f * a.Span[i] + 0.75f * b.Span[i], sum.Span[i], 1e-6f);

        double[] result = new double[1];
        device.Run(new SquaredNorm(a, result));
        double expected = a.Span.ToArray().Sum(x => (double)x * x);
        Assert.AreEqual(expected, result[0], 1e-10 * expected);
    }

    [TestMethod]
    public void Result_does_not_depend_on_the_threads()
    {
        float[] Run(int threads)
        {
            var device = new CpuDevice { Threads = threads };
            Tensor weight = Tensor.From<float>("w", Numbers.Normal(200_003, 1), 200_003);
            using var optimizer = new Optimizer(device, [weight], new AdamWOptions { ClipNorm = 1 });
            optimizer.SetMasks([new Mask("w", weight.Dims, [.. Enumerable.Range(0, 199_999)])]);
            using var gradient = new CpuBuffer<float>(199_999);
            gradient.CopyFrom(Numbers.Normal(199_999, 2));
            optimizer.Step(gradient, 0.1);
            return weight.AsSpan<float>().ToArray();
        }
        CollectionAssert.AreEqual(Run(1), Run(4));
    }

    [TestMethod]
    public void Wrong_numbers_and_types_are_named()
    {
        using var device = new CpuDevice();
        Tensor integers = Tensor.From<int>("ids", [1, 2], 2);
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => new Optimizer(device, [integers])).Message, "'ids'");
        (string Name, AdamWOptions Options)[] bad =
        [
            ("beta1", new() { Beta1 = 1 }), ("beta2", new() { Beta2 = -0.1 }), ("epsilon", new() { Epsilon = 0 }), ("weight decay", new() { WeightDecay = double.NaN }),
            ("clip norm", new() { ClipNorm = -1 }), ("clip value", new() { ClipValue = double.PositiveInfinity }),
        ];
        foreach (var (name, options) in bad) StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => options.Check()).Message, name);
    }

    [TestMethod]
    [DataRow(1, 4, false)]
    [DataRow(3, 4, true)]
    [DataRow(4, 4, false)]
    [DataRow(7, 4, true)]
    [DataRow(5, 1, true)]
    [DataRow(5, 0, false)]
    public void Refresh_comes_one_step_early(int step, int interval, bool due) => Assert.AreEqual(due, RefreshRule.IsDue(step, interval));

    private static double Plain(AdamWOptions o, int t, double rate, double w, double g, ref double m, ref double v)
    {
        g = Math.Clamp(g, -o.ClipValue, o.ClipValue);
        if (o.Form == AdamWForm.Sgd)
        {
            m = g;
            w -= rate * g;
            return w - rate * o.WeightDecay * w;
        }
        m = o.Beta1 * m + (1 - o.Beta1) * g;
        v = o.Beta2 * v + (1 - o.Beta2) * g * g;
        double c1 = o.BiasCorrection ? 1 - Math.Pow(o.Beta1, t) : 1, c2 = o.BiasCorrection ? 1 - Math.Pow(o.Beta2, t) : 1;
        if (o.Form == AdamWForm.Torch)
        {
            w -= rate * o.WeightDecay * w;
            return w - rate * (m / c1) / (Math.Sqrt(v / c2) + o.Epsilon);
        }
        w -= rate * Math.Sqrt(c2) / c1 * m / (Math.Sqrt(v) + o.Epsilon);
        return w - rate * o.WeightDecay * w;
    }

    private static Tensor Weight(ElementType type, int seed)
    {
        float[] values = Numbers.Normal(Count, seed);
        if (type == ElementType.Float) return Numbers.Weight(values, 17, 59);
        Tensor weight = Tensor.Empty("w", type, [17, 59]);
        for (int i = 0; i < Count; i++)
        {
            weight.AsSpan<ushort>()[i] = type == ElementType.Float16 ? BitConverter.HalfToUInt16Bits((Half)values[i]) : (ushort)(BitConverter.SingleToUInt32Bits(values[i]) >> 16);
        }
        return weight;
    }

    private static double Error(double[] expected, DeviceBuffer<float> actual) => Numbers.RelativeError([.. expected.Select(x => (float)x)], actual.ToArray());
}

internal static class Buffers
{
    public static float[] ToArray(this DeviceBuffer<float> buffer)
    {
        var result = new float[buffer.Length];
        buffer.CopyTo(result);
        return result;
    }
}
