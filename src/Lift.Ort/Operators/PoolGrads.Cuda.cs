using Lift.Ort.Devices.Cuda;
using Lift.Ort.Onnx;

namespace Lift.Ort.Operators;

internal sealed partial class MaxPoolGrad : ICudaKernel
{
    public void Run(CudaContext context)
    {
        CpuTensor dy = context.Input(0), indices = context.Input(1);
        long[] dims = PoolGrad.Dims(declared, dy.Dims);
        if (indices.Count != dy.Count) throw new ArgumentException($"dY has {dy.Count} elements, Indices {indices.Count}");
        if (dy.Count >= int.MaxValue) throw new ArgumentException($"dY has {dy.Count} elements; the GPU's kernel counts up to {int.MaxValue - 1}");
        long size = CpuTensor.Product(dims);
        nint dx = context.Output(0, dims);
        if (size == 0) return;
        nint[] scratch = context.Parts(size * sizeof(int), dy.Count * sizeof(int));
        context.Fill(scratch[0], 0, size * sizeof(int));
        if (dy.Count > 0) context.Launch("Pools", "LinkMaxima", dy.Type, Grid.For(dy.Count), indices.Address, scratch[0], scratch[1], dy.Count, size);
        context.Launch("Pools", "SumMaxima", dy.Type, Grid.For(size), dy.Address, scratch[0], scratch[1], dx, size);
    }
}

internal sealed unsafe partial class AveragePoolGrad : ICudaKernel
{
    public void Run(CudaContext context)
    {
        CpuTensor dy = context.Input(0);
        long[] dims = PoolGrad.Dims(declared, dy.Dims), kernel = window.Kernel ?? throw new ArgumentException("kernel_shape is missing");
        Patches patches = window.On(dims, kernel, dy.Dims);
        CudaWindow moved = new(patches);
        nint dx = context.Output(0, dims);
        long size = CpuTensor.Product(dims);
        if (dy.Count == 0) context.Fill(dx, 0, size * dy.Type.Bits() / 8);
        if (dy.Count == 0 || size == 0) return;
        nint share = context.Scratch(patches.Places * sizeof(float));
        context.Launch("Pools", "PoolShares", dy.Type, Grid.For(patches.Places), share, KernelArgument.Of(&moved), countPadding ? 1 : 0);
        context.Launch("Pools", "SpreadShares", dy.Type, Grid.For(size), dy.Address, share, dx, KernelArgument.Of(&moved), size);
    }
}
