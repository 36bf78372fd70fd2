using Lift.Ort.Devices;
using Lift.Ort.Devices.Cpu;
using Lift.Ort.Onnx;
using Lift.Ort.Sessions;
using Lift.Ort.Sparse;
using Lift.Ort.Tests.Devices;
using Lift.Ort.Training;

namespace Lift.Ort.Tests.Sparse;

/// <summary>Kernels over long vectors and over entries of weights: every device against plain loops.</summary>
[TestClass]
public sealed class VectorKernelsTests
{
    private static readonly int[] lengths = [1, 255, 256, 1000, 70_001];

    [TestMethod, AllDevices]
    public void AddScaled_and_WeightedSum_accumulate(string name)
    {
        using IDevice device = TestDevice.Open(name);
        foreach (int n in lengths)
        {
            float[] a = Numbers.Normal(n, 1), b = Numbers.Normal(n, 2);
            using DeviceBuffer<float> sum = device.Put(a), value = device.Put(b), second = device.Put(a);
            device.Run(new AddScaled(sum, value, 0.25f, Overwrite: false));
            CollectionAssert.AreEqual(a.Zip(b, (x, y) => x + y * 0.25f).ToArray(), sum.Get());
            device.Run(new AddScaled(sum, value, 0.5f, Overwrite: true));
            CollectionAssert.AreEqual(b.Select(y => y * 0.5f).ToArray(), sum.Get());
            device.Run(new WeightedSum(second, value, 0.5f, First: true));
            device.Run(new WeightedSum(second, value, 0.25f, First: false));
            CollectionAssert.AreEqual(b.Select(y => 0.5f * y + 0.25f * y).ToArray(), second.Get());
        }
    }

    [TestMethod, AllDevices]
    public void SquaredNorm_is_the_sum_of_squares_in_float64_and_the_same_every_time(string name)
    {
        using IDevice device = TestDevice.Open(name);
        foreach (int n in lengths)
        {
            float[] a = Numbers.Normal(n, 1);
            using DeviceBuffer<float> value = device.Put(a);
            double[] result = new double[1], again = new double[1];
            device.Run(new SquaredNorm(value, result));
            device.Run(new SquaredNorm(value, again));
            Assert.AreEqual(a.Sum(x => (double)x * x), result[0], 1e-12 * n);
            Assert.AreEqual(result[0], again[0]);
        }
    }

    [TestMethod, AllDevices]
    public void Entries_are_copied_out_and_in_by_position(string name)
    {
        using IDevice device = TestDevice.Open(name);
        foreach (ElementType type in new[] { ElementType.Float, ElementType.Float16 })
        {
            Tensor weight = device.Put(Half(type, 500, 1));
            int[] at = [0, 3, 4, 250, 499];
            using DeviceBuffer<int> positions = device.Put(at);
            int size = type.Bits() / 8;
            using DeviceBuffer<byte> entries = device.Allocate<byte>(at.Length * size);
            unsafe
            {
                device.Run(new CopyEntries((nint)weight.Data, size, positions, entries, Out: true));
                float[] all = device.Get(weight).ToFloats();
                var taken = Tensor.From<byte>("bytes", entries.Get(), at.Length * size);
                float[] values = new Tensor("values", type, [at.Length], taken.Data, taken).ToFloats();
                CollectionAssert.AreEqual(at.Select(p => all[p]).ToArray(), values);
                entries.CopyFrom([.. entries.Get().Reverse()]);
                device.Run(new CopyEntries((nint)weight.Data, size, positions, entries, Out: false));
            }
            byte[] before = Half(type, 500, 1).AsSpan<byte>().ToArray(), after = device.Get(weight).AsSpan<byte>().ToArray();
            byte[] reversed = [.. at.SelectMany(p => before[(p * size)..((p + 1) * size)]).Reverse()];
            for (int i = 0; i < 500; i++)
            {
                int entry = Array.IndexOf(at, i);
                CollectionAssert.AreEqual(entry < 0 ? before[(i * size)..((i + 1) * size)] : reversed[(entry * size)..((entry + 1) * size)], after[(i * size)..((i + 1) * size)], $"entry {i}");
            }
        }
    }

