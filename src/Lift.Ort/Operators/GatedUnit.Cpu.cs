using System.Numerics;

namespace Lift.Ort.Operators;

internal sealed unsafe partial class GatedUnit
{
    protected override void Run<T>(CpuContext context)
    {
        CpuTensor gate = context.Input(0), up = context.Input(1);
        if (gate.Count != up.Count) throw new ArgumentException($"gate has {gate.Count} elements, up {up.Count}");
        T* g = gate.Data<T>(), u = up.Data<T>(), y = context.Output<T>(0, gate.Dims);
        context.ForEachPart(gate.Count, 4, (from, to) => Simd.Map(default(Gated), g + from, u + from, y + from, to - from));
    }

    private readonly struct Gated : IVectorFunction
    {
        public Vector<T> Of<T>(Vector<T> g, Vector<T> u) where T : unmanaged, IFloatingPointIeee754<T> => g * Activation.Sigmoid(g) * u;
    }
}

internal sealed unsafe partial class GatedUnitGrad
{
    protected override void Run<T>(CpuContext context)
    {
        CpuTensor dy = context.Input(0), gate = context.Input(1), up = context.Input(2);
        if (gate.Count != up.Count || gate.Count != dy.Count) throw new ArgumentException($"dY has {dy.Count} elements, gate {gate.Count}, up {up.Count}");
        T* d = dy.Data<T>(), g = gate.Data<T>(), u = up.Data<T>(), dGate = context.Output<T>(0, gate.Dims), dUp = context.Output<T>(1, up.Dims);
        context.ForEachPart(gate.Count, 6, (from, to) =>
        {
            int w = Vector<T>.Count;
            long i = from;
            for (; i <= to - w; i += w)
            {
                Vector<T> dv = Vector.Load(d + i), gv = Vector.Load(g + i), s = Activation.Sigmoid(gv), silu = gv * s;
                (dv * silu).Store(dUp + i);
                (dv * Vector.Load(u + i) * (s + silu * (Vector<T>.One - s))).Store(dGate + i);
            }
            for (; i < to; i++)
            {
                T dyi = d[i], s = T.One / (T.One + T.Exp(-g[i])), silu = g[i] * s;
                dUp[i] = dyi * silu;
                dGate[i] = dyi * u[i] * (s + silu * (T.One - s));
            }
        });
    }
}
