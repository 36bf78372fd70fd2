using Lift.Ort.Devices.Cuda;
using Lift.Ort.Onnx;

namespace Lift.Ort.Operators;

internal sealed partial class ConcatTraining : ICudaKernel
{
    public void Run(CudaContext context)
    {
        CpuTensor[] inputs = [.. Enumerable.Range(0, context.InputCount).Select(context.Input)];
        long[] dims = [.. inputs[0].Dims];
        int a = Slices.Axis(axis, dims.Length), size = inputs[0].Type.Bits() / 8;
        dims[a] = inputs.Sum(t => t.Dims[a]);
        nint result = context.Output(0, dims), lengths = context.Output(1, inputs.Length);
        long outer = CpuTensor.Product(dims.AsSpan(..a)), row = CpuTensor.Product(dims.AsSpan(a..)), at = 0;
        foreach (CpuTensor input in inputs)
        {
            long own = CpuTensor.Product(input.Dims.AsSpan(a..));
            CopyRows(context, size, input.Address, result + (nint)(at * size), outer, own, own, row);
            at += own;
        }
        if (lengths != 0) context.Write([.. inputs.Select(t => t.Dims[a])], lengths);
    }

    /// <summary>Copies rows of elements of 1, 2, 4 or 8 bytes; lengths and steps in elements.</summary>
    public static void CopyRows(CudaContext context, int size, nint from, nint to, long rows, long length, long fromStep, long toStep)
    {
        if (rows * length > 0) context.Launch("Pieces", $"CopyRows{size}", null, Grid.For(rows * length, perThread: 4), from, to, rows, length, fromStep, toStep);
    }
}

internal sealed partial class SplitTraining : ICudaKernel
{
    public void Run(CudaContext context)
    {
        CpuTensor input = context.Input(0);
        long[] lengths = context.Input(1).ToLongs(), dims = [.. input.Dims];
        int a = Slices.Axis(axis, dims.Length), size = input.Type.Bits() / 8;
        if (lengths.Sum() != dims[a] || lengths.Length != context.OutputCount)
            throw new ArgumentException($"split [{string.Join(", ", lengths)}] does not cut an axis of {dims[a]} into {context.OutputCount} outputs");
        long outer = CpuTensor.Product(dims.AsSpan(..a)), row = CpuTensor.Product(dims.AsSpan(a..)), at = 0;
        for (int i = 0; i < lengths.Length; i++)
        {
            dims[a] = lengths[i];
            long own = CpuTensor.Product(dims.AsSpan(a..));
            nint piece = context.Output(i, dims);
            if (piece != 0) ConcatTraining.CopyRows(context, size, input.Address + (nint)(at * size), piece, outer, own, row, own);
            at += own;
        }
    }
}
