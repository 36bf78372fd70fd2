using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Lift.Ort.Operators;

/// <summary>Loops over contiguous memory with the widest vectors at hand; four sums at a time hide the latency of additions.</summary>
internal static unsafe class Simd
{
    /// <summary>Σ a·b</summary>
    public static T Dot<T>(T* a, T* b, long n) where T : unmanaged, INumber<T>
    {
        int w = Vector<T>.Count;
        Vector<T> s0 = default, s1 = default, s2 = default, s3 = default;
        long i = 0;
        for (; i <= n - 4 * w; i += 4 * w)
        {
            s0 += Vector.Load(a + i) * Vector.Load(b + i);
            s1 += Vector.Load(a + i + w) * Vector.Load(b + i + w);
            s2 += Vector.Load(a + i + 2 * w) * Vector.Load(b + i + 2 * w);
            s3 += Vector.Load(a + i + 3 * w) * Vector.Load(b + i + 3 * w);
        }
        for (; i <= n - w; i += w) s0 += Vector.Load(a + i) * Vector.Load(b + i);
        T sum = Vector.Sum((s0 + s1) + (s2 + s3));
        for (; i < n; i++) sum += a[i] * b[i];
        return sum;
    }

    /// <summary>Σ a</summary>
    public static T Sum<T>(T* a, long n) where T : unmanaged, INumber<T>
    {
        int w = Vector<T>.Count;
        Vector<T> s0 = default, s1 = default, s2 = default, s3 = default;
        long i = 0;
        for (; i <= n - 4 * w; i += 4 * w)
        {
            s0 += Vector.Load(a + i);
            s1 += Vector.Load(a + i + w);
            s2 += Vector.Load(a + i + 2 * w);
            s3 += Vector.Load(a + i + 3 * w);
        }
        for (; i <= n - w; i += w) s0 += Vector.Load(a + i);
        T sum = Vector.Sum((s0 + s1) + (s2 + s3));
        for (; i < n; i++) sum += a[i];
        return sum;
    }

    /// <summary>The largest element; −∞ of nothing.</summary>
    public static T Max<T>(T* a, long n) where T : unmanaged, IFloatingPointIeee754<T>
    {
        int w = Vector<T>.Count;
        var max = new Vector<T>(T.NegativeInfinity);
        long i = 0;
        for (; i <= n - w; i += w) max = Vector.Max(max, Vector.Load(a + i));
        T result = Max(max);
        for (; i < n; i++) result = T.Max(result, a[i]);
        return result;
    }

    /// <summary>The largest element: halves, then pairs, so that no chain of all of them is waited for.</summary>
    private static T Max<T>(Vector<T> x) where T : unmanaged, IFloatingPointIeee754<T>
    {
        Vector128<T> part = Vector<byte>.Count switch
        {
            32 => Vector128.Max(x.AsVector256().GetLower(), x.AsVector256().GetUpper()),
            64 => Vector128.Max(Vector128.Max(x.AsVector512().GetLower().GetLower(), x.AsVector512().GetLower().GetUpper()), Vector128.Max(x.AsVector512().GetUpper().GetLower(), x.AsVector512().GetUpper().GetUpper())),
            _ => x.AsVector128(),
        };
        T most = T.Max(part[0], part[1]);
        return Vector128<T>.Count == 2 ? most : T.Max(most, T.Max(part[2], part[3]));
    }

    /// <summary>y += a</summary>
    public static void Add<T>(T* a, T* y, long n) where T : unmanaged, INumber<T>
    {
        long i = 0;
        for (; i <= n - Vector<T>.Count; i += Vector<T>.Count) (Vector.Load(y + i) + Vector.Load(a + i)).Store(y + i);
        for (; i < n; i++) y[i] += a[i];
    }

    /// <summary>y += s·a</summary>
    public static void AddScaled<T>(T s, T* a, T* y, long n) where T : unmanaged, INumber<T>
    {
        var scale = new Vector<T>(s);
        long i = 0;
        for (; i <= n - Vector<T>.Count; i += Vector<T>.Count) (Vector.Load(y + i) + scale * Vector.Load(a + i)).Store(y + i);
        for (; i < n; i++) y[i] += s * a[i];
    }

