namespace Lift.Ort.Operators.Recurrent;

internal sealed partial class GruTraining : ICudaKernel
{
    public void Run(CudaContext context)
    {
        CpuTensor x = context.Input(0), w = context.Input(1), r = context.Input(2);
        layer.Check(x, w, r, 3);
        long steps = x.Dims[0], batch = x.Dims[1], h = layer.Hidden, d = layer.Directions;
        nint all = context.Output(0, steps, d, batch, h), final = context.Output(1, d, batch, h), gates = context.Output(2, steps, d, batch, 3 * h);
        var run = new CudaRecurrence(context, layer, x, context.Address(4), 3);
        nint[] scratch = context.Parts(d * run.Rows * 3 * h * sizeof(float), 3 * run.Units * sizeof(float), run.Units * sizeof(float), run.Units * sizeof(float), run.Widened(r.Count));
        nint xw = scratch[0], sums = scratch[1], state = scratch[2], reset = scratch[3], recurrent = run.Widen(r.Address, scratch[4], r.Count);
        run.Project(w.Address, xw);
        run.Start(context.Address(5), state);
        for (long step = 0; step < steps; step++)
        {
            Product(layer.LinearBeforeReset ? 3 : 2, state, 0);
            Step(layer.LinearBeforeReset ? 3 : 1);
            if (layer.LinearBeforeReset) continue;
            Product(1, reset, 2);
            Step(2);

            void Step(int phase) => run.Launch("GruStep", [sums, xw, context.Address(3), state, reset, all, gates], step, phase);
        }
        context.Narrow(state, final, x.Type, run.Units);

        // sums of so many gates from the first one on: a · Rᵀ
        void Product(long count, nint a, long first) =>
            run.Multiply(batch, count * h, h, a, h, recurrent + (nint)(first * h * h * sizeof(float)), h, 3 * h * h, sums + (nint)(first * h * sizeof(float)), 3 * h, batch * 3 * h, transposeB: true);
    }
}
