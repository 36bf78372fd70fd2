using Lift.Ort.Devices.Cpu;
using Lift.Ort.Onnx;

namespace Lift.Ort.Sparse.Selections;

/// <summary>The method's own rule: the k entries with the largest magnitude after rank reduction (Principal Weights; arXiv 2506.00772), or the smallest, for study.</summary>
internal sealed unsafe class Lift(SelectionOptions options, CpuDevice device, TopOrder order) : ISelection
{
    private readonly LowRank lowRank = new(device, options.LowRank);

    /// <summary>Subspace of each weight at its last refresh.</summary>
    public Dictionary<string, Tensor> Bases { get; } = [];

    public Selected Select(Candidate candidate)
    {
        var (rows, columns) = candidate.Matrix;
        string name = candidate.Weight.Name;
        Tensor weight = candidate.Weight.AsSingle();
        Tensor? basis = Bases.GetValueOrDefault(name);
        LowRankResult found = lowRank.Approximate(name, (float*)weight.Data, rows, columns, options.FilterRank, candidate.Seed, ref basis);
        if (options.WarmStart && basis is not null) Bases[name] = basis;
        int[] positions = TopMagnitude.Select(device, (float*)found.Data, rows * columns, candidate.K, order);
        GC.KeepAlive(weight);
        return new Selected(positions, found.Bound, found.Outers);
    }

    public void Dispose() => lowRank.Dispose();
}

/// <summary>For study: as <see cref="Lift"/>, but with r singular directions drawn at random instead of the r largest.</summary>
internal sealed unsafe class LiftRandomRank(SelectionOptions options, CpuDevice device) : ISelection
{
    private readonly LowRank lowRank = new(device, options.LowRank);

    public Selected Select(Candidate candidate)
    {
        var (rows, columns) = candidate.Matrix;
        int[] directions = [.. Enumerable.Range(0, Math.Min(rows, columns))];
        new System.Random(candidate.Seed).Shuffle(directions);
        Tensor weight = candidate.Weight.AsSingle();
        LowRankResult found = lowRank.Approximate(candidate.Weight.Name, (float*)weight.Data, rows, columns, directions[..Math.Min(options.FilterRank, directions.Length)]);
        int[] positions = TopMagnitude.Select(device, (float*)found.Data, rows * columns, candidate.K);
        GC.KeepAlive(weight);
        return new Selected(positions);
    }

    public void Dispose() => lowRank.Dispose();
}
