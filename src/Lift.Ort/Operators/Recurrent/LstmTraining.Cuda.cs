namespace Lift.Ort.Operators.Recurrent;

internal sealed partial class LstmTraining : ICudaKernel
{
    public void Run(CudaContext context)
    {
        CpuTensor x = context.Input(0), w = context.Input(1), r = context.Input(2);
        layer.Check(x, w, r, 4);
        long steps = x.Dims[0], batch = x.Dims[1], h = layer.Hidden, d = layer.Directions;
        nint all = context.Output(0, steps, d, batch, h), final = context.Output(1, d, batch, h), finalCell = context.Output(2, d, batch, h);
        nint cells = context.Output(3, steps, d, batch, h), gates = context.Output(4, steps, d, batch, 4 * h);
        var run = new CudaRecurrence(context, layer, x, context.Address(4), 4);
        nint[] scratch = context.Parts(d * run.Rows * 4 * h * sizeof(float), 4 * run.Units * sizeof(float), run.Units * sizeof(float), run.Units * sizeof(float), run.Widened(r.Count));
        nint xw = scratch[0], sums = scratch[1], state = scratch[2], cell = scratch[3], recurrent = run.Widen(r.Address, scratch[4], r.Count);
        run.Project(w.Address, xw);
        run.Start(context.Address(5), state);
        run.Start(context.Address(6), cell);
        for (long step = 0; step < steps; step++)
        {
            run.Multiply(batch, 4 * h, h, state, h, recurrent, h, 4 * h * h, sums, 4 * h, batch * 4 * h, transposeB: true);
            run.Launch("LstmStep", [sums, xw, context.Address(3), context.Address(7), state, cell, all, cells, gates], step);
        }
        context.Narrow(state, final, x.Type, run.Units);
        context.Narrow(cell, finalCell, x.Type, run.Units);
    }
}
