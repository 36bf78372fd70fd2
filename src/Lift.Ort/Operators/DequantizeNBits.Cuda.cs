using Lift.Ort.Devices.Cuda;

namespace Lift.Ort.Operators;

internal sealed unsafe partial class DequantizeNBits : ICudaKernel
{
    public void Run(CudaContext context)
    {
        CpuTensor packed = context.Input(0), scale = context.Input(1), zero = context.Input(2);
        var (rows, blocks, bytes) = Fit(packed);
        long size = bytes * (8 / bits), count = rows * blocks * size;
        Dims scales = Steps(scale), zeros = Steps(zero);
        nint y = context.Output(0, rows, blocks * size);
        if (count > 0)
            context.Launch("DequantizeNBits", "DequantizeNBits", scale.Type, Grid.For(count, perThread: 8), packed.Address, scale.Address, KernelArgument.Of(&scales), zero.Address, KernelArgument.Of(&zeros), y, blocks, size, (int)bits, count);

        Dims Steps(CpuTensor parameter) => Strides(parameter, rows, blocks, size) is var (row, block, entry) ? Dims.Of([row, block, entry]) : default;
    }
}
