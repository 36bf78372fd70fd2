using System.Runtime.InteropServices;
using Lift.Ort.Devices.Cuda;

namespace Lift.Ort.Operators;

internal sealed unsafe partial class DivGrad : ICudaKernel
{
    private const string CudaFile = "ArithmeticGrads";

    public void Run(CudaContext context)
    {
        CpuTensor dy = context.Input(0), a = context.Input(1), b = context.Input(2);
        long[] stepsA = Steps(a.Dims, dy.Dims), stepsB = Steps(b.Dims, dy.Dims);
        Operand(context, dy, a, b, stepsA, stepsB, context.Output(0, a.Dims), divisor: false);
        Operand(context, dy, a, b, stepsA, stepsB, context.Output(1, b.Dims), divisor: true);
    }

    private static void Operand(CudaContext context, CpuTensor dy, CpuTensor a, CpuTensor b, long[] stepsA, long[] stepsB, nint result, bool divisor)
    {
        if (result == 0 || (divisor ? b : a).Count == 0) return;
        long[] own = divisor ? stepsB : stepsA;
        Axes kept = new(dy.Dims, stepsA, stepsB, d => own[d] != 0), summed = new(dy.Dims, stepsA, stepsB, d => own[d] == 0);
        bool byBlock = summed.Count >= Grid.Block;
        context.Launch(CudaFile, byBlock ? "DivGradByBlock" : "DivGradByThread", dy.Type, byBlock ? new Grid(kept.Count, Grid.Block) : Grid.For(kept.Count), dy.Address, a.Address, b.Address, result,
            KernelArgument.Of(&kept), KernelArgument.Of(&summed), divisor ? 1 : 0);
    }

    /// <summary>struct Axes of ArithmeticGrads.cu, by value.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private readonly struct Axes
    {
        private readonly Dims dims, dy, a, b;
        public readonly long Count;
        private readonly int rank, pad;

        public Axes(long[] of, long[] stepsA, long[] stepsB, Func<int, bool> chosen)
        {
            int[] axes = [.. Enumerable.Range(0, of.Length).Where(chosen)];
            long[] strides = [.. axes.Select(d => CpuTensor.Product(of.AsSpan((d + 1)..)))], sizes = [.. axes.Select(d => of[d])];
            (dims, dy, a, b) = (Dims.Of(sizes), Dims.Of(strides), Dims.Of([.. axes.Select(d => stepsA[d])]), Dims.Of([.. axes.Select(d => stepsB[d])]));
            (Count, rank, pad) = (CpuTensor.Product(sizes), axes.Length, 0);
        }
    }
}

internal sealed partial class SinGrad : ICudaKernel
{
    public void Run(CudaContext context)
    {
        CpuTensor dy = context.Input(0), x = context.Input(1);
        if (dy.Count != x.Count) throw new ArgumentException($"dY has {dy.Count} elements, X {x.Count}");
        nint dx = context.Output(0, dy.Dims);
        if (dy.Count > 0) context.Launch("ArithmeticGrads", "SinGrad", dy.Type, Grid.For(dy.Count, perThread: 8), dy.Address, x.Address, dx, dy.Count);
    }
}

internal sealed partial class FakeQuant : ICudaKernel
{
    public void Run(CudaContext context)
    {
        CpuTensor x = context.Input(0);
        nint y = context.Output(0, x.Dims), mask = context.Output(1, x.Dims);
        if (x.Count > 0) context.Launch("ArithmeticGrads", "FakeQuant", x.Type, Grid.For(x.Count, perThread: 4), x.Address, context.Address(1), context.Address(2), y, mask, (float)low, (float)high, x.Count);
    }
}

internal sealed partial class FakeQuantGrad : ICudaKernel
{
    public void Run(CudaContext context)
    {
        CpuTensor dy = context.Input(0), mask = context.Input(1);
        if (dy.Count != mask.Count) throw new ArgumentException($"dY has {dy.Count} elements, the mask {mask.Count}");
        nint dx = context.Output(0, dy.Dims);
        if (dy.Count > 0) context.Launch("ArithmeticGrads", "FakeQuantGrad", dy.Type, Grid.For(dy.Count, perThread: 4), dy.Address, mask.Address, dx, dy.Count);
    }
}
