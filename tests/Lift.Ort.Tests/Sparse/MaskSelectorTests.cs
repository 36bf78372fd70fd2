using Lift.Ort.Devices.Cpu;
using Lift.Ort.Onnx;
using Lift.Ort.Sparse;

namespace Lift.Ort.Tests.Sparse;

[TestClass]
public sealed class MaskSelectorTests
{
    private const int Rows = 40, Columns = 30, K = 120, Rank = 4;
    private static readonly CpuDevice device = new();
    private static readonly float[] values = Numbers.Normal(Rows * Columns, 1), gradient = Numbers.Normal(Rows * Columns, 2);

    // What each selection has to find, or null where chance decides.
    private static readonly Dictionary<string, Func<IEnumerable<double>>?> cases = new()
    {
        ["lift"] = () => Numbers.Oracle(values, Rows, Columns, Rank).Select(x => Math.Abs((double)x)),
        ["lift-smallest"] = () => Numbers.Oracle(values, Rows, Columns, Rank).Select(x => -Math.Abs((double)x)),
        ["weight-magnitude"] = () => values.Select(x => Math.Abs((double)x)),
        ["gradient-magnitude"] = () => gradient.Select(x => Math.Abs((double)x)),
        ["movement"] = () => gradient.Zip(values, (g, w) => -(double)g * w),
        ["momentum"] = () => gradient.Select(x => Math.Abs((double)x)),
        ["lift-random-rank"] = null,
        ["random"] = null,
        ["random-block"] = null,
        ["full"] = null,
    };

    public static IEnumerable<object[]> Names => MaskSelector.Names.Select(n => new object[] { n });

    [TestMethod, DynamicData(nameof(Names))]
    public void Selection_keeps_its_contract(string name)
    {
        Assert.IsTrue(cases.TryGetValue(name, out var scores), $"the selection '{name}' has no case here");
        int[]? found = Select(name, Weight(), 0);
        if (name == "full")
        {
            Assert.IsNull(found);
            return;
        }
        Assert.HasCount(K, found!);
        new Mask("w", [Rows, Columns], found).Check();
        CollectionAssert.AreEqual(found, Select(name, Weight(), 0), "the same seed gives the same mask");
        if (scores is not null) CollectionAssert.AreEqual(Numbers.Top(scores(), K), found);
        else CollectionAssert.AreNotEqual(found, Select(name, Weight(), 1), "another refresh draws another mask");
    }

    [TestMethod, DynamicData(nameof(Names))]
    public void Vectors_and_16_bit_weights_can_be_selected_from(string name)
    {
        Tensor vector = Tensor.From<float>("v", Numbers.Normal(50, 3), 50), image = Tensor.From<Half>("conv", Array.ConvertAll(Numbers.Normal(400, 4), x => (Half)x), 8, 2, 5, 5);
        using var selector = new MaskSelector(Options(name) with { Budget = Budget.Density(0.1) }, device);
        using WeightStatistics statistics = Statistics(selector, [vector, image], Numbers.Normal(450, 5));
        Refresh found = selector.Select([vector, image], 0, null, statistics);
        Assert.AreEqual(name == "full" ? 450 : 45, found.Total.K);
        foreach (Mask mask in found.Masks) mask.Check();
    }

    [TestMethod]
    public void A_transposed_weight_gets_the_transposed_mask()
    {
        float[] transposed = [.. Enumerable.Range(0, values.Length).Select(p => values[p % Rows * Columns + p / Rows])];
        int[] mask = Select("lift", Weight(), 0)!, other = Select("lift", Numbers.Weight(transposed, Columns, Rows), 0)!;
        CollectionAssert.AreEqual(mask, other.Select(p => p % Rows * Columns + p / Rows).Order().ToArray());
    }

    [TestMethod]
    public void Random_masks_cover_the_weight_evenly()
    {
        var hits = new int[Rows * Columns];
        using var selector = new MaskSelector(Options("random"), device);
        for (int refresh = 0; refresh < 400; refresh++)
        {
            foreach (int p in selector.Select([Weight()], refresh).Masks[0].Positions!) hits[p]++;
        }
        Assert.IsTrue(hits.All(h => h is > 10 and < 80), $"{hits.Min()} to {hits.Max()} hits, 40 expected");
    }

    [TestMethod]
    public void Random_blocks_are_blocks()
    {
        var random = Select("random-block", Weight(), 0)!.ToHashSet();
        int whole = 0;
        for (int top = 0; top < Rows; top += 4)
        {
            for (int left = 0; left < Columns; left += 4)
            {
                var block = Enumerable.Range(0, 16).Where(i => left + i % 4 < Columns).Select(i => (top + i / 4) * Columns + left + i % 4).ToArray();
                int inside = block.Count(random.Contains);
                whole += inside == block.Length ? 1 : 0;
            }
        }
        Assert.IsGreaterThanOrEqualTo(K / 16, whole);
    }

