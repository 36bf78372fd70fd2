using Lift.Ort.Onnx;

namespace Lift.Ort.Operators.Recurrent;

internal sealed partial class GruGrad : ICudaKernel
{
    public void Run(CudaContext context)
    {
        CpuTensor x = context.Input(0), w = context.Input(1), r = context.Input(2);
        layer.Check(x, w, r, 3);
        long batch = x.Dims[1], h = layer.Hidden, d = layer.Directions;
        bool linear = layer.LinearBeforeReset;
        nint dx = context.Output(0, x.Dims), dw = context.Output(1, w.Dims), dr = context.Output(2, r.Dims), db = context.Output(3, d, 6 * h), dh0 = context.Output(4, d, batch, h);
        var run = new CudaRecurrence(context, layer, x, context.Address(4), 3);
        long rows = run.Rows, units = run.Units, inputs = run.Inputs, byTime = d * rows * h * sizeof(float);
        nint[] scratch = context.Parts(3 * byTime, 3 * units * sizeof(float), byTime, byTime, linear ? byTime : units * sizeof(float), units * sizeof(float),
            run.Widened(r.Count), run.Widened(w.Count), run.Widened(x.Count), run.Widened(Math.Max(x.Count, Math.Max(w.Count, r.Count))));
        nint dGates = scratch[0], dStep = scratch[1], before = scratch[2], inner = scratch[3], through = scratch[4], dState = scratch[5];
        nint recurrent = run.Widen(r.Address, scratch[6], r.Count), third = recurrent + (nint)(2 * h * h * sizeof(float)), room = scratch[9];
        context.Fill(dGates, 0, 3 * byTime);
        context.Fill(before, 0, byTime);
        context.Fill(inner, 0, byTime);
        run.Launch("GruBefore", run.Steps * units, [context.Address(7), context.Address(6), context.Address(5), before, inner], linear ? 1 : 0);
        if (linear) run.Multiply(rows, h, h, before, h, third, h, 3 * h * h, through, h, rows * h, transposeB: true);
        for (long step = run.Steps - 1; step >= 0; step--)
        {
            Step(linear ? 3 : 1);
            if (!linear)
            {
                run.Multiply(batch, h, h, dStep + (nint)(2 * h * sizeof(float)), 3 * h, third, h, 3 * h * h, through, h, batch * h);
                Step(2);
            }
            run.Multiply(batch, h, (linear ? 3 : 2) * h, dStep, 3 * h, recurrent, h, 3 * h * h, dState, h, batch * h, add: true);

            void Step(int phase) => run.Launch("GruGradStep", [context.Address(7), context.Address(3), context.Address(8), context.Address(9), before, through, dState, dGates, dStep, inner], step, phase);
        }
        if (dh0 != 0) run.Launch("FirstGrad", [dState, context.Address(9), dh0]);
        run.Result(dx, room, x.Count, to => run.InputGradient(dGates, run.Widen(w.Address, scratch[7], w.Count), to));
        run.Result(dw, room, w.Count, to => run.Multiply(3 * h, inputs, rows, dGates, 3 * h, run.Widen(x.Address, scratch[8], x.Count), inputs, 0, to, inputs, 3 * h * inputs, transposeA: true));
        run.Result(dr, room, r.Count, to =>
        {
            run.Multiply(2 * h, h, rows, dGates, 3 * h, before, h, rows * h, to, h, 3 * h * h, transposeA: true);
            nint last = to + (nint)(2 * h * h * sizeof(float));
            if (linear) run.Multiply(h, h, rows, inner, h, before, h, rows * h, last, h, 3 * h * h, transposeA: true);
            else run.Multiply(h, h, rows, dGates + (nint)(2 * h * sizeof(float)), 3 * h, inner, h, rows * h, last, h, 3 * h * h, transposeA: true);
        });
        run.SumRows(dGates, db, rows, 3 * h, 6 * h, 3 * h, linear ? 2 * h : 3 * h);
        if (linear && db != 0) run.SumRows(inner, db + (nint)(5 * h * x.Type.Bits() / 8), rows, h, 6 * h);
    }
}
