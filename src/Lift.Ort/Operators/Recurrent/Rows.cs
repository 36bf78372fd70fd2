using System.Numerics;
using System.Runtime.InteropServices;

namespace Lift.Ort.Operators.Recurrent;

/// <summary>Element-wise steps on short rows, and scratch memory.</summary>
internal static unsafe class Rows
{
    /// <summary>y += a · b</summary>
    public static void AddProduct<T>(T* a, T* b, T* y, long n) where T : unmanaged, INumber<T>
    {
        long i = 0;
        for (; i <= n - Vector<T>.Count; i += Vector<T>.Count) (Vector.Load(y + i) + Vector.Load(a + i) * Vector.Load(b + i)).Store(y + i);
        for (; i < n; i++) y[i] += a[i] * b[i];
    }

    /// <summary>y = a · b</summary>
    public static void Product<T>(T* a, T* b, T* y, long n) where T : unmanaged, INumber<T>
    {
        long i = 0;
        for (; i <= n - Vector<T>.Count; i += Vector<T>.Count) (Vector.Load(a + i) * Vector.Load(b + i)).Store(y + i);
        for (; i < n; i++) y[i] = a[i] * b[i];
    }

    /// <summary>y = z · h + (1 − z) · n</summary>
    public static void Mix<T>(T* z, T* h, T* candidate, T* y, long n) where T : unmanaged, INumber<T>
    {
        long i = 0;
        for (; i <= n - Vector<T>.Count; i += Vector<T>.Count)
        {
            Vector<T> share = Vector.Load(z + i), c = Vector.Load(candidate + i);
            (c + share * (Vector.Load(h + i) - c)).Store(y + i);
        }
        for (; i < n; i++) y[i] = candidate[i] + z[i] * (h[i] - candidate[i]);
    }

    /// <summary>y = d · (1 − z)</summary>
    public static void TimesRest<T>(T* d, T* z, T* y, long n) where T : unmanaged, INumber<T>
    {
        long i = 0;
        for (; i <= n - Vector<T>.Count; i += Vector<T>.Count) (Vector.Load(d + i) * (Vector<T>.One - Vector.Load(z + i))).Store(y + i);
        for (; i < n; i++) y[i] = d[i] * (T.One - z[i]);
    }

    /// <summary>y = d · (a − b)</summary>
    public static void TimesDifference<T>(T* d, T* a, T* b, T* y, long n) where T : unmanaged, INumber<T>
    {
        long i = 0;
        for (; i <= n - Vector<T>.Count; i += Vector<T>.Count) (Vector.Load(d + i) * (Vector.Load(a + i) - Vector.Load(b + i))).Store(y + i);
        for (; i < n; i++) y[i] = d[i] * (a[i] - b[i]);
    }

    /// <summary>y within ±limit; a limit of 0 is none.</summary>
    public static void Clip<T>(T* y, double limit, long n) where T : unmanaged, INumber<T>
    {
        T bound = T.CreateTruncating(limit);
        for (long i = 0; limit > 0 && i < n; i++) y[i] = T.Clamp(y[i], -bound, bound);
    }

    /// <summary>sums += each of the rows, which are <paramref name="stride"/> apart.</summary>
    public static void Sum<T>(T* rows, long count, long stride, T* sums, long n) where T : unmanaged, INumber<T>
    {
        for (long r = 0; r < count; r++) Simd.Add(rows + r * stride, sums, n);
    }

    /// <summary>Zeroed memory that is freed at the end of its scope.</summary>
    public readonly struct Scratch<T>(long length) : IDisposable where T : unmanaged
    {
        public T* Data { get; } = (T*)NativeMemory.AllocZeroed((nuint)Math.Max(1, length), (nuint)sizeof(T));

        public void Dispose() => NativeMemory.Free(Data);
    }
}
