using Lift.Ort.Devices;
using Lift.Ort.Onnx;

namespace Lift.Ort.Sparse.Selections;

/// <summary>The method's own rule: the k entries with the largest magnitude after rank reduction (Principal Weights; arXiv 2506.00772), or the smallest, for study.</summary>
internal sealed class Lift(SelectionOptions options, IDevice device, TopOrder order) : ISelection
{
    private readonly ILowRank lowRank = OpenLowRank.On(device, options.LowRank);

    /// <summary>Subspace of each weight at its last refresh.</summary>
    public Dictionary<string, Tensor> Bases { get; } = [];

    public int Batch(Candidate candidate) => lowRank.Batch(candidate.Matrix.Rows, candidate.Matrix.Columns, options.FilterRank);

    public Selected Select(Candidate candidate) => Select([candidate])[0];

    public IReadOnlyList<Selected> Select(IReadOnlyList<Candidate> batch)
    {
        var (rows, columns) = batch[0].Matrix;
        var found = new Selected[batch.Count];
        LowRankTask[] tasks = [.. batch.Select(c => new LowRankTask(c.Weight, rows, columns, c.Seed, Bases.GetValueOrDefault(c.Weight.Name)))];
        lowRank.Approximate(tasks, options.FilterRank, (i, result) =>
        {
            if (options.WarmStart && result.Basis is { } basis) Bases[tasks[i].Name] = basis;
            found[i] = new Selected(null, result.Bound, result.Outers) { Queued = TopMagnitude.Queue(device, result.Data, rows * columns, batch[i].K, order) };
        });
        return found;
    }

    public void Dispose() => lowRank.Dispose();
}

/// <summary>For study: as <see cref="Lift"/>, but with r singular directions drawn at random instead of the r largest.</summary>
internal sealed class LiftRandomRank(SelectionOptions options, IDevice device) : ISelection
{
    private readonly ILowRank lowRank = OpenLowRank.On(device, options.LowRank);

    public Selected Select(Candidate candidate)
    {
        var (rows, columns) = candidate.Matrix;
        int[] directions = [.. Enumerable.Range(0, Math.Min(rows, columns))];
        new System.Random(candidate.Seed).Shuffle(directions);
        Selected found = default;
        lowRank.Approximate(new LowRankTask(candidate.Weight, rows, columns, candidate.Seed, null), directions[..Math.Min(options.FilterRank, directions.Length)],
            result => found = new Selected(null) { Queued = TopMagnitude.Queue(device, result.Data, rows * columns, candidate.K) });
        return found;
    }

    public void Dispose() => lowRank.Dispose();
}
