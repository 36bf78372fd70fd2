using Lift.Ort.Onnx;

namespace Lift.Ort.Operators;

internal sealed unsafe partial class ConcatTraining
{
    public override void Run(CpuContext context)
    {
        CpuTensor[] inputs = [.. Enumerable.Range(0, context.InputCount).Select(context.Input)];
        long[] dims = [.. inputs[0].Dims];
        int a = Slices.Axis(axis, dims.Length), size = inputs[0].Type.Bits() / 8;
        dims[a] = inputs.Sum(t => t.Dims[a]);
        byte* result = context.Output<byte>(0, dims);
        long outer = CpuTensor.Product(dims.AsSpan(..a)), at = 0, row = CpuTensor.Product(dims.AsSpan(a..)) * size;
        foreach (CpuTensor input in inputs)
        {
            long bytes = CpuTensor.Product(input.Dims.AsSpan(a..)) * size;
            for (long o = 0; o < outer; o++) Simd.Copy((byte*)input.Address + o * bytes, result + o * row + at, bytes);
            at += bytes;
        }
        long* lengths = context.Output<long>(1, inputs.Length);
        for (int i = 0; lengths != null && i < inputs.Length; i++) lengths[i] = inputs[i].Dims[a];
    }
}

internal sealed unsafe partial class SplitTraining
{
    public override void Run(CpuContext context)
    {
        CpuTensor input = context.Input(0);
        long[] lengths = context.Input(1).ToLongs(), dims = [.. input.Dims];
        int a = Slices.Axis(axis, dims.Length), size = input.Type.Bits() / 8;
        if (lengths.Sum() != dims[a] || lengths.Length != context.OutputCount)
            throw new ArgumentException($"split [{string.Join(", ", lengths)}] does not cut an axis of {dims[a]} into {context.OutputCount} outputs");
        long outer = CpuTensor.Product(dims.AsSpan(..a)), at = 0, row = CpuTensor.Product(dims.AsSpan(a..)) * size;
        for (int i = 0; i < lengths.Length; i++)
        {
            dims[a] = lengths[i];
            long bytes = CpuTensor.Product(dims.AsSpan(a..)) * size;
            byte* piece = context.Output<byte>(i, dims);
            for (long o = 0; piece != null && o < outer; o++) Simd.Copy((byte*)input.Address + o * row + at, piece + o * bytes, bytes);
            at += bytes;
        }
    }
}
