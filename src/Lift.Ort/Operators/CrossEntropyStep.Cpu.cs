using System.Numerics;

namespace Lift.Ort.Operators;

internal sealed unsafe partial class CrossEntropyStep
{
    protected override void Run<T>(CpuContext context)
    {
        CpuTensor logits = context.Input(0);
        var labels = Labels<T>.Of(logits, context.Input(1), null, ignored, out Slices s);
        T* x = logits.Data<T>(), dx = context.Output<T>(0, logits.Dims), loss = context.Output<T>(1, context.Input(2).Dims);
        T total = labels.TotalWeight(), scale = total == T.Zero ? T.Zero : *context.Input(2).Data<T>() / total;
        double[] losses = new double[s.Outer];
        context.ForEachPart(s.Outer, 4 * s.Length, (from, to) =>
        {
            for (long row = from; row < to; row++)
            {
                long first = row * s.Length, label = labels.Class(row);
                if (label < 0)
                {
                    Simd.Clear(dx + first, s.Length);
                    continue;
                }
                losses[row] = Row(x + first, dx + first, s.Length, label, scale);
            }
        });
        *loss = T.CreateChecked(total == T.Zero ? 0 : losses.Sum() / double.CreateChecked(total));
    }

    /// <summary>dx = (softmax(x) − onehot(label)) · scale, where dx may be x; answers the row's loss.</summary>
    public static double Row<T>(T* x, T* dx, long n, long label, T scale) where T : unmanaged, IFloatingPointIeee754<T>
    {
        T max = Simd.Max(x, n), target = x[label];
        T sum = ShiftedExp(x, max, dx, n);
        Simd.Scale(scale / sum, dx, n);
        dx[label] -= scale;
        return double.CreateChecked(max + T.Log(sum) - target);
    }

    /// <summary>y = exp(x − max); answers Σ y.</summary>
    private static T ShiftedExp<T>(T* x, T max, T* y, long n) where T : unmanaged, IFloatingPointIeee754<T>
    {
        var shift = new Vector<T>(max);
        Vector<T> sums = default;
        T rest = T.Zero;
        long i = 0;
        for (; i <= n - Vector<T>.Count; i += Vector<T>.Count)
        {
            Vector<T> e = Simd.Exp(Vector.Load(x + i) - shift);
            e.Store(y + i);
            sums += e;
        }
        for (; i < n; i++) rest += y[i] = T.Exp(x[i] - max);
        return rest + Vector.Sum(sums);
    }
}
