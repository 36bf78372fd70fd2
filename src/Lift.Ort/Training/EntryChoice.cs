using Lift.Ort.Devices;
using Lift.Ort.Sessions;
using Lift.Ort.Sparse;

namespace Lift.Ort.Training;

/// <summary>
/// The trained entries of a run: chooses them, tells session and optimizer, and remembers every entry that was ever trained, because those are
/// the ones that may differ from the model that came in.
/// </summary>
internal sealed class EntryChoice : IDisposable
{
    private readonly TrainingSession session;
    private readonly IDevice device;
    private readonly Optimizer optimizer;
    private readonly WeightStatistics? statistics;
    private DeviceBuffer<float>? compact;
    private Task<IReadOnlyList<Mask>> touched = Task.FromResult<IReadOnlyList<Mask>>([]); // only a saved state needs them: steps go on meanwhile

    public EntryChoice(TrainingSession session, IDevice device, Optimizer optimizer, TrainingOptions options)
    {
        (this.session, this.device, this.optimizer) = (session, device, optimizer);
        Selector = new MaskSelector(options.Choice(), device);
        if (Selector.Needs != Statistic.None) statistics = new WeightStatistics(device, optimizer.Weights, Selector.Needs);
    }

    public MaskSelector Selector { get; }

    /// <summary>Choices made so far.</summary>
    public int Count { get; private set; }

    /// <summary>The entries that are trained now, in the weights' order; empty before the first choice.</summary>
    public IReadOnlyList<Mask> Masks { get; private set; } = [];

    /// <summary>All entries that were ever trained, in the weights' order; waits until they are put together.</summary>
    public IReadOnlyList<Mask> Touched => touched.GetAwaiter().GetResult();

    /// <summary>What a selection that ranks by gradients has gathered; null for the others.</summary>
    public WeightStatistics? Statistics => statistics;

    /// <summary>The selected entries of the session's last gradient.</summary>
    public DeviceBuffer<float> Gradient
    {
        get
        {
            if (statistics is null) return session.Gradients;
            device.Run(new GatherEntries(optimizer.Moments.Segments, session.Gradients, Offsets(), compact!));
            return compact!;
        }
    }

    /// <summary>Chooses anew from the weights as they are.</summary>
    public Refresh Choose()
    {
        Refresh refresh = Selector.Select(optimizer.Weights, Count, Masks.Count == 0 ? null : Masks, statistics);
        optimizer.SetMasks(refresh.Masks);
        Apply(refresh.Masks, touched, Count + 1);
        return refresh;
    }

    /// <summary>Sets choices that were made before a run was saved.</summary>
    public void Apply(IReadOnlyList<Mask> masks, IReadOnlyList<Mask> touched, int count) => Apply(masks, Task.FromResult(touched), count);

    private void Apply(IReadOnlyList<Mask> masks, Task<IReadOnlyList<Mask>> before, int count)
    {
        (Masks, Count) = (masks, count);
        touched = Task.Run(async () =>
        {
            IReadOnlyList<Mask> old = await before.ConfigureAwait(false);
            return old.Count == 0 ? masks : [.. old.Zip(masks, (a, b) => a.Union(b))];
        });
        if (statistics is null)
        {
            session.SetMasks(masks.ToDictionary(m => m.Weight, m => m.Positions));
            return;
        }
        compact?.Dispose();
        compact = device.Allocate<float>(optimizer.Moments.Length);
    }

    /// <summary>Adds the session's last gradient to the statistics of selections that need them.</summary>
    public void Observe() => statistics?.Add(session.Gradients);

    public void Dispose()
    {
        Selector.Dispose();
        statistics?.Dispose();
        compact?.Dispose();
    }

    /// <summary>Where each weight begins in the dense gradient.</summary>
    private long[] Offsets()
    {
        long at = 0;
        return [.. optimizer.Weights.Select(w => (at += w.Count) - w.Count)];
    }
}
