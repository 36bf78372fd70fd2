using System.Numerics;
using System.Runtime.CompilerServices;

namespace Lift.Ort.Operators;

internal sealed unsafe partial class ElementwiseGrad<TFunction>
{
    protected override void Run<T>(CpuContext context)
    {
        CpuTensor dy = context.Input(0), x = context.Input(1);
        if (dy.Count != x.Count) throw new ArgumentException($"dY has {dy.Count} elements, the other input {x.Count}");
        T* g = dy.Data<T>(), px = x.Data<T>(), dx = context.Output<T>(0, dy.Dims);
        TFunction f = function;
        context.ForEachPart(dy.Count, 2, (from, to) => Simd.Map(f, g + from, px + from, dx + from, to - from));
    }
}

internal sealed unsafe partial class BiasGrad<TFunction>
{
    protected override void Run<T>(CpuContext context)
    {
        CpuTensor dy = context.Input(0), x = context.Input(1);
        T* g = dy.Data<T>(), px = x.Data<T>(), b = context.Input(2).Data<T>(), dx = context.Output<T>(0, dy.Dims);
        long n = context.Input(2).Count;
        context.ForEachPart(n == 0 ? 0 : dy.Count / n, 4 * n, (from, to) =>
        {
            fixed (T* shifted = new T[n])
            {
                for (long row = from * n; row < to * n; row += n)
                {
                    Simd.Copy(px + row, shifted, n);
                    Simd.Add(b, shifted, n);
                    Simd.Map(default(TFunction), g + row, shifted, dx + row, n);
                }
            }
        });
    }
}

/// <summary>y = σ(x) ⇒ dx = dy · y · (1 − y)</summary>
internal readonly struct SigmoidGrad : IVectorFunction
{
    public Vector<T> Of<T>(Vector<T> dy, Vector<T> y) where T : unmanaged, IFloatingPointIeee754<T> => dy * y * (Vector<T>.One - y);
}

/// <summary>y = tanh(x) ⇒ dx = dy · (1 − y²)</summary>
internal readonly struct TanhGrad : IVectorFunction
{
    public Vector<T> Of<T>(Vector<T> dy, Vector<T> y) where T : unmanaged, IFloatingPointIeee754<T> => dy * (Vector<T>.One - y * y);
}

/// <summary>y = max(x, 0) ⇒ dx = dy where x &gt; 0, else 0 (x or y may be given)</summary>
internal readonly struct ReluGrad : IVectorFunction
{
    public Vector<T> Of<T>(Vector<T> dy, Vector<T> x) where T : unmanaged, IFloatingPointIeee754<T> =>
        Vector.ConditionalSelect(Vector.GreaterThan(x, Vector<T>.Zero), dy, Vector<T>.Zero);
}

/// <summary>y = x where x &gt; 0, else α·x ⇒ dx = dy where y &gt; 0, else α·dy</summary>
internal readonly struct LeakyReluGrad(float alpha) : IVectorFunction
{
    public float Parameter => alpha;

    public Vector<T> Of<T>(Vector<T> dy, Vector<T> y) where T : unmanaged, IFloatingPointIeee754<T> =>
        Vector.ConditionalSelect(Vector.GreaterThan(y, Vector<T>.Zero), dy, dy * new Vector<T>(T.CreateTruncating(alpha)));
}

/// <summary>y = x · σ(αx) ⇒ dx = dy · σ · (1 + αx · (1 − σ))</summary>
internal readonly struct QuickGeluGrad(float alpha) : IVectorFunction
{
    public float Parameter => alpha;

    public Vector<T> Of<T>(Vector<T> dy, Vector<T> x) where T : unmanaged, IFloatingPointIeee754<T>
    {
        Vector<T> ax = x * new Vector<T>(T.CreateTruncating(alpha)), s = Activation.Sigmoid(ax);
        return dy * s * (Vector<T>.One + ax * (Vector<T>.One - s));
    }
}

/// <summary>y = ½x(1 + tanh u), u = √(2/π)(x + 0.044715x³) ⇒ with s = σ(2u): dx = dy · s · (1 + 2x · u′ · (1 − s))</summary>
internal readonly struct FastGeluGrad : IVectorFunction
{
    public Vector<T> Of<T>(Vector<T> dy, Vector<T> x) where T : unmanaged, IFloatingPointIeee754<T>
    {
        var root = new Vector<T>(T.CreateTruncating(2 * 0.7978845608028654)); // 2√(2/π)
        Vector<T> cubic = new Vector<T>(T.CreateTruncating(0.044715)) * x * x;
        Vector<T> s = Activation.Sigmoid(root * x * (Vector<T>.One + cubic));
        return dy * s * (Vector<T>.One + x * root * (Vector<T>.One + cubic + cubic + cubic) * (Vector<T>.One - s));
    }
}

/// <summary>y = x · Φ(x) ⇒ dx = dy · (Φ(x) + x · φ(x)), Φ and φ of the normal distribution</summary>
internal readonly struct GeluGrad : IVectorFunction
{
    public Vector<T> Of<T>(Vector<T> dy, Vector<T> x) where T : unmanaged, IFloatingPointIeee754<T>
    {
        Vector<T> e = Simd.Exp(x * x * new Vector<T>(T.CreateTruncating(-0.5)));
        Vector<T> density = e * new Vector<T>(T.CreateTruncating(0.3989422804014327)); // 1/√(2π)
        return dy * (Activation.Normal(x, e) + x * density);
    }
}

/// <summary>Functions that activations share.</summary>
internal static class Activation
{
    /// <summary>σ(x) = 1 / (1 + e⁻ˣ)</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<T> Sigmoid<T>(Vector<T> x) where T : unmanaged, IFloatingPointIeee754<T> => Vector<T>.One / (Vector<T>.One + Simd.Exp(-x));

    /// <summary>
    /// Φ(x), given e = exp(−x²/2): the error function by formula 7.1.26 of Abramowitz and Stegun, absolute error below 1.5e-7 (of Φ: half of it).
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<T> Normal<T>(Vector<T> x, Vector<T> e) where T : unmanaged, IFloatingPointIeee754<T>
    {
        Vector<T> t = Vector<T>.One / (Vector<T>.One + Vector.Abs(x) * C<T>(0.3275911 * 0.7071067811865476));
        Vector<T> tail = t * (C<T>(0.254829592) + t * (C<T>(-0.284496736) + t * (C<T>(1.421413741) + t * (C<T>(-1.453152027) + t * C<T>(1.061405429)))));
        Vector<T> half = C<T>(0.5) * tail * e; // ½(1 − erf(|x|/√2))
        return Vector.ConditionalSelect(Vector.LessThan(x, Vector<T>.Zero), half, Vector<T>.One - half);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector<T> C<T>(double value) where T : unmanaged, IFloatingPointIeee754<T> => new(T.CreateTruncating(value));
}
