using Lift.Ort.Devices.Cuda;
using Lift.Ort.Onnx;

namespace Lift.Ort.Operators;

/// <summary>Rows at indices, moved in the widest units that divide them. An index outside gives a row of zeros, as ONNX Runtime's Gather does on a GPU.</summary>
internal static class CudaRows
{
    /// <summary>to [outer, indices, row] = from [outer, length, row] at the indices; <paramref name="row"/> in bytes.</summary>
    public static void Gather(CudaContext context, CpuTensor indices, nint from, nint to, long outer, long length, long row)
    {
        int unit = Unit(row);
        long units = outer * indices.Count * row / unit;
        if (units > 0) context.Launch("Pieces", $"GatherRows{unit}", null, Grid.For(units, perThread: 4), from, to, indices.Address, indices.Type == ElementType.Int64 ? 1 : 0, indices.Count, length, row / unit, units);
    }

    /// <summary>Bytes of the largest number that a row is made of.</summary>
    public static int Unit(long row) => row % 8 == 0 ? 8 : row % 4 == 0 ? 4 : row % 2 == 0 ? 2 : 1;
}

internal sealed partial class ShrunkenGather : ICudaKernel
{
    public void Run(CudaContext context)
    {
        CpuTensor data = context.Input(0), indices = context.Input(1);
        Slices s = Fit(data, indices, out long[] dims);
        CudaRows.Gather(context, indices, data.Address, context.Output(0, dims), s.Outer, s.Length, s.Inner * data.Type.Bits() / 8);
    }
}

internal sealed partial class PadAndUnflatten : ICudaKernel
{
    public void Run(CudaContext context)
    {
        CpuTensor input = context.Input(0), indices = context.Input(1);
        long[] first = context.Input(2).ToLongs();
        long rows = CpuTensor.Product(first), row = CpuTensor.Product(input.Dims.AsSpan(1..)) * input.Type.Bits() / 8;
        if (indices.Count != input.Dims[0]) throw new ArgumentException($"{indices.Count} indices and {input.Dims[0]} rows do not fit");
        if (indices.Count >= int.MaxValue) throw new ArgumentException($"{indices.Count} rows; the GPU's kernel counts up to {int.MaxValue - 1}");
        nint y = context.Output(0, [.. first, .. input.Dims[1..]]), latest = context.Scratch(rows * sizeof(int));
        int unit = CudaRows.Unit(row);
        long units = rows * row / unit;
        if (units == 0) return;
        context.Fill(latest, 0, rows * sizeof(int));
        if (indices.Count > 0) context.Launch("Pieces", "LatestOfRows", null, Grid.For(indices.Count), indices.Address, latest, indices.Count, rows);
        context.Launch("Pieces", $"PlaceRows{unit}", null, Grid.For(units, perThread: 4), input.Address, y, latest, row / unit, units);
    }
}

internal sealed partial class FlattenAndUnpad : ICudaKernel
{
    public void Run(CudaContext context)
    {
        CpuTensor input = context.Input(0), indices = context.Input(1);
        if (input.Dims.Length < 2) throw new ArgumentException($"the input has {input.Dims.Length} axes, fewer than two");
        nint y = context.Output(0, [indices.Count, .. input.Dims[2..]]), lengths = context.Output(1, 2);
        CudaRows.Gather(context, indices, input.Address, y, 1, input.Dims[0] * input.Dims[1], CpuTensor.Product(input.Dims.AsSpan(2..)) * input.Type.Bits() / 8);
        if (lengths != 0) context.Write(input.Dims.AsSpan(..2), lengths);
    }
}

internal sealed unsafe partial class GatherNDGrad : ICudaKernel
{
    public void Run(CudaContext context)
    {
        long[] dims = context.Input(0).ToLongs();
        CpuTensor indices = context.Input(1), update = context.Input(2);
        var (depth, tuples, slice, perBatch) = Fit(dims, indices, update);
        nint dx = context.Output(0, dims);
        context.Fill(dx, 0, CpuTensor.Product(dims) * update.Type.Bits() / 8);
        if (update.Count == 0) return;
        Dims axes = Dims.Of(dims.AsSpan(batch, depth));
        nint[] scratch = context.Parts(tuples * sizeof(long), tuples * sizeof(int), tuples);
        context.Launch("Pieces", "FlattenTuples", null, Grid.For(tuples), indices.Address, indices.Type == ElementType.Int64 ? 1 : 0, scratch[0], KernelArgument.Of(&axes), depth, perBatch, tuples);
        GatherGrad.AddRows(context, update, scratch[0], 1, tuples, new Slices(1, CpuTensor.Product(dims.AsSpan(..(batch + depth))), slice), scratch[1], scratch[2], dx);
    }
}

internal sealed partial class View : ICudaKernel
{
    public void Run(CudaContext context)
    {
        CpuTensor input = context.Input(0);
        long at = 0, all = input.Count * input.Type.Bits() / 8;
        for (int i = 0; i < context.OutputCount; i++)
        {
            long[] dims = context.Longs(i + 1); // ONNX Runtime keeps only the first of repeated inputs on the host
            long bytes = CpuTensor.Product(dims) * input.Type.Bits() / 8;
            if (at + bytes > all) throw new ArgumentException($"the shapes up to number {i} ask for more than the input's {input.Count} elements");
            nint y = context.Output(i, dims);
            if (y != 0) context.Copy(input.Address + (nint)at, y, bytes);
            at += bytes;
        }
    }
}

internal sealed partial class PassThrough : ICudaKernel
{
    public void Run(CudaContext context)
    {
        for (int i = 0; i < context.OutputCount; i++)
        {
            CpuTensor input = context.Input(i);
            nint y = context.Output(i, input.Dims);
            if (y != 0) context.Copy(input.Address, y, input.Count * input.Type.Bits() / 8);
        }
    }
}
