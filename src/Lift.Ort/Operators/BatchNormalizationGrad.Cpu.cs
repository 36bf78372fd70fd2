using System.Numerics;

namespace Lift.Ort.Operators;

internal sealed unsafe partial class BatchNormInternal
{
    protected override void Run<T>(CpuContext context)
    {
        CpuTensor scale = context.Input(1), bias = context.Input(2), givenMean = context.Input(3), givenVariance = context.Input(4);
        Channels c = Fit(context.Input(0), scale, bias, givenMean, givenVariance);
        T* x = context.Input(0).Data<T>(), s = scale.Data<T>(), b = bias.Data<T>(), oldMean = givenMean.Data<T>(), oldVariance = givenVariance.Data<T>();
        T* y = context.Output<T>(0, context.Input(0).Dims), runningMean = context.Output<T>(1, c.Count), runningVariance = context.Output<T>(2, c.Count);
        T* savedMean = context.Output<T>(3, c.Count), savedInverse = context.Output<T>(4, c.Count);
        T keep = T.CreateChecked(momentum), eps = T.CreateChecked(epsilon);
        context.ForEachPart(c.Count, 3 * c.Elements, (from, to) =>
        {
            for (long channel = from; channel < to; channel++)
            {
                T mean = oldMean[channel], variance = oldVariance[channel];
                if (training)
                {
                    mean = variance = T.Zero;
                    T count = T.CreateChecked(c.Elements);
                    for (long i = 0; i < c.Images; i++) mean += Simd.Sum(x + c.Row(i, channel), c.Space);
                    mean /= count;
                    for (long i = 0; i < c.Images; i++) variance += SquaredDistance(x + c.Row(i, channel), mean, c.Space);
                    variance /= count;
                }
                T inverse = T.One / T.Sqrt(variance + eps), factor = inverse * s[channel], shift = b[channel] - mean * factor;
                for (long i = 0; i < c.Images; i++) Affine(x + c.Row(i, channel), factor, shift, y + c.Row(i, channel), c.Space);
                if (runningMean != null) runningMean[channel] = training ? keep * oldMean[channel] + (T.One - keep) * mean : mean;
                if (runningVariance != null) runningVariance[channel] = training ? keep * oldVariance[channel] + (T.One - keep) * variance : variance;
                if (savedMean != null) savedMean[channel] = mean;
                if (savedInverse != null) savedInverse[channel] = inverse;
            }
        });
    }

    private static Channels Fit(CpuTensor x, params ReadOnlySpan<CpuTensor> perChannel)
    {
        var c = new Channels(x.Dims);
        foreach (CpuTensor t in perChannel)
            if (t.Count != c.Count) throw new ArgumentException($"scale, bias and statistics do not have the {c.Count} elements of X's channels");
        return c;
    }

    private static T SquaredDistance<T>(T* x, T mean, long n) where T : unmanaged, IFloatingPointIeee754<T>
    {
        Vector<T> m = new(mean), sums = default;
        long i = 0;
        for (; i <= n - Vector<T>.Count; i += Vector<T>.Count)
        {
            Vector<T> d = Vector.Load(x + i) - m;
            sums += d * d;
        }
        T sum = Vector.Sum(sums);
        for (; i < n; i++) sum += (x[i] - mean) * (x[i] - mean);
        return sum;
    }

    private static void Affine<T>(T* x, T factor, T shift, T* y, long n) where T : unmanaged, IFloatingPointIeee754<T>
    {
        Vector<T> f = new(factor), s = new(shift);
        long i = 0;
        for (; i <= n - Vector<T>.Count; i += Vector<T>.Count) (Vector.Load(x + i) * f + s).Store(y + i);
        for (; i < n; i++) y[i] = x[i] * factor + shift;
    }
}

