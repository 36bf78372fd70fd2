using System.Numerics;

namespace Lift.Ort.Operators.Attentions;

/// <summary>
/// Which columns of the scores some rows need. Columns are taken in blocks; a block that the additions rule out for all rows (their probabilities are 0 to the last bit,
/// whatever q and k) is left out.
/// </summary>
internal sealed unsafe class NeededColumns<T>(long columns) where T : unmanaged, IFloatingPointIeee754<T>
{
    private const long Block = 64;

    private readonly bool[] active = new bool[(columns + Block - 1) / Block];
    private readonly T[] most = new T[(columns + Block - 1) / Block]; // of each block of a row
    private T longest; // |k|, the largest over its rows

    /// <summary>exp(−x) is 0 from here on.</summary>
    public static T Vanishes { get; } = T.CreateTruncating(typeof(T) == typeof(double) ? 750 : 105);

    /// <summary>The parts of the columns that are not ruled out.</summary>
    public List<(long From, long To)> Ranges { get; } = [];

    /// <summary>Takes the keys kᵀ [d, stride] whose columns are chosen from.</summary>
    public void TakeKeys(T* keys, long d, long stride)
    {
        T[] squares = new T[columns];
        fixed (T* s = squares)
        {
            for (long p = 0; p < d; p++) Simd.Map(default(AddSquare), s, keys + p * stride, s, columns);
            longest = columns == 0 ? T.Zero : T.Sqrt(Simd.Max(s, columns));
        }
    }

    /// <summary>The largest magnitude that a product of one of the rows of x [rows, d] with one of the keys can have, a little more for rounding.</summary>
    public T Reach(T* x, int rows, AttentionOperand of)
    {
        T square = T.Zero;
        for (long i = 0; i < rows; i++)
        {
            T* row = x + i * of.RowStride;
            T sum = of.ColumnStride == 1 ? Simd.Dot(row, row, of.Columns) : T.Zero;
            for (long p = 0; of.ColumnStride != 1 && p < of.Columns; p++) sum += row[p * of.ColumnStride] * row[p * of.ColumnStride];
            square = T.Max(square, sum);
        }
        return T.CreateTruncating(1.001) * T.Sqrt(square) * longest;
    }

    /// <summary>All columns are needed.</summary>
    public void TakeAll()
    {
        Ranges.Clear();
        if (columns > 0) Ranges.Add((0, columns));
    }

    /// <summary>No column is needed yet.</summary>
    public void Clear() => Array.Clear(active);

    /// <summary>Adds the blocks that a row needs: those whose largest addition comes near enough to the row's largest one.</summary>
    /// <param name="additions">What the row's scores get added.</param>
    /// <param name="reach">No score differs from its addition by more.</param>
    public void Add(T* additions, T reach)
    {
        T top = T.NegativeInfinity;
        for (int b = 0; b < active.Length; b++) top = T.Max(top, most[b] = Simd.Max(additions + b * Block, Math.Min(Block, columns - b * Block)));
        T least = top - reach - reach - Vanishes;
        for (int b = 0; b < active.Length; b++)
            if (!(most[b] < least)) active[b] = true;
    }

    /// <summary>Joins the needed blocks to <see cref="Ranges"/>.</summary>
    public void Join()
    {
        Ranges.Clear();
        for (int b = 0; b < active.Length; b++)
        {
            if (!active[b]) continue;
            long from = b * Block, to = Math.Min(from + Block, columns);
            if (Ranges.Count > 0 && Ranges[^1].To == from) Ranges[^1] = (Ranges[^1].From, to);
            else Ranges.Add((from, to));
        }
    }

    /// <summary>sum + x²</summary>
    private readonly struct AddSquare : IVectorFunction
    {
        public Vector<TNumber> Of<TNumber>(Vector<TNumber> sum, Vector<TNumber> x) where TNumber : unmanaged, IFloatingPointIeee754<TNumber> => sum + x * x;
    }
}
