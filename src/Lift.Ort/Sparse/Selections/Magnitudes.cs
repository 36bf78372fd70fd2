using Lift.Ort.Devices.Cpu;
using Lift.Ort.Onnx;

namespace Lift.Ort.Sparse.Selections;

/// <summary>The k entries with the largest |w|.</summary>
internal sealed unsafe class WeightMagnitude(CpuDevice device) : ISelection
{
    public Selected Select(Candidate candidate)
    {
        Tensor weight = candidate.Weight.AsSingle();
        int[] positions = TopMagnitude.Select(device, (float*)weight.Data, (int)weight.Count, candidate.K);
        GC.KeepAlive(weight);
        return new Selected(positions);
    }
}

/// <summary>
/// The k entries that rank highest by a statistic of the gradients: |mean gradient|, |momentum|, or movement (Σ −g·w, by its signed value:
/// entries that the training drives away from zero come first; Sanh et al., arXiv 2005.07683).
/// </summary>
internal sealed unsafe class StatisticRank(CpuDevice device, Statistic statistic, TopOrder order) : ISelection
{
    public Statistic Needs => statistic;

    public Selected Select(Candidate candidate)
    {
        Tensor scores = candidate.Statistic ?? throw new ArgumentException($"no {statistic} for '{candidate.Weight.Name}'");
        int[] positions = TopMagnitude.Select(device, (float*)scores.Data, (int)scores.Count, candidate.K, order);
        GC.KeepAlive(scores);
        return new Selected(positions);
    }
}