internal sealed unsafe partial class BatchNormalizationGrad
{
    protected override void Run<T>(CpuContext context)
    {
        CpuTensor dyTensor = context.Input(0), xTensor = context.Input(1);
        Channels c = Fit(dyTensor, xTensor, context.Input(2), context.Input(3), context.Input(4));
        T* dy = dyTensor.Data<T>(), x = xTensor.Data<T>(), scale = context.Input(2).Data<T>(), mean = context.Input(3).Data<T>(), inverse = context.Input(4).Data<T>();
        T* dx = context.Output<T>(0, xTensor.Dims), dScale = context.Output<T>(1, c.Count), dBias = context.Output<T>(2, c.Count);
        context.ForEachPart(c.Count, 4 * c.Elements, (from, to) =>
        {
            for (long channel = from; channel < to; channel++)
            {
                T sum = T.Zero, along = T.Zero, count = T.CreateChecked(Math.Max(1, c.Elements));
                for (long i = 0; i < c.Images; i++)
                {
                    sum += Simd.Sum(dy + c.Row(i, channel), c.Space);
                    along += Covariance(dy + c.Row(i, channel), x + c.Row(i, channel), mean[channel], c.Space);
                }
                along *= inverse[channel];
                if (dScale != null) dScale[channel] = along;
                if (dBias != null) dBias[channel] = sum;
                if (dx == null) continue;
                T factor = scale[channel] * inverse[channel];
                for (long i = 0; i < c.Images; i++)
                    Row(dy + c.Row(i, channel), x + c.Row(i, channel), factor, mean[channel], inverse[channel] * along / count, sum / count, dx + c.Row(i, channel), c.Space);
            }
        });
    }

    private static Channels Fit(CpuTensor dy, CpuTensor x, CpuTensor scale, CpuTensor mean, CpuTensor inverse)
    {
        var c = new Channels(x.Dims);
        return dy.Count == x.Count && scale.Count == c.Count && mean.Count == c.Count && inverse.Count == c.Count ? c
            : throw new ArgumentException($"dY [{string.Join(", ", dy.Dims)}], X [{string.Join(", ", x.Dims)}], scale and statistics do not fit");
    }

    /// <summary>Σ dy · (x − mean)</summary>
    private static T Covariance<T>(T* dy, T* x, T mean, long n) where T : unmanaged, IFloatingPointIeee754<T>
    {
        Vector<T> m = new(mean), sums = default;
        long i = 0;
        for (; i <= n - Vector<T>.Count; i += Vector<T>.Count) sums += Vector.Load(dy + i) * (Vector.Load(x + i) - m);
        T sum = Vector.Sum(sums);
        for (; i < n; i++) sum += dy[i] * (x[i] - mean);
        return sum;
    }

    /// <summary>dx = factor · (dy − average − (x − mean) · slope)</summary>
    private static void Row<T>(T* dy, T* x, T factor, T mean, T slope, T average, T* dx, long n) where T : unmanaged, IFloatingPointIeee754<T>
    {
        Vector<T> f = new(factor), m = new(mean), s = new(slope), a = new(average);
        long i = 0;
        for (; i <= n - Vector<T>.Count; i += Vector<T>.Count) (f * (Vector.Load(dy + i) - a - (Vector.Load(x + i) - m) * s)).Store(dx + i);
        for (; i < n; i++) dx[i] = factor * (dy[i] - average - (x[i] - mean) * slope);
    }
}

/// <summary>[images, channels, space …] as rows of one channel.</summary>
internal readonly struct Channels(long[] dims)
{
    public long Images { get; } = dims[0];

    public long Count { get; } = dims.Length > 1 ? dims[1] : 1;

    public long Space { get; } = dims.Length > 2 ? CpuTensor.Product(dims.AsSpan(2..)) : 1;

    public long Elements => Images * Space;

    /// <summary>Into how many parts a GPU divides a channel's sums; the sizes alone decide.</summary>
    public int Parts => (int)Math.Clamp(Elements / 4096, 1, 64);

    public long Row(long image, long channel) => (image * Count + channel) * Space;
}
