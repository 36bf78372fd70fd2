using System.Diagnostics;
using Lift.Ort.Devices;
using Lift.Ort.Onnx;
using Lift.Ort.Sparse.Selections;

namespace Lift.Ort.Sparse;

/// <summary>Chooses which entries of a model's weights are trained, by a selection's name, a budget and a seed. Keep it for a whole run: it remembers the bases that refreshes start from.</summary>
public sealed class MaskSelector : IDisposable
{
    private static readonly OrderedDictionary<string, Func<SelectionOptions, IDevice, ISelection>> table = new()
    {
        ["lift"] = (o, d) => new Selections.Lift(o, d, TopOrder.LargestMagnitude),
        ["weight-magnitude"] = (_, d) => new WeightMagnitude(d),
        ["gradient-magnitude"] = (_, d) => new StatisticRank(d, Statistic.Gradient, TopOrder.LargestMagnitude),
        ["movement"] = (_, d) => new StatisticRank(d, Statistic.Movement, TopOrder.LargestValue),
        ["momentum"] = (_, d) => new StatisticRank(d, Statistic.Momentum, TopOrder.LargestMagnitude),
        ["random"] = (_, _) => new Selections.Random(),
        ["random-block"] = (_, _) => new RandomBlock(),
        ["full"] = (_, _) => new Full(),
        ["lift-smallest"] = (o, d) => new Selections.Lift(o, d, TopOrder.SmallestMagnitude),
        ["lift-random-rank"] = (o, d) => new LiftRandomRank(o, d),
    };

    private const int MostPending = 32; // weights whose positions are on their way: they lie in page-locked memory meanwhile

    private readonly SelectionOptions options;
    private readonly ISelection selection;

    /// <exception cref="LiftException">An option is wrong; the message names it.</exception>
    public MaskSelector(SelectionOptions options, IDevice device)
    {
        this.options = options.Check();
        selection = table[options.Selection](options, device);
    }

    /// <summary>The names of all selections.</summary>
    public static IReadOnlyList<string> Names => [.. table.Keys];

    /// <summary>What <see cref="Select"/> wants to know beside the weights; give it a <see cref="WeightStatistics"/> of this kind.</summary>
    public Statistic Needs => selection.Needs;

    /// <summary>Selects entries of every weight.</summary>
    /// <param name="weights">float32, float16 or bfloat16; not changed.</param>
    /// <param name="refresh">0 for the first masks of a run, then 1, 2, …: with the seed it fixes every random choice.</param>
    /// <param name="previous">The masks so far, in the weights' order, for the reported overlap.</param>
    /// <param name="statistics">Needed where <see cref="Needs"/> says so.</param>
    /// <param name="done">Told after each weight.</param>
    /// <exception cref="LiftException">A weight holds NaN or infinity, is too large, or a statistic is missing.</exception>
    public Refresh Select(
        IReadOnlyList<Tensor> weights, int refresh = 0, IReadOnlyList<Mask>? previous = null, WeightStatistics? statistics = null, Action<RefreshReport>? done = null)
    {
        if (Needs != Statistic.None && statistics?.Kind != Needs)
        {
            throw new LiftException($"Selection '{options.Selection}' needs gradients of training batches, which are not there; train with it, or take one of lift, weight-magnitude, random.");
        }
        var pending = new Queue<Task<Chosen>>(); // positions come to the host, and are compared with those before, while the device works on the next weights
        var masks = new Mask[weights.Count];
        var reports = new RefreshReport[weights.Count];
        long common = 0, union = 0, started = Stopwatch.GetTimestamp();
        try
        {
            foreach (int[] group in Groups(weights))
            {
                long from = Stopwatch.GetTimestamp();
                IReadOnlyList<Selected> found = SelectFrom(group, weights, refresh, statistics);
                double seconds = Stopwatch.GetElapsedTime(from).TotalSeconds / group.Length;
                foreach (var (i, selected) in group.Zip(found)) pending.Enqueue(Task.Run(() => Chosen.Of(i, weights[i], selected, previous?[i], seconds)));
                while (pending.TryPeek(out Task<Chosen>? first) && (first.IsCompleted || pending.Count > MostPending)) Take(pending.Dequeue());
            }
            while (pending.TryDequeue(out Task<Chosen>? rest)) Take(rest);
        }
        finally
        {
            foreach (Task<Chosen> left in pending) ((IAsyncResult)left).AsyncWaitHandle.WaitOne(); // a failure: nothing may be under way when the device goes
        }
        var total = new RefreshReport(
            "", masks.Sum(m => m.Length), previous is null ? double.NaN : union == 0 ? 1 : common / (double)union,
            reports.Max(r => (double?)r.Bound) ?? 0, reports.Max(r => (int?)r.Outers) ?? 0, Stopwatch.GetElapsedTime(started).TotalSeconds);
        return new Refresh(masks, reports, total);

        void Take(Task<Chosen> one)
        {
            Chosen chosen = one.GetAwaiter().GetResult();
            masks[chosen.Index] = chosen.Mask;
            common += chosen.Common;
            union += chosen.Union;
            reports[chosen.Index] = chosen.Report;
            done?.Invoke(chosen.Report);
        }
    }

