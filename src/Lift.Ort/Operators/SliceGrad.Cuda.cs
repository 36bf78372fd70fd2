using Lift.Ort.Devices.Cuda;
using Lift.Ort.Onnx;

namespace Lift.Ort.Operators;

internal sealed unsafe partial class SliceGrad : ICudaKernel
{
    public void Run(CudaContext context)
    {
        CpuTensor dy = context.Input(0);
        long[] dims = context.Input(1).ToLongs(), starts = context.Input(2).ToLongs();
        long[] axes = context.OptionalInput(4)?.ToLongs() ?? [.. Enumerable.Range(0, starts.Length)], steps = context.OptionalInput(5)?.ToLongs() ?? [.. starts.Select(_ => 1L)];
        long[] first = new long[dims.Length], step = [.. dims.Select(_ => 1L)], stride = new long[dims.Length];
        for (int i = 0; i < axes.Length; i++)
        {
            int a = Slices.Axis(axes[i], dims.Length);
            step[a] = steps[i];
            first[a] = Math.Clamp(starts[i] < 0 ? starts[i] + dims[a] : starts[i], 0, steps[i] < 0 ? dims[a] - 1 : dims[a]);
        }
        for (int d = dims.Length - 1; d >= 0; d--)
        {
            stride[d] = d == dims.Length - 1 ? 1 : stride[d + 1] * dims[d + 1];
            long last = first[d] + (dy.Dims[d] - 1) * step[d];
            if (dy.Count > 0 && (last < 0 || last >= dims[d])) throw new ArgumentException($"dY [{string.Join(", ", dy.Dims)}] does not fit this slice of [{string.Join(", ", dims)}]");
        }
        int size = dy.Type.Bits() / 8;
        nint dx = context.Output(0, dims);
        context.Fill(dx, 0, CpuTensor.Product(dims) * size);
        if (dy.Count == 0) return;
        Dims shape = Dims.Of(dy.Dims), begin = Dims.Of(first), by = Dims.Of(step), apart = Dims.Of(stride);
        context.Launch("Pieces", $"PlaceSlice{size}", null, Grid.For(dy.Count, perThread: 4), dy.Address, dx, KernelArgument.Of(&shape), KernelArgument.Of(&begin), KernelArgument.Of(&by), KernelArgument.Of(&apart), dims.Length, dy.Count);
    }
}
