using System.Globalization;

namespace Lift.Ort.Sparse;

/// <summary>
/// Says how many entries of a weight are trained (k). Two ways: <em>rank-matched</em>, k = min(R·(m + n), m·n), the parameter count of a
/// rank-R LoRA (R = 0: every entry); or <em>density</em>, k = round(d·m·n), at least 1. A weight of more than two dimensions counts as
/// [first, all others]; a vector as one row.
/// </summary>
public readonly record struct Budget
{
    private readonly double density;

    private Budget(int? rank, double density) => (Rank, this.density) = (rank, density);

    /// <summary>R of a rank-matched budget, else null.</summary>
    public int? Rank { get; }

    /// <summary>The fraction of a density budget, else null.</summary>
    public double? Fraction => Rank is null ? density : null;

    /// <summary>k = min(rank·(m + n), m·n); 0 selects every entry.</summary>
    /// <exception cref="LiftException">The rank is negative.</exception>
    public static Budget RankMatched(int rank) =>
        rank >= 0 ? new(rank, 0) : throw new LiftException($"The rank {rank} is negative; give 0 (every entry) or more.");

    /// <summary>k = round(density·m·n), at least 1. The paper's abstract uses 0.05.</summary>
    /// <exception cref="LiftException">The density is not in (0, 1].</exception>
    public static Budget Density(double density) => density is > 0 and <= 1
        ? new(null, density)
        : throw new LiftException(string.Create(CultureInfo.InvariantCulture, $"The density {density} is not in (0, 1]; give a fraction such as 0.05."));

    /// <summary>k for a weight with these dimensions.</summary>
    public long For(ReadOnlySpan<long> dims)
    {
        var (rows, columns) = Matrix(dims);
        long count = rows * columns;
        return Rank switch
        {
            0 => count,
            { } r => Math.Min(r * (rows + columns), count),
            null => Math.Min(count, Math.Max(1, (long)Math.Round(density * count))),
        };
    }

    /// <summary>The weight seen as a matrix: [first, all others]; a vector or scalar is one row.</summary>
    public static (long Rows, long Columns) Matrix(ReadOnlySpan<long> dims)
    {
        long count = 1;
        foreach (long d in dims) count *= d;
        return dims.Length < 2 || dims[0] == 0 ? (1, count) : (dims[0], count / dims[0]);
    }

    public override string ToString() => Rank is { } r ? $"rank {r}" : string.Create(CultureInfo.InvariantCulture, $"density {density}");
}
