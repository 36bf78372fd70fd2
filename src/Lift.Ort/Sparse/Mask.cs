namespace Lift.Ort.Sparse;

/// <summary>
/// Says which entries of one weight are trained: flat positions, row-major over the initializer as stored, ascending and distinct.
/// </summary>
/// <param name="Weight">The initializer's name.</param>
/// <param name="Dims">Its dimensions as stored.</param>
/// <param name="Positions">The positions; null means every entry, so that full fine-tuning stores none.</param>
public sealed record Mask(string Weight, long[] Dims, int[]? Positions)
{
    /// <summary>Number of entries of the weight.</summary>
    public long Count => Dims.Aggregate(1L, (n, d) => n * d);

    /// <summary>The budget k: number of trained entries.</summary>
    public long Length => Positions?.Length ?? Count;

    public bool IsFull => Positions is null;

    /// <summary>The same mask in its shortest form: k equal to the number of entries needs no positions.</summary>
    public Mask Normalized() => Positions?.Length == Count ? this with { Positions = null } : this;

    /// <summary>The positions, written out also for a full mask.</summary>
    public int[] ToPositions() => Positions ?? [.. Enumerable.Range(0, checked((int)Count))];

    /// <summary>Number of positions in both masks.</summary>
    public long Common(Mask other) => (Positions, other.Positions) switch
    {
        (null, _) => other.Length,
        (_, null) => Length,
        ({ } a, { } b) => CommonPositions(a, b),
    };

    /// <summary>Jaccard overlap |a ∩ b| / |a ∪ b| of two masks of the same weight, 0 to 1; 1 for two empty masks.</summary>
    public double Overlap(Mask other)
    {
        long common = Common(other), union = Length + other.Length - common;
        return union == 0 ? 1 : common / (double)union;
    }

    /// <summary>The positions that either mask of the same weight has; one of the two where it has all of the other's.</summary>
    internal Mask Union(Mask other)
    {
        if (IsFull || other.IsFull) return IsFull ? this : other;
        int[] a = Positions!, b = other.Positions!;
        long common = CommonPositions(a, b);
        if (common == b.Length) return this;
        if (common == a.Length) return other;
        int[] all = GC.AllocateUninitializedArray<int>(checked((int)(a.Length + (b.Length - common))));
        for (int i = 0, j = 0, at = 0; at < all.Length; at++)
        {
            int x = i < a.Length ? a[i] : int.MaxValue, y = j < b.Length ? b[j] : int.MaxValue;
            all[at] = Math.Min(x, y);
            if (x <= y) i++;
            if (y <= x) j++;
        }
        return this with { Positions = all };
    }

    /// <summary>Checks a mask that came from outside.</summary>
    /// <exception cref="LiftException">A position is negative, beyond the weight, or not larger than the one before it.</exception>
    public Mask Check()
    {
        long previous = -1, count = Count;
        foreach (int position in Positions ?? [])
        {
            if (position <= previous || position >= count)
            {
                throw new LiftException($"The mask of '{Weight}' is not sound: position {position} follows {previous} in a weight of {count} entries; make the mask anew.");
            }
            previous = position;
        }
        return this;
    }

    private static long CommonPositions(int[] a, int[] b)
    {
        int i = 0, j = 0;
        long common = 0;
        while (i < a.Length && j < b.Length)
        {
            int x = a[i], y = b[j];
            if (x == y) common++;
            if (x <= y) i++;
            if (y <= x) j++;
        }
        return common;
    }
}