    /// <summary>y = s·y</summary>
    public static void Scale<T>(T s, T* y, long n) where T : unmanaged, INumber<T>
    {
        var scale = new Vector<T>(s);
        long i = 0;
        for (; i <= n - Vector<T>.Count; i += Vector<T>.Count) (scale * Vector.Load(y + i)).Store(y + i);
        for (; i < n; i++) y[i] *= s;
    }

    /// <summary>y = f(a, b), element by element; y may be a or b.</summary>
    public static void Map<T, TFunction>(TFunction f, T* a, T* b, T* y, long n)
        where T : unmanaged, IFloatingPointIeee754<T>
        where TFunction : struct, IVectorFunction
    {
        int w = Vector<T>.Count;
        long i = 0;
        for (; i <= n - w; i += w) f.Of(Vector.Load(a + i), Vector.Load(b + i)).Store(y + i);
        if (i == n) return;
        T* rest = stackalloc T[2 * w]; // the last, incomplete vector goes through the same arithmetic
        new Span<T>(rest, 2 * w).Clear();
        for (long k = i; k < n; k++) (rest[k - i], rest[k - i + w]) = (a[k], b[k]);
        f.Of(Vector.Load(rest), Vector.Load(rest + w)).Store(rest);
        for (long k = i; k < n; k++) y[k] = rest[k - i];
    }

    /// <summary>y = other where keep is 0</summary>
    public static void Select<T>(byte* keep, T* y, T other, long n) where T : unmanaged, INumber<T>
    {
        long i = 0;
        if (typeof(T) == typeof(float))
        {
            var value = new Vector<float>(float.CreateTruncating(other));
            int w = Vector<float>.Count;
            for (; i <= n - Vector<byte>.Count; i += Vector<byte>.Count)
            {
                Vector.Widen(Vector.Load(keep + i), out Vector<ushort> low, out Vector<ushort> high);
                Vector.Widen(low, out Vector<uint> v0, out Vector<uint> v1);
                Vector.Widen(high, out Vector<uint> v2, out Vector<uint> v3);
                float* at = (float*)y + i;
                Vector.ConditionalSelect(Vector.Equals(v0, default).As<uint, int>(), value, Vector.Load(at)).Store(at);
                Vector.ConditionalSelect(Vector.Equals(v1, default).As<uint, int>(), value, Vector.Load(at + w)).Store(at + w);
                Vector.ConditionalSelect(Vector.Equals(v2, default).As<uint, int>(), value, Vector.Load(at + 2 * w)).Store(at + 2 * w);
                Vector.ConditionalSelect(Vector.Equals(v3, default).As<uint, int>(), value, Vector.Load(at + 3 * w)).Store(at + 3 * w);
            }
        }
        for (; i < n; i++)
            if (keep[i] == 0) y[i] = other;
    }

    /// <summary>eˣ</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<T> Exp<T>(Vector<T> x) where T : unmanaged => typeof(T) == typeof(double)
        ? Vector.Exp(x.As<T, double>()).As<double, T>()
        : Vector.Exp(x.As<T, float>()).As<float, T>();

    /// <summary>Fills with zeros.</summary>
    public static void Clear<T>(T* y, long n) where T : unmanaged => System.Runtime.InteropServices.NativeMemory.Clear(y, checked((nuint)n * (nuint)sizeof(T)));

    /// <summary>Copies <paramref name="n"/> elements.</summary>
    public static void Copy<T>(T* x, T* y, long n) where T : unmanaged => System.Buffer.MemoryCopy(x, y, n * sizeof(T), n * sizeof(T));
}

/// <summary>A function of two vectors, lane by lane.</summary>
internal interface IVectorFunction
{
    /// <summary>The function's own number, as its CUDA half takes it.</summary>
    float Parameter => 0;

    Vector<T> Of<T>(Vector<T> a, Vector<T> b) where T : unmanaged, IFloatingPointIeee754<T>;
}