    [TestMethod, AllDevices]
    public void Weights_are_widened_and_statistics_add_up(string name)
    {
        using IDevice device = TestDevice.Open(name);
        foreach (ElementType type in new[] { ElementType.Float, ElementType.Float16, ElementType.BFloat16 })
        {
            Tensor host = Half(type, 700, 3), weight = device.Put(host);
            float[] w = host.ToFloats();
            using (DeviceBuffer<float> wide = device.Allocate<float>(700))
            {
                unsafe
                {
                    device.Run(new Widen((nint)weight.Data, type, wide));
                }
                CollectionAssert.AreEqual(w, wide.Get());
            }
            foreach (Statistic kind in new[] { Statistic.Gradient, Statistic.Movement, Statistic.Momentum })
            {
                using var statistics = new WeightStatistics(device, [weight], kind);
                float[] expected = new float[700];
                for (int step = 1; step <= 3; step++)
                {
                    float[] g = Numbers.Normal(700, step);
                    using DeviceBuffer<float> gradient = device.Put(g);
                    statistics.Add(gradient);
                    for (int i = 0; i < 700; i++)
                        expected[i] = kind switch { Statistic.Gradient => expected[i] + (g[i] - expected[i]) / step, Statistic.Movement => expected[i] - g[i] * w[i], _ => 0.9f * expected[i] + 0.1f * g[i] };
                }
                Assert.IsLessThan(1e-6, Numbers.RelativeError(expected, statistics.ToTensor().AsSpan<float>()), $"{kind} of {type}");
            }
        }
    }

    [TestMethod, AllDevices]
    public void Moments_follow_new_masks(string name)
    {
        using IDevice device = TestDevice.Open(name);
        Tensor[] weights = [device.Put(Half(ElementType.Float, 5000, 1)), device.Put(Half(ElementType.Float, 6, 2)), device.Put(Half(ElementType.BFloat16, 9000, 3))];
        Mask[] old = [Every(weights[0], 3, 0), new("w", [6], null), Every(weights[2], 2, 1)], next = [Every(weights[0], 2, 0), new("w", [6], [2, 5]), Every(weights[2], 3, 0)];
        using var moments = Moments.Zero(device, weights, old);
        float[] m = Numbers.Normal((int)moments.Length, 4), v = Numbers.Normal((int)moments.Length, 5), masters = moments.Master!.Get();
        float[] half = device.Get(weights[2]).ToFloats();
        CollectionAssert.AreEqual(old[2].Positions!.Select(p => half[p]).ToArray(), masters);
        moments.First.CopyFrom(m);
        moments.Second.CopyFrom(v);
        moments.Master!.CopyFrom(masters = [.. masters.Select(x => x + 0.001f)]);

        using Moments after = moments.CarryOver(next);

        float[] first = after.First.Get(), second = after.Second.Get(), master = after.Master!.Get();
        for (int w = 0; w < 3; w++)
        {
            int[] from = old[w].ToPositions(), to = next[w].ToPositions();
            for (int i = 0; i < to.Length; i++)
            {
                int was = Array.BinarySearch(from, to[i]);
                Assert.AreEqual(was < 0 ? 0 : m[moments.Segments[w].Offset + was], first[after.Segments[w].Offset + i]);
                Assert.AreEqual(was < 0 ? 0 : v[moments.Segments[w].Offset + was], second[after.Segments[w].Offset + i]);
                if (w == 2) Assert.AreEqual(was < 0 ? half[to[i]] : masters[was], master[i]);
            }
        }
    }

    [TestMethod, AllDevices]
    public void GatherEntries_takes_the_selected_entries_of_dense_gradients(string name)
    {
        using IDevice device = TestDevice.Open(name);
        Tensor[] weights = [device.Put(Half(ElementType.Float, 5000, 1)), device.Put(Half(ElementType.Float, 60, 2))];
        Mask[] masks = [Every(weights[0], 3, 1), new("w", [60], null)];
        using var moments = Moments.Zero(device, weights, masks);
        float[] dense = Numbers.Normal(5060, 6);
        using DeviceBuffer<float> gradient = device.Put(dense), compact = device.Allocate<float>(moments.Length);
        device.Run(new GatherEntries(moments.Segments, gradient, [0, 5000], compact));
        float[] expected = [.. masks[0].Positions!.Select(p => dense[p]), .. dense[5000..]];
        CollectionAssert.AreEqual(expected, compact.Get());
    }

