using Lift.Ort.Devices.Cuda;
using Lift.Ort.Onnx;

namespace Lift.Ort.Operators;

internal sealed unsafe partial class ReduceSumTraining : ICudaKernel
{
    public void Run(CudaContext context)
    {
        CpuTensor data = context.Input(0);
        long[] dims = data.Dims, axes = context.Input(1).ToLongs(), strides = new long[dims.Length];
        bool[] summed = new bool[dims.Length];
        if (axes.Length == 0 && !noneWhenEmpty) Array.Fill(summed, true);
        foreach (long axis in axes) summed[Slices.Axis(axis, dims.Length)] = true;
        for (int d = dims.Length - 1; d >= 0; d--) strides[d] = d == dims.Length - 1 ? 1 : strides[d + 1] * dims[d + 1];
        int[] gone = [.. Enumerable.Range(0, dims.Length).Where(i => summed[i])], stay = [.. Enumerable.Range(0, dims.Length).Where(i => !summed[i])];
        nint y = context.Output(0, keepDims ? [.. dims.Select((d, i) => summed[i] ? 1 : d)] : [.. stay.Select(i => dims[i])]);
        long terms = CpuTensor.Product([.. gone.Select(i => dims[i])]), count = CpuTensor.Product([.. stay.Select(i => dims[i])]);
        if (data.Count == 0) context.Fill(y, 0, count * data.Type.Bits() / 8);
        if (data.Count == 0) return;
        Dims kept = Dims.Of([.. stay.Select(i => dims[i])]), keptStride = Dims.Of([.. stay.Select(i => strides[i])]), over = Dims.Of([.. gone.Select(i => dims[i])]), overStride = Dims.Of([.. gone.Select(i => strides[i])]);
        bool byBlock = terms >= Grid.Block && (summed[^1] || count < Grid.Block);
        context.Launch("ReduceSumTraining", byBlock ? "SumByBlock" : "SumByThread", data.Type, byBlock ? new Grid(count, Grid.Block) : Grid.For(count), data.Address, y,
            KernelArgument.Of(&kept), KernelArgument.Of(&keptStride), stay.Length, KernelArgument.Of(&over), KernelArgument.Of(&overStride), gone.Length, terms, count);
    }
}
