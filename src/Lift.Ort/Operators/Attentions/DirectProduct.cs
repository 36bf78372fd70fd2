using System.Numerics;
using System.Runtime.CompilerServices;

namespace Lift.Ort.Operators.Attentions;

/// <summary>
/// Products of matrices that lie in the caches already: c = a·b or c += a·b on the calling thread, without packing. a has any strides, the columns of b and c are
/// contiguous. Each element is one chain of multiply-adds over the depth, whatever the sizes around it.
/// </summary>
internal static unsafe class DirectProduct
{
    private const int TileRows = 6;

    /// <summary>So much of b goes through the first cache while the rows of a pass by.</summary>
    private const long DepthBlock = 128;

    /// <summary>c [m, n] = a [m, k] · b [k, n], or c += a·b. Element (i, p) of a lies at <c>a[i · aRow + p · aColumn]</c>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Multiply<T>(long m, long n, long k, T* a, long aRow, long aColumn, T* b, long bRow, T* c, long cRow, bool accumulate) where T : unmanaged, IFloatingPointIeee754<T>
    {
        if (k == 0 && !accumulate)
            for (long i = 0; i < m; i++) Simd.Clear(c + i * cRow, n);
        int w = Vector<T>.Count;
        for (long p = 0; p < k; p += DepthBlock)
        {
            long depth = Math.Min(DepthBlock, k - p);
            T* from = a + p * aColumn, right = b + p * bRow;
            bool add = accumulate || p > 0;
            long j = 0;
            for (; j <= n - 2 * w; j += 2 * w)
            {
                long i = 0;
                for (; i <= m - TileRows; i += TileRows) Tile(depth, from + i * aRow, aRow, aColumn, right + j, bRow, c + i * cRow + j, cRow, add);
                for (; i < m; i++) Row2(depth, from + i * aRow, aColumn, right + j, bRow, c + i * cRow + j, add);
            }
            for (; j <= n - w; j += w)
                for (long i = 0; i < m; i++) Row(depth, from + i * aRow, aColumn, right + j, bRow, c + i * cRow + j, add);
            for (; j < n; j++)
                for (long i = 0; i < m; i++) One(depth, from + i * aRow, aColumn, right + j, bRow, c + i * cRow + j, add);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Tile<T>(long depth, T* a, long row, long column, T* b, long bRow, T* c, long cRow, bool add) where T : unmanaged, IFloatingPointIeee754<T>
    {
        int w = Vector<T>.Count;
        Vector<T> c00 = default, c01 = default, c10 = default, c11 = default, c20 = default, c21 = default, c30 = default, c31 = default, c40 = default, c41 = default, c50 = default, c51 = default;
        T* a3 = a + 3 * row;
        long two = 2 * row;
        if (add)
        {
            (c00, c01) = (Vector.Load(c), Vector.Load(c + w));
            (c10, c11) = (Vector.Load(c + cRow), Vector.Load(c + cRow + w));
            (c20, c21) = (Vector.Load(c + 2 * cRow), Vector.Load(c + 2 * cRow + w));
            (c30, c31) = (Vector.Load(c + 3 * cRow), Vector.Load(c + 3 * cRow + w));
            (c40, c41) = (Vector.Load(c + 4 * cRow), Vector.Load(c + 4 * cRow + w));
            (c50, c51) = (Vector.Load(c + 5 * cRow), Vector.Load(c + 5 * cRow + w));
        }
        for (; depth > 0; depth--, a += column, a3 += column, b += bRow)
        {
            Vector<T> b0 = Vector.Load(b), b1 = Vector.Load(b + w), s = new(*a);
            c00 = Fused(s, b0, c00);
            c01 = Fused(s, b1, c01);
            s = new(a[row]);
            c10 = Fused(s, b0, c10);
            c11 = Fused(s, b1, c11);
            s = new(a[two]);
            c20 = Fused(s, b0, c20);
            c21 = Fused(s, b1, c21);
            s = new(*a3);
            c30 = Fused(s, b0, c30);
            c31 = Fused(s, b1, c31);
            s = new(a3[row]);
            c40 = Fused(s, b0, c40);
            c41 = Fused(s, b1, c41);
            s = new(a3[two]);
            c50 = Fused(s, b0, c50);
            c51 = Fused(s, b1, c51);
        }
        c00.Store(c);
        c01.Store(c + w);
        c10.Store(c + cRow);
        c11.Store(c + cRow + w);
        c20.Store(c + 2 * cRow);
        c21.Store(c + 2 * cRow + w);
        c30.Store(c + 3 * cRow);
        c31.Store(c + 3 * cRow + w);
        c40.Store(c + 4 * cRow);
        c41.Store(c + 4 * cRow + w);
        c50.Store(c + 5 * cRow);
        c51.Store(c + 5 * cRow + w);
    }

    private static void Row2<T>(long depth, T* a, long column, T* b, long bRow, T* c, bool add) where T : unmanaged, IFloatingPointIeee754<T>
    {
        int w = Vector<T>.Count;
        Vector<T> c0 = add ? Vector.Load(c) : default, c1 = add ? Vector.Load(c + w) : default;
        for (; depth > 0; depth--, a += column, b += bRow)
        {
            var s = new Vector<T>(*a);
            c0 = Fused(s, Vector.Load(b), c0);
            c1 = Fused(s, Vector.Load(b + w), c1);
        }
        c0.Store(c);
        c1.Store(c + w);
    }

    private static void Row<T>(long depth, T* a, long column, T* b, long bRow, T* c, bool add) where T : unmanaged, IFloatingPointIeee754<T>
    {
        Vector<T> sum = add ? Vector.Load(c) : default;
        for (; depth > 0; depth--, a += column, b += bRow) sum = Fused(new Vector<T>(*a), Vector.Load(b), sum);
        sum.Store(c);
    }

    private static void One<T>(long depth, T* a, long column, T* b, long bRow, T* c, bool add) where T : unmanaged, IFloatingPointIeee754<T>
    {
        T sum = add ? *c : T.Zero;
        for (; depth > 0; depth--, a += column, b += bRow) sum = T.MultiplyAddEstimate(*a, *b, sum);
        *c = sum;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector<T> Fused<T>(Vector<T> a, Vector<T> b, Vector<T> c) where T : unmanaged => typeof(T) == typeof(double)
        ? Vector.MultiplyAddEstimate(a.As<T, double>(), b.As<T, double>(), c.As<T, double>()).As<double, T>()
        : Vector.MultiplyAddEstimate(a.As<T, float>(), b.As<T, float>(), c.As<T, float>()).As<float, T>();
}
