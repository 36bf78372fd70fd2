using Lift.Ort.Devices.Cuda;
using Lift.Ort.Onnx;

namespace Lift.Ort.Operators;

internal sealed partial class GatherGrad : ICudaKernel
{
    public void Run(CudaContext context)
    {
        long[] dims = context.Input(0).ToLongs();
        CpuTensor indices = context.Input(1), dy = context.Input(2);
        Slices s = Slices.Along(dims, axis);
        long count = indices.Count;
        if (dy.Count != s.Outer * count * s.Inner) throw new ArgumentException($"dY has {dy.Count} elements, indices and shape [{string.Join(", ", dims)}] ask for {s.Outer * count * s.Inner}");
        nint dx = context.Output(0, dims);
        context.Fill(dx, 0, CpuTensor.Product(dims) * dy.Type.Bits() / 8);
        if (dy.Count == 0) return;
        int wide = indices.Type == ElementType.Int64 ? 1 : 0;
        nint next = context.Scratch(count * (sizeof(int) + 1)), first = next + (nint)(count * sizeof(int));
        AddRows(context, dy, indices.Address, wide, count, s, next, first, dx);
    }

    /// <summary>dx [outer, length, inner] += dy [outer, count, inner] at <paramref name="count"/> indices; one outside is skipped. <paramref name="next"/> and <paramref name="first"/> are room for count int32 and bytes.</summary>
    public static void AddRows(CudaContext context, CpuTensor dy, nint indices, int wide, long count, Slices s, nint next, nint first, nint dx)
    {
        context.Launch("GatherGrad", "LinkEqual", dy.Type, Grid.For(count), indices, wide, count, s.Length, next, first);
        context.Launch("GatherGrad", "SumEqual", dy.Type, new Grid(s.Outer * count, Grid.Block), dy.Address, indices, wide, next, first, count, s.Length, s.Inner, dx);
    }
}

internal sealed unsafe partial class GatherElementsGrad : ICudaKernel
{
    public void Run(CudaContext context)
    {
        CpuTensor dy = context.Input(0), indices = context.Input(2);
        long[] dims = context.Input(1).ToLongs();
        nint dx = context.Output(0, dims);
        context.Fill(dx, 0, CpuTensor.Product(dims) * dy.Type.Bits() / 8);
        if (dy.Count == 0) return;
        int a = Slices.Axis(axis, dims.Length);
        Dims to = Dims.Of(dims), from = Dims.Of(dy.Dims);
        long lines = dy.Count / dy.Dims[a];
        context.Launch("GatherGrad", "AddElements", dy.Type, Grid.For(lines), dy.Address, indices.Address, indices.Type == ElementType.Int64 ? 1 : 0, KernelArgument.Of(&to), KernelArgument.Of(&from), dims.Length, a, lines, dx);
    }
}
