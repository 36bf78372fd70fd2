using System.Numerics;
using System.Runtime.CompilerServices;

namespace Lift.Ort.Operators.Attentions;

/// <summary>The softmax of a row of scores over some ranges of its columns, in the pieces that a forward and a backward pass need.</summary>
internal static unsafe class RowExponentials
{
    /// <summary>Turns scores into probabilities times the returned sum; with the largest score.</summary>
    /// <param name="guard">A row of −∞ becomes zeros, its largest score +∞.</param>
    public static (T Max, T Sum) Of<T>(T* s, List<(long From, long To)> ranges, bool guard) where T : unmanaged, IFloatingPointIeee754<T>
    {
        T max = T.NegativeInfinity;
        foreach (var (from, to) in ranges) max = T.Max(max, Simd.Max(s + from, to - from));
        if (guard && T.IsNegativeInfinity(max))
        {
            foreach (var (from, to) in ranges) Simd.Clear(s + from, to - from);
            return (T.PositiveInfinity, T.Zero);
        }
        T sum = T.Zero;
        foreach (var (from, to) in ranges) sum += Exp(s + from, to - from, max);
        return (max, sum);
    }

    /// <summary>Turns scores into probabilities, given the logarithm of the sum of their exponentials.</summary>
    public static void Probabilities<T>(T* s, List<(long From, long To)> ranges, bool guard, T lse) where T : unmanaged, IFloatingPointIeee754<T>
    {
        if (T.Abs(lse) < T.CreateTruncating(1e4) || T.IsPositiveInfinity(lse))
        {
            foreach (var (from, to) in ranges) Exp(s + from, to - from, lse);
            return;
        }
        T sum = Of(s, ranges, guard).Sum; // the logarithm of the sum is lost in so large a number
        foreach (var (from, to) in ranges) Simd.Scale(T.One / sum, s + from, to - from);
    }

    /// <summary>s = exp(s − by); answers their sum.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static T Exp<T>(T* s, long n, T by) where T : unmanaged, IFloatingPointIeee754<T>
    {
        int w = Vector<T>.Count;
        var shift = new Vector<T>(by);
        Vector<T> sum = default;
        long i = 0;
        for (; i <= n - w; i += w)
        {
            Vector<T> e = Simd.Exp(Vector.Load(s + i) - shift);
            e.Store(s + i);
            sum += e;
        }
        T total = Vector.Sum(sum);
        for (; i < n; i++) total += s[i] = T.Exp(s[i] - by);
        return total;
    }
}
