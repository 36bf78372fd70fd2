namespace Lift.Ort.Sparse;

/// <summary>How the trained entries are chosen.</summary>
public sealed record SelectionOptions
{
    /// <summary>A name out of <see cref="MaskSelector.Names"/>; default "lift".</summary>
    public string Selection { get; init; } = "lift";

    /// <summary>How many entries per weight; default: density 0.05.</summary>
    public Budget Budget { get; init; } = Budget.Density(0.05);

    /// <summary>Rank r of the approximation that "lift" looks at; default 128. A rank at or above the shorter side of a weight leaves the weight as it is.</summary>
    public int FilterRank { get; init; } = 128;

    /// <summary>Fixes every random choice; default 0.</summary>
    public int Seed { get; init; }

    /// <summary>Tolerance of the low-rank approximation, or its exact form.</summary>
    public LowRankOptions LowRank { get; init; } = new();

    /// <summary>False drops the bases after each refresh (4·m·1.5·r bytes per weight), so that every refresh starts cold; default true.</summary>
    public bool WarmStart { get; init; } = true;

    /// <summary>A sentence where the filter rank reduces nothing for some weights, so that LIFT is plain magnitude selection there; null otherwise.</summary>
    /// <param name="weights">Dimensions of each weight.</param>
    public string? Unreduced(IReadOnlyCollection<long[]> weights)
    {
        if (!Selection.StartsWith("lift", StringComparison.Ordinal)) return null;
        long[] sides = [.. weights.Select(dims => Budget.Matrix(dims)).Select(m => Math.Min(m.Rows, m.Columns))];
        int idle = sides.Count(side => side <= FilterRank);
        return idle == 0 ? null
            : $"The filter rank {FilterRank} reduces nothing in {idle} of {sides.Length} weights, whose shorter side is {sides.Where(s => s <= FilterRank).Max()} at most: there the largest entries of the weight itself are taken. Give a smaller --filter-rank.";
    }

    /// <summary>Checks the numbers and the name, before work starts.</summary>
    /// <exception cref="LiftException">There is no such selection, or the filter rank is below 1.</exception>
    public SelectionOptions Check()
    {
        if (!MaskSelector.Names.Contains(Selection)) throw new LiftException($"There is no selection '{Selection}'; selections are: {string.Join(", ", MaskSelector.Names)}.");
        if (FilterRank < 1) throw new LiftException($"The filter rank {FilterRank} is below 1; the paper uses 32 to 128.");
        return this;
    }
}

/// <summary>What happened to the mask of one weight, or to those of all weights together (<paramref name="Weight"/> empty).</summary>
/// <param name="K">Entries selected.</param>
/// <param name="Overlap">Jaccard overlap with the mask before; NaN for the first one.</param>
/// <param name="Bound">Computed bound on the relative error of the low-rank approximation (the largest one for all weights); 0: exact or not used.</param>
/// <param name="Outers">Filter rounds (most of them for all weights).</param>
/// <param name="Seconds">Time taken.</param>
public sealed record RefreshReport(string Weight, long K, double Overlap, double Bound, int Outers, double Seconds);

/// <summary>New masks, one per weight, and what happened.</summary>
public sealed record Refresh(IReadOnlyList<Mask> Masks, IReadOnlyList<RefreshReport> Reports, RefreshReport Total);