    /// <summary>The bases that the next refresh starts from, by weight; save them with a run so that it goes on exactly as it would have.</summary>
    public IDictionary<string, Tensor> Bases => (selection as Selections.Lift)?.Bases ?? new Dictionary<string, Tensor>();

    public void Dispose() => selection.Dispose();

    /// <summary>The weights in groups that the rule takes at a time: in order where it takes one, by shape and type where it takes more.</summary>
    private IEnumerable<int[]> Groups(IReadOnlyList<Tensor> weights)
    {
        int Batch(int i) => TakesAll(weights[i]) ? 1 : selection.Batch(new Candidate(weights[i], 1, 0, null));
        return weights.Index().Select(w => (w.Index, Batch: Batch(w.Index)))
            .GroupBy(w => w.Batch == 1 ? (w.Index, "") : (-1, weights[w.Index].TensorType.ToString()))
            .SelectMany(g => g.Select(w => w.Index).Chunk(g.First().Batch));
    }

    private bool TakesAll(Tensor weight) => selection.SelectsAll || options.Budget.For(weight.Dims) >= weight.Count;

    private IReadOnlyList<Selected> SelectFrom(int[] group, IReadOnlyList<Tensor> weights, int refresh, WeightStatistics? statistics)
    {
        if (TakesAll(weights[group[0]])) return [new Selected(null)];
        foreach (Tensor weight in group.Select(i => weights[i]))
        {
            if (weight.Count > int.MaxValue) throw new LiftException($"Weight '{weight.Name}' has {weight.Count} entries; positions reach to {int.MaxValue}, so freeze it or train all of it.");
        }
        return selection.Select([.. group.Select(i => new Candidate(weights[i], (int)options.Budget.For(weights[i].Dims), HashCode(options.Seed, i, refresh), statistics?.Of(i)))]);
    }

    /// <summary>The same on every machine and in every run, unlike <see cref="System.HashCode"/>.</summary>
    private static int HashCode(int seed, int index, int refresh)
    {
        ulong x = ((ulong)(uint)seed * 0x9e3779b97f4a7c15) ^ ((ulong)(uint)index << 32) ^ (uint)refresh;
        x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
        x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
        return (int)(x ^ (x >> 31)) & int.MaxValue;
    }

    /// <summary>One weight's new mask beside the one before: how many positions both have, and how many either has.</summary>
    private sealed record Chosen(int Index, Mask Mask, long Common, long Union, RefreshReport Report)
    {
        public static Chosen Of(int index, Tensor weight, Selected selected, Mask? previous, double seconds)
        {
            var mask = new Mask(weight.Name, weight.Dims, selected.Queued?.Wait() ?? selected.Positions);
            long common = previous is null ? 0 : mask.Common(previous), union = previous is null ? 0 : mask.Length + previous.Length - common;
            double overlap = previous is null ? double.NaN : union == 0 ? 1 : common / (double)union;
            return new(index, mask, common, union, new(mask.Weight, mask.Length, overlap, selected.Bound, selected.Outers, seconds));
        }
    }
}