    [TestMethod, AllDevices]
    public void Optimizer_updates_every_kind_of_weight_as_the_cpu_does(string name)
    {
        using IDevice device = TestDevice.Open(name);
        using var cpu = new CpuDevice();
        foreach (AdamWForm form in Enum.GetValues<AdamWForm>())
        {
            var options = new AdamWOptions { Form = form, WeightDecay = 0.1, ClipValue = 1.5, ClipNorm = 20 };
            Tensor[] host = [.. new[] { ElementType.Float, ElementType.Float16, ElementType.BFloat16, ElementType.Float }.Select((t, i) => Half(t, 3001 + i, i).Rename($"w{i}"))];
            Tensor[] expected = [.. host.Select(w => w.Copy())], actual = [.. host.Select(device.Put)];
            Mask[] masks = [.. host.Select((w, i) => i == 3 ? new Mask(w.Name, w.Dims, null) : Every(w, i + 2, i))];
            using Optimizer reference = new(cpu, expected, options), tested = new(device, actual, options);
            reference.SetMasks(masks);
            tested.SetMasks(masks);
            for (int t = 1; t <= 3; t++)
            {
                float[] g = Numbers.Normal((int)reference.Moments.Length, t);
                using DeviceBuffer<float> a = cpu.Put(g), b = device.Put(g);
                reference.Step(a, 0.01 * t, 0.5);
                tested.Step(b, 0.01 * t, 0.5);
                Assert.AreEqual(reference.GradientNorm, tested.GradientNorm, 1e-9 * reference.GradientNorm);
            }
            for (int i = 0; i < host.Length; i++) Assert.IsLessThan(1e-3, Numbers.RelativeError(expected[i].ToFloats(), device.Get(actual[i]).ToFloats()), $"{host[i]}");
            Assert.IsLessThan(1e-6, Numbers.RelativeError(reference.Moments.First.Get(), tested.Moments.First.Get()));
            Assert.IsLessThan(1e-6, Numbers.RelativeError(reference.Moments.Second.Get(), tested.Moments.Second.Get()));
            Assert.IsLessThan(1e-6, Numbers.RelativeError(reference.Moments.Master!.Get(), tested.Moments.Master!.Get()));
        }
    }

    [TestMethod, AllDevices]
    public void TopMagnitude_takes_the_same_positions_as_a_plain_sort(string name)
    {
        using IDevice device = TestDevice.Open(name);
        foreach (TopOrder order in Enum.GetValues<TopOrder>())
        {
            foreach (int n in new[] { 1, 17, 4096, 50_003 })
            {
                foreach (float[] x in new[] { Numbers.Normal(n, 1), Array.ConvertAll(Numbers.Normal(n, 2), v => MathF.Round(v * 3) / 3), new float[n] })
                {
                    foreach (int k in new[] { 1, Math.Max(1, n / 20), n })
                    {
                        using DeviceBuffer<float> scores = device.Put(x);
                        int[] expected = Numbers.Top(x.Select(v => order switch { TopOrder.LargestMagnitude => Math.Abs((double)v), TopOrder.SmallestMagnitude => -Math.Abs((double)v), _ => v == 0 ? (float.IsNegative(v) ? -1e-300 : 0) : v }), k);
                        CollectionAssert.AreEqual(expected, TopMagnitude.Select(device, scores.Pointer, n, k, order), $"{order}, {k} of {n}");
                    }
                }
            }
        }
    }

    private static Mask Every(Tensor weight, int step, int from) => new(weight.Name, weight.Dims, [.. Enumerable.Range(0, (int)weight.Count).Where(i => i % step == from)]);

    /// <summary>Normal numbers of any floating type.</summary>
    internal static Tensor Half(ElementType type, int count, int seed)
    {
        float[] values = Numbers.Normal(count, seed);
        if (type == ElementType.Float) return Tensor.From<float>("w", values, count);
        Tensor half = Tensor.Empty("w", type, [count]);
        Span<ushort> bits = half.AsSpan<ushort>();
        for (int i = 0; i < count; i++) bits[i] = HalfPrecision.Round(values[i], type);
        return half;
    }
}
