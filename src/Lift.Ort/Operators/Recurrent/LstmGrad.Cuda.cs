namespace Lift.Ort.Operators.Recurrent;

internal sealed partial class LstmGrad : ICudaKernel
{
    public void Run(CudaContext context)
    {
        CpuTensor x = context.Input(0), w = context.Input(1), r = context.Input(2);
        layer.Check(x, w, r, 4);
        long batch = x.Dims[1], h = layer.Hidden, d = layer.Directions;
        nint dx = context.Output(0, x.Dims), dw = context.Output(1, w.Dims), dr = context.Output(2, r.Dims), db = context.Output(3, d, 8 * h);
        nint dh0 = context.Output(4, d, batch, h), dc0 = context.Output(5, d, batch, h), dp = context.Output(6, d, 3 * h);
        var run = new CudaRecurrence(context, layer, x, context.Address(3), 4);
        long rows = run.Rows, units = run.Units, inputs = run.Inputs;
        nint[] scratch = context.Parts(d * rows * 4 * h * sizeof(float), 4 * units * sizeof(float), d * rows * h * sizeof(float), units * sizeof(float), units * sizeof(float), 3 * units * sizeof(float),
            run.Widened(r.Count), run.Widened(w.Count), run.Widened(x.Count), run.Widened(Math.Max(x.Count, Math.Max(w.Count, r.Count))));
        nint dGates = scratch[0], dStep = scratch[1], before = scratch[2], dState = scratch[3], dCell = scratch[4], peepholes = scratch[5];
        nint recurrent = run.Widen(r.Address, scratch[6], r.Count);
        context.Fill(dGates, 0, d * rows * 4 * h * sizeof(float));
        context.Fill(before, 0, d * rows * h * sizeof(float));
        context.Fill(peepholes, 0, 3 * units * sizeof(float));
        for (long step = run.Steps - 1; step >= 0; step--)
        {
            run.Launch("LstmGradStep", [context.Address(8), context.Address(7), context.Address(6), context.Address(4), context.Address(5), context.Address(12), context.Address(9), context.Address(10), context.Address(11),
                dState, dCell, dGates, dStep, before, peepholes], step);
            run.Multiply(batch, h, 4 * h, dStep, 4 * h, recurrent, h, 4 * h * h, dState, h, batch * h);
        }
        if (dh0 != 0) run.Launch("FirstGrad", [dState, context.Address(10), dh0]);
        if (dc0 != 0) run.Launch("FirstGrad", [dCell, context.Address(11), dc0]);
        run.Result(dx, scratch[9], x.Count, to => run.InputGradient(dGates, run.Widen(w.Address, scratch[7], w.Count), to));
        run.Result(dw, scratch[9], w.Count, to => run.Multiply(4 * h, inputs, rows, dGates, 4 * h, run.Widen(x.Address, scratch[8], x.Count), inputs, 0, to, inputs, 4 * h * inputs, transposeA: true));
        run.Result(dr, scratch[9], r.Count, to => run.Multiply(4 * h, h, rows, dGates, 4 * h, before, h, rows * h, to, h, 4 * h * h, transposeA: true));
        run.SumRows(dGates, db, rows, 4 * h, 8 * h, 4 * h, 4 * h);
        run.SumRows(peepholes, dp, batch, 3 * h, 3 * h);
    }
}
