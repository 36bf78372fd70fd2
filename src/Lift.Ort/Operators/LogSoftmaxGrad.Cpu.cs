using System.Numerics;

namespace Lift.Ort.Operators;

internal sealed unsafe partial class LogSoftmaxGrad
{
    protected override void Run<T>(CpuContext context)
    {
        CpuTensor dy = context.Input(0), y = context.Input(1); // ONNX Runtime calls it X; it is the forward's output
        Slices s = flatten ? Slices.From(dy.Dims, axis) : Slices.Along(dy.Dims, axis);
        T* g = dy.Data<T>(), l = y.Data<T>(), dx = context.Output<T>(0, dy.Dims);
        if (s.Inner == 1)
        {
            context.ForEachPart(s.Outer, 4 * s.Length, (from, to) =>
            {
                for (long r = from * s.Length; r < to * s.Length; r += s.Length)
                    Simd.Map(new MinusProbability(double.CreateChecked(Simd.Sum(g + r, s.Length))), g + r, l + r, dx + r, s.Length);
            });
            return;
        }
        context.ForEachPart(s.Count, 4 * s.Length, (from, to) =>
        {
            for (long i = from; i < to; i++)
            {
                long first = i / s.Inner * s.Length * s.Inner + i % s.Inner, end = first + s.Length * s.Inner;
                T sum = T.Zero;
                for (long k = first; k < end; k += s.Inner) sum += g[k];
                for (long k = first; k < end; k += s.Inner) dx[k] = g[k] - T.Exp(l[k]) * sum;
            }
        });
    }

    private readonly struct MinusProbability(double sum) : IVectorFunction
    {
        public Vector<T> Of<T>(Vector<T> g, Vector<T> l) where T : unmanaged, IFloatingPointIeee754<T> => g - Simd.Exp(l) * new Vector<T>(T.CreateTruncating(sum));
    }
}
