using System.Numerics;

namespace Lift.Ort.Operators;

/// <summary>Labels with their weights: what both directions of the loss ask.</summary>
internal readonly unsafe struct Labels<T>(CpuTensor labels, CpuTensor? weights, long ignored, Slices slices) where T : unmanaged, IFloatingPointIeee754<T>
{
    /// <summary>The class of label <paramref name="i"/>, or −1 where it is ignored.</summary>
    /// <exception cref="ArgumentException">The label is no class.</exception>
    public long Class(long i)
    {
        long label = labels.Integer(i);
        if (label == ignored) return -1;
        return (ulong)label < (ulong)slices.Length ? label : throw new ArgumentException($"label {label} at position {i} is not in 0 … {slices.Length - 1}");
    }

    public T Weight(long classIndex) => classIndex < 0 ? T.Zero : weights is { } w ? w.Data<T>()[classIndex] : T.One;

    /// <summary>Σ of the weights of all labels that are not ignored.</summary>
    public T TotalWeight()
    {
        double total = 0;
        for (long i = 0; i < slices.Count; i++) total += double.CreateChecked(Weight(Class(i)));
        return T.CreateChecked(total);
    }

    public static Labels<T> Of(CpuTensor scores, CpuTensor labels, CpuTensor? weights, long ignored, out Slices slices)
    {
        slices = Slices.Along(scores.Dims, 1);
        return labels.Count == slices.Count ? new(labels, weights, ignored, slices)
            : throw new ArgumentException($"{slices.Count} rows of scores and {labels.Count} labels do not fit");
    }
}

internal sealed unsafe partial class SoftmaxCrossEntropyLossInternal
{
    protected override void Run<T>(CpuContext context)
    {
        CpuTensor scores = context.Input(0);
        long ignored = context.OptionalInput(3) is { } index ? index.Integer(0) : long.MinValue;
        var labels = Labels<T>.Of(scores, context.Input(1), context.OptionalInput(2), ignored, out Slices s);
        T* x = scores.Data<T>(), logProb = context.Output<T>(1, scores.Dims);
        T* output = context.Output<T>(0, reduction == LossReduction.None ? context.Input(1).Dims : []);
        T[] losses = new T[s.Count];
        context.ForEachPart(s.Count, 4 * s.Length, (from, to) =>
        {
            for (long i = from; i < to; i++)
            {
                long first = i / s.Inner * s.Length * s.Inner + i % s.Inner;
                T norm = s.Inner == 1 ? LogSumExp(x + first, s.Length) : LogSumExp(x + first, s.Length, s.Inner);
                if (logProb != null && s.Inner == 1) Simd.Map(new Minus<T>(norm), x + first, x + first, logProb + first, s.Length);
                for (long k = 0; logProb != null && s.Inner > 1 && k < s.Length; k++) logProb[first + k * s.Inner] = x[first + k * s.Inner] - norm;
                long label = labels.Class(i);
                losses[i] = label < 0 ? T.Zero : labels.Weight(label) * (norm - x[first + label * s.Inner]);
            }
        });
        if (reduction == LossReduction.None)
        {
            losses.CopyTo(new Span<T>(output, losses.Length));
            return;
        }
        double sum = losses.Sum(double.CreateChecked);
        double total = reduction == LossReduction.Mean ? double.CreateChecked(labels.TotalWeight()) : 1;
        *output = T.CreateChecked(total == 0 ? 0 : sum / total);
    }

    private static T LogSumExp<T>(T* x, long n) where T : unmanaged, IFloatingPointIeee754<T>
    {
        T max = Simd.Max(x, n), sum = T.Zero;
        var shift = new Vector<T>(max);
        Vector<T> sums = default;
        long i = 0;
        for (; i <= n - Vector<T>.Count; i += Vector<T>.Count) sums += Simd.Exp(Vector.Load(x + i) - shift);
        for (; i < n; i++) sum += T.Exp(x[i] - max);
        return max + T.Log(sum + Vector.Sum(sums));
    }

    private static T LogSumExp<T>(T* x, long n, long stride) where T : unmanaged, IFloatingPointIeee754<T>
    {
        T max = T.NegativeInfinity, sum = T.Zero;
        for (long i = 0; i < n; i++) max = T.Max(max, x[i * stride]);
        for (long i = 0; i < n; i++) sum += T.Exp(x[i * stride] - max);
        return max + T.Log(sum);
    }

    private readonly struct Minus<TValue>(TValue b) : IVectorFunction where TValue : IFloatingPointIeee754<TValue>
    {
        public Vector<T> Of<T>(Vector<T> x, Vector<T> same) where T : unmanaged, IFloatingPointIeee754<T> => x - new Vector<T>(T.CreateTruncating(b));
    }
}

internal sealed unsafe partial class SoftmaxCrossEntropyLossGrad
{
    protected override void Run<T>(CpuContext context)
    {
        CpuTensor scores = context.Input(1);
        long ignore = ignored ?? (context.OptionalInput(4) is { } index ? index.Integer(0) : long.MinValue);
        var labels = Labels<T>.Of(scores, context.Input(2), context.OptionalInput(3), ignore, out Slices s);
        T* dy = context.Input(0).Data<T>(), logProb = scores.Data<T>(), dx = context.Output<T>(0, scores.Dims);
        T* bias = context.OptionalInput(biasInput) is { } b ? b.Data<T>() : null;
        T total = reduction == LossReduction.Mean ? labels.TotalWeight() : T.One;
        T outer = reduction == LossReduction.None ? T.One : total == T.Zero ? T.Zero : *dy / total;
        context.ForEachPart(s.Count, 4 * s.Length, (from, to) =>
        {
            for (long i = from; i < to; i++)
            {
                long first = i / s.Inner * s.Length * s.Inner + i % s.Inner, label = labels.Class(i);
                T scale = labels.Weight(label) * (reduction == LossReduction.None ? dy[i] : outer);
                if (s.Inner == 1 && label < 0) Simd.Clear(dx + first, s.Length);
                else if (s.Inner == 1) Simd.Map(new ScaledExp<T>(scale), logProb + first, logProb + first, dx + first, s.Length);
                for (long k = first; s.Inner > 1 && k < first + s.Length * s.Inner; k += s.Inner) dx[k] = label < 0 ? T.Zero : scale * T.Exp(logProb[k]);
                if (label >= 0) dx[first + label * s.Inner] -= scale;
                for (long k = first; bias != null && k < first + s.Length * s.Inner; k += s.Inner) dx[k] += bias[k];
            }
        });
    }

    private readonly struct ScaledExp<TValue>(TValue scale) : IVectorFunction where TValue : IFloatingPointIeee754<TValue>
    {
        public Vector<T> Of<T>(Vector<T> l, Vector<T> same) where T : unmanaged, IFloatingPointIeee754<T> => Simd.Exp(l) * new Vector<T>(T.CreateTruncating(scale));
    }
}
