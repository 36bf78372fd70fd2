using System.Numerics;

namespace Lift.Ort.Operators;

internal sealed unsafe partial class Rotary
{
    protected override void Run<T>(CpuContext context)
    {
        CpuTensor x = context.Input(0), cosine = context.Input(1), sine = context.Input(2);
        long width = x.Dims[^1], half = width / 2, times = cosine.Count / Math.Max(1, width);
        if (width % 2 != 0 || cosine.Count != sine.Count || times * width != cosine.Count || (times > 0 && x.Count % (times * width) != 0))
            throw new ArgumentException($"x [{string.Join(", ", x.Dims)}] does not fit tables of [{string.Join(", ", cosine.Dims)}]");
        T* px = x.Data<T>(), c = cosine.Data<T>(), s = sine.Data<T>(), y = context.Output<T>(0, x.Dims);
        context.ForEachPart(width == 0 ? 0 : x.Count / width, 2 * width, (from, to) =>
        {
            for (long row = from; row < to; row++)
            {
                long at = row * width, table = row % times * width;
                if (backward) Turn(px + at, px + at + half, c + table, c + table + half, s + table + half, s + table, T.One, y + at, y + at + half, half);
                else Turn(px + at, px + at + half, c + table, c + table + half, s + table, s + table + half, -T.One, y + at, y + at + half, half);
            }
        });
    }

    /// <summary>y₁ = x₁ · c₁ + sign · x₂ · s₁, y₂ = x₂ · c₂ − sign · x₁ · s₂; y may be x.</summary>
    private static void Turn<T>(T* x1, T* x2, T* c1, T* c2, T* s1, T* s2, T sign, T* y1, T* y2, long n) where T : unmanaged, INumber<T>
    {
        var v = new Vector<T>(sign);
        long i = 0;
        for (; i <= n - Vector<T>.Count; i += Vector<T>.Count)
        {
            Vector<T> a = Vector.Load(x1 + i), b = Vector.Load(x2 + i);
            (a * Vector.Load(c1 + i) + v * b * Vector.Load(s1 + i)).Store(y1 + i);
            (b * Vector.Load(c2 + i) - v * a * Vector.Load(s2 + i)).Store(y2 + i);
        }
        for (; i < n; i++) (y1[i], y2[i]) = (x1[i] * c1[i] + sign * x2[i] * s1[i], x2[i] * c2[i] - sign * x1[i] * s2[i]);
    }
}
