namespace Lift.Ort.Sparse;

/// <summary>How <see cref="LowRank"/> works.</summary>
public sealed record LowRankOptions
{
    /// <summary>Bound on the relative error at which the iteration stops; default 2e-2, which gave mask overlaps (Jaccard with the exact mask) of 0.992 and more.</summary>
    public double Tolerance { get; init; } = 2e-2;

    /// <summary>Most filter rounds; default 8. A result whose bound is still above the tolerance is reported with that bound.</summary>
    public int MaxOuters { get; init; } = 8;

    /// <summary>True decomposes the whole float64 Gram matrix instead of iterating: exact to rounding, many times slower. Default false.</summary>
    public bool Exact { get; init; }
}

/// <summary>The best rank-r approximation A of a weight.</summary>
/// <param name="Data">Address of A, float32, row-major, the weight's shape; the weight itself where nothing is cut off. Valid until the next call.</param>
/// <param name="Bound">
/// Computed bound on the relative error: max over i &lt; r of ‖G·yᵢ − θᵢ·yᵢ‖ / (θᵢ − θ_q), the sines of the angles between the found and the true
/// directions; 0 for an exact result.
/// </param>
/// <param name="Outers">Filter rounds; 0 for an exact result.</param>
/// <param name="Products">Products by the Gram matrix.</param>
internal readonly record struct LowRankResult(nint Data, double Bound, int Outers, int Products);
