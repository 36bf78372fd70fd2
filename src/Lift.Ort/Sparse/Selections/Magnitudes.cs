using Lift.Ort.Devices;
using Lift.Ort.Onnx;

namespace Lift.Ort.Sparse.Selections;

/// <summary>The k entries with the largest |w|.</summary>
internal sealed class WeightMagnitude(IDevice device) : ISelection
{
    public Selected Select(Candidate candidate)
    {
        using DeviceBuffer<float>? copy = device.AsSingle(candidate.Weight, out nint weight);
        QueuedPositions positions = TopMagnitude.Queue(device, weight, (int)candidate.Weight.Count, candidate.K);
        GC.KeepAlive(candidate.Weight);
        return new Selected(null) { Queued = positions };
    }
}

/// <summary>
/// The k entries that rank highest by a statistic of the gradients: |mean gradient|, |momentum|, or movement (Σ −g·w, by its signed value:
/// entries that the training drives away from zero come first; Sanh et al., arXiv 2005.07683).
/// </summary>
internal sealed unsafe class StatisticRank(IDevice device, Statistic statistic, TopOrder order) : ISelection
{
    public Statistic Needs => statistic;

    public Selected Select(Candidate candidate)
    {
        Tensor scores = candidate.Statistic ?? throw new ArgumentException($"no {statistic} for '{candidate.Weight.Name}'");
        QueuedPositions positions = TopMagnitude.Queue(device, (nint)scores.Data, (int)scores.Count, candidate.K, order);
        GC.KeepAlive(scores);
        return new Selected(null) { Queued = positions };
    }
}
