using Lift.Ort.Devices;
using Lift.Ort.Onnx;
using Lift.Ort.Sparse;
using Lift.Ort.Tests.Devices;

namespace Lift.Ort.Tests.Sparse;

/// <summary>Rank reduction and the masks that follow from it: every device against the CPU's exact answer.</summary>
[TestClass]
public sealed unsafe class LowRankOnDevicesTests
{
    [TestMethod, AllDevices]
    public void A_batch_of_matrices_is_approximated_within_its_bounds(string name)
    {
        using IDevice device = TestDevice.Open(name);
        foreach (var (rows, columns) in new[] { (300, 340), (340, 300) })
        {
            const int Rank = 24;
            float[][] w = [Numbers.Normal(rows * columns, 1, 0.02), Numbers.WithSpectrum(rows, columns, 3, Numbers.PowerLaw), Numbers.Normal(rows * columns, 5, 0.02)];
            foreach (ElementType type in new[] { ElementType.Float, ElementType.BFloat16 })
            {
                Tensor[] host = [.. w.Select((x, i) => As(type, x, $"w{i}", rows, columns))];
                LowRankTask[] tasks = [.. host.Select((t, i) => new LowRankTask(device.Put(t), rows, columns, i, null))];
                using ILowRank lowRank = OpenLowRank.On(device, new());
                var bases = new Tensor?[3];
                int[] cold = new int[3];
                lowRank.Approximate(tasks, Rank, (i, result) =>
                {
                    Assert.IsGreaterThan(0, result.Outers);
                    Assert.IsLessThanOrEqualTo(new LowRankOptions().Tolerance, result.Bound);
                    float[] exact = Exact(host[i], rows, columns, Rank), a = Read(device, result.Data, rows * columns);
                    Assert.IsLessThanOrEqualTo(result.Bound, Numbers.RelativeError(exact, a), $"{i} of {rows} x {columns} {type}");
                    Assert.IsGreaterThan(0.985, Overlap(exact, a), $"{i} of {rows} x {columns} {type}");
                    (bases[i], cold[i]) = (result.Basis, result.Products);
                });

                // The same matrices again, from the bases: nothing is left to do.
                lowRank.Approximate([.. tasks.Select((t, i) => t with { Warm = bases[i] })], Rank, (i, result) =>
                {
                    Assert.IsLessThan(cold[i], result.Products);
                    Assert.IsLessThanOrEqualTo(2 * new LowRankOptions().Tolerance, result.Bound);
                });
            }
        }
    }

    [TestMethod, AllDevices]
    public void The_exact_option_and_small_sides_agree_with_a_decomposition_that_is_not_ours(string name)
    {
        using IDevice device = TestDevice.Open(name);
        foreach (var (rows, columns, exact) in new[] { (60, 90, false), (90, 60, false), (60, 90, true), (90, 60, true), (300, 270, true) })
        {
            float[] w = Numbers.WithSpectrum(rows, columns, 5, Numbers.PowerLaw);
            using ILowRank lowRank = OpenLowRank.On(device, new() { Exact = exact });
            var task = new LowRankTask(device.Put(As(ElementType.Float, w, "w", rows, columns)), rows, columns, 1, null);
            lowRank.Approximate([task], 20, (_, result) => Assert.IsLessThan(1e-5, Numbers.RelativeError(Numbers.Oracle(w, rows, columns, 20), Read(device, result.Data, rows * columns)), $"{rows} x {columns}, exact {exact}"));
            float[] one = [];
            lowRank.Approximate(task, [0], result => one = Read(device, result.Data, rows * columns));
            Assert.IsLessThan(1e-5, Numbers.RelativeError(Numbers.Oracle(w, rows, columns, 1), one));
        }
    }

