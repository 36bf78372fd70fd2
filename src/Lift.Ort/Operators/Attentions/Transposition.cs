using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Lift.Ort.Operators.Attentions;

/// <summary>Copies matrices so that their rows become columns, 8 x 8 numbers at a time where they lie side by side.</summary>
internal static unsafe class Transposition
{
    /// <summary>Copies x [n, d] to xᵀ [d, stride], with zeros behind column n.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Copy<T>(T* x, long n, long d, long row, long column, T* to, long stride) where T : unmanaged
    {
        long squares = typeof(T) == typeof(float) && column == 1 && Vector256.IsHardwareAccelerated ? n / 8 * 8 : 0, across = squares > 0 ? d / 8 * 8 : 0;
        for (long j = 0; j < squares; j += 8)
            for (long p = 0; p < across; p += 8) Square((float*)(x + j * row + p), row, (float*)(to + p * stride + j), stride);
        for (long j0 = 0; j0 < n; j0 += 16)
            for (long p = 0; p < d; p++)
                for (long j = p < across ? Math.Max(j0, squares) : j0; j < Math.Min(n, j0 + 16); j++) to[p * stride + j] = x[j * row + p * column];
        for (long p = 0; p < d; p++) Simd.Clear(to + p * stride + n, stride - n);
    }

    /// <summary>Transposes 8 x 8 numbers: exchanges halves, then quarters, then neighbours.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Square(float* x, long row, float* to, long stride)
    {
        Vector256<float> a0 = Vector256.Load(x), a1 = Vector256.Load(x + row), a2 = Vector256.Load(x + 2 * row), a3 = Vector256.Load(x + 3 * row),
            a4 = Vector256.Load(x + 4 * row), a5 = Vector256.Load(x + 5 * row), a6 = Vector256.Load(x + 6 * row), a7 = Vector256.Load(x + 7 * row);
        Vector256<int> by4 = Vector256.Create(4, 5, 6, 7, 0, 1, 2, 3), by2 = Vector256.Create(2, 3, 0, 1, 6, 7, 4, 5), by1 = Vector256.Create(1, 0, 3, 2, 5, 4, 7, 6);
        Vector256<float> low4 = Vector256.Create(-1, -1, -1, -1, 0, 0, 0, 0).AsSingle(), low2 = Vector256.Create(-1, -1, 0, 0, -1, -1, 0, 0).AsSingle(), low1 = Vector256.Create(-1, 0, -1, 0, -1, 0, -1, 0).AsSingle();
        Exchange(ref a0, ref a4, by4, low4);
        Exchange(ref a1, ref a5, by4, low4);
        Exchange(ref a2, ref a6, by4, low4);
        Exchange(ref a3, ref a7, by4, low4);
        Exchange(ref a0, ref a2, by2, low2);
        Exchange(ref a1, ref a3, by2, low2);
        Exchange(ref a4, ref a6, by2, low2);
        Exchange(ref a5, ref a7, by2, low2);
        Exchange(ref a0, ref a1, by1, low1);
        Exchange(ref a2, ref a3, by1, low1);
        Exchange(ref a4, ref a5, by1, low1);
        Exchange(ref a6, ref a7, by1, low1);
        a0.Store(to);
        a1.Store(to + stride);
        a2.Store(to + 2 * stride);
        a3.Store(to + 3 * stride);
        a4.Store(to + 4 * stride);
        a5.Store(to + 5 * stride);
        a6.Store(to + 6 * stride);
        a7.Store(to + 7 * stride);
    }

    /// <summary>The high lanes of a pair of rows for the low lanes of the other.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Exchange(ref Vector256<float> a, ref Vector256<float> b, Vector256<int> by, Vector256<float> low)
    {
        Vector256<float> fromB = Vector256.Shuffle(b, by), fromA = Vector256.Shuffle(a, by);
        (a, b) = (Vector256.ConditionalSelect(low, a, fromB), Vector256.ConditionalSelect(low, fromA, b));
    }
}