    [TestMethod]
    public void Reports_tell_budget_overlap_and_bound()
    {
        Tensor[] weights = [Weight(), Numbers.Weight(Numbers.Normal(300 * 300, 5), 300, 300).Rename("big")];
        using var selector = new MaskSelector(Options("lift") with { Budget = Budget.RankMatched(2), FilterRank = 20 }, device);
        var told = new List<RefreshReport>();
        Refresh first = selector.Select(weights, done: told.Add);
        Assert.IsTrue(double.IsNaN(first.Total.Overlap));
        Assert.AreEqual(140 + 1200, first.Total.K);
        CollectionAssert.AreEqual(first.Reports.ToArray(), told);
        Assert.AreEqual(0, first.Reports[0].Bound);
        Assert.IsGreaterThan(0, first.Reports[1].Bound);
        Assert.HasCount(1, selector.Bases);

        weights[0].AsSpan<float>()[0] += 100;
        Refresh second = selector.Select(weights, 1, first.Masks);
        Assert.AreEqual(second.Masks[0].Overlap(first.Masks[0]), second.Reports[0].Overlap);
        Assert.IsTrue(second.Total.Overlap is > 0.5 and < 1);
        Assert.IsGreaterThan(0, second.Total.Seconds);
    }

    [TestMethod]
    public void Restored_bases_give_the_same_refresh()
    {
        Tensor[] weights = [Numbers.Weight(Numbers.Normal(300 * 300, 5), 300, 300)];
        SelectionOptions options = Options("lift") with { FilterRank = 20 };
        using MaskSelector whole = new(options, device), resumed = new(options, device);
        whole.Select(weights);
        foreach (var (name, basis) in whole.Bases) resumed.Bases[name] = basis.Copy();
        CollectionAssert.AreEqual(whole.Select(weights, 1).Masks[0].Positions, resumed.Select(weights, 1).Masks[0].Positions);
    }

    [TestMethod]
    public void Statistics_are_means_sums_and_running_averages()
    {
        Tensor[] weights = [Tensor.From<float>("a", [2f, -1f], 2), Tensor.From<float>("b", [3f], 1)];
        float[][] steps = [[1, 2, 3], [3, -2, 1]];
        float[] Of(Statistic kind)
        {
            using var statistics = new WeightStatistics(device, weights, kind);
            foreach (float[] g in steps)
            {
                using var buffer = new CpuBuffer<float>(3);
                buffer.CopyFrom(g);
                statistics.Add(buffer);
            }
            return [.. statistics.Of(0).ToFloats(), .. statistics.Of(1).ToFloats()];
        }
        float[] Rounded(float[] x) => Array.ConvertAll(x, v => MathF.Round(v, 4));
        CollectionAssert.AreEqual(new float[] { 2, 0, 2 }, Rounded(Of(Statistic.Gradient)));
        CollectionAssert.AreEqual(new float[] { -8, 0, -12 }, Rounded(Of(Statistic.Movement)));
        CollectionAssert.AreEqual(new float[] { 0.39f, -0.02f, 0.37f }, Rounded(Of(Statistic.Momentum)));
    }

    [TestMethod]
    public void Wrong_options_and_missing_gradients_are_named()
    {
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => new MaskSelector(new() { Selection = "lfit" }, device)).Message, "weight-magnitude");
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => new MaskSelector(new() { FilterRank = 0 }, device)).Message, "filter rank 0");
        using var selector = new MaskSelector(Options("movement"), device);
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => selector.Select([Weight()])).Message, "'movement'");
    }

    private static Tensor Weight() => Numbers.Weight(values, Rows, Columns);

    private static SelectionOptions Options(string name) => new() { Selection = name, Budget = Budget.Density(K / (double)(Rows * Columns)), FilterRank = Rank, Seed = 7 };

    private static int[]? Select(string name, Tensor weight, int refresh)
    {
        using var selector = new MaskSelector(Options(name), device);
        using WeightStatistics statistics = Statistics(selector, [weight], gradient);
        return selector.Select([weight], refresh, null, statistics).Masks[0].Positions;
    }

    private static WeightStatistics Statistics(MaskSelector selector, Tensor[] weights, float[] dense)
    {
        var statistics = new WeightStatistics(device, weights, selector.Needs);
        using var buffer = new CpuBuffer<float>(dense.Length);
        buffer.CopyFrom(dense);
        if (selector.Needs != Statistic.None) statistics.Add(buffer);
        return statistics;
    }
}