    [TestMethod, AllDevices]
    public void Scale_rank_and_unsound_numbers(string name)
    {
        using IDevice device = TestDevice.Open(name);
        using ILowRank lowRank = OpenLowRank.On(device, new());
        float[] w = Numbers.Normal(300 * 320, 1);
        float[] Approximate(float[] values, int rank)
        {
            float[] a = [];
            lowRank.Approximate([new LowRankTask(device.Put(As(ElementType.Float, values, "w", 300, 320)), 300, 320, 1, null)], rank, (_, r) => a = Read(device, r.Data, values.Length));
            return a;
        }
        float[] plain = Approximate(w, 10);
        foreach (float scale in new[] { 1e-25f, 1e25f }) Assert.IsGreaterThan(0.98, Overlap(plain, Approximate(Array.ConvertAll(w, x => x * scale), 10)));
        CollectionAssert.AreEqual(w, Approximate(w, 300));
        CollectionAssert.AreEqual(new float[300 * 320], Approximate(new float[300 * 320], 10));
        w[77] = float.NaN;
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => Approximate(w, 10)).Message, "'w'");
    }

    [TestMethod, AllDevices]
    public void Every_selection_chooses_as_the_cpu_does(string name)
    {
        using IDevice device = TestDevice.Open(name);
        Tensor[] host = [As(ElementType.Float, Numbers.Normal(300 * 280, 1), "a", 300, 280), As(ElementType.BFloat16, Numbers.Normal(280 * 300, 2), "b", 280, 300), As(ElementType.Float, Numbers.Normal(300 * 280, 3), "c", 300, 280), As(ElementType.Float, Numbers.Normal(40, 4), "d", 40)];
        foreach (string selection in MaskSelector.Names)
        {
            Refresh Choose(IDevice on, Tensor[] weights)
            {
                using var selector = new MaskSelector(new SelectionOptions { Selection = selection, FilterRank = 16 }, on);
                using WeightStatistics? statistics = selector.Needs == Statistic.None ? null : new(on, weights, selector.Needs);
                if (statistics is not null)
                {
                    using DeviceBuffer<float> gradient = on.Put(Numbers.Normal((int)statistics.Length, 9));
                    statistics.Add(gradient);
                }
                return selector.Select(weights, statistics: statistics);
            }
            using var cpu = new Ort.Devices.Cpu.CpuDevice();
            IReadOnlyList<Mask> expected = Choose(cpu, host).Masks, actual = Choose(device, [.. host.Select(device.Put)]).Masks;
            foreach (var (e, a) in expected.Zip(actual))
            {
                Assert.AreEqual(e.Weight, a.Weight);
                Assert.AreEqual(e.Length, a.Length);
                Assert.IsGreaterThan(selection.StartsWith("lift", StringComparison.Ordinal) ? 0.98 : 0.9999, e.Check().Overlap(a.Check()), $"{selection}, weight {e.Weight}");
            }
        }
    }

    private static float[] Exact(Tensor weight, int rows, int columns, int rank)
    {
        using var cpu = new Ort.Devices.Cpu.CpuDevice();
        using ILowRank lowRank = OpenLowRank.On(cpu, new() { Exact = true });
        float[] a = [];
        lowRank.Approximate([new LowRankTask(weight, rows, columns, 1, null)], rank, (_, r) => a = Read(cpu, r.Data, rows * columns));
        return a;
    }

    private static float[] Read(IDevice device, nint data, int count)
    {
        Tensor copy = device.Get(new Tensor("a", ElementType.Float, [count], (byte*)data, device));
        return copy.AsSpan<float>().ToArray();
    }

    private static double Overlap(float[] x, float[] y)
    {
        int[] Top(float[] a) => Numbers.Top(a.Select(v => Math.Abs((double)v)), a.Length / 20);
        return new Mask("w", [x.Length], Top(x)).Overlap(new Mask("w", [y.Length], Top(y)));
    }

    private static Tensor As(ElementType type, float[] values, string name, params long[] dims)
    {
        Tensor wide = Tensor.From<float>(name, values, dims);
        if (type == ElementType.Float) return wide;
        Tensor half = Tensor.Empty(name, type, dims);
        for (int i = 0; i < values.Length; i++) half.AsSpan<ushort>()[i] = HalfPrecision.Round(values[i], type);
        return half;
    }
}
