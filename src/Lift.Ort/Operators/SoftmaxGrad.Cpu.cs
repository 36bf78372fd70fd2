using System.Numerics;

namespace Lift.Ort.Operators;

internal sealed unsafe partial class SoftmaxGrad
{
    protected override void Run<T>(CpuContext context)
    {
        CpuTensor dy = context.Input(0), y = context.Input(1);
        Slices s = flatten ? Slices.From(dy.Dims, axis) : Slices.Along(dy.Dims, axis);
        T* g = dy.Data<T>(), p = y.Data<T>(), dx = context.Output<T>(0, dy.Dims);
        if (s.Inner == 1)
        {
            context.ForEachPart(s.Outer, s.Length, (from, to) =>
            {
                for (long r = from * s.Length; r < to * s.Length; r += s.Length)
                    Simd.Map(new Centered(double.CreateChecked(Simd.Dot(g + r, p + r, s.Length))), g + r, p + r, dx + r, s.Length);
            });
            return;
        }
        context.ForEachPart(s.Count, s.Length, (from, to) =>
        {
            for (long i = from; i < to; i++)
            {
                long first = i / s.Inner * s.Length * s.Inner + i % s.Inner, end = first + s.Length * s.Inner;
                T dot = T.Zero;
                for (long k = first; k < end; k += s.Inner) dot += g[k] * p[k];
                for (long k = first; k < end; k += s.Inner) dx[k] = p[k] * (g[k] - dot);
            }
        });
    }

    private readonly struct Centered(double dot) : IVectorFunction
    {
        public Vector<T> Of<T>(Vector<T> g, Vector<T> p) where T : unmanaged, IFloatingPointIeee754<T> => p * (g - new Vector<T>(T.CreateTruncating(dot)));
    }
}
