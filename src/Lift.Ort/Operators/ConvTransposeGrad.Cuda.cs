using Lift.Ort.Devices.Cuda;
using Lift.Ort.Onnx;

namespace Lift.Ort.Operators;

internal sealed partial class ConvTransposeGrad : ICudaKernel
{
    public void Run(CudaContext context)
    {
        CpuTensor dy = context.Input(0), x = context.Input(1), w = context.Input(2);
        Patches patches = Fit(dy, x, w);
        var shared = new CudaPatches(context, patches, x.Type);
        nint dx = context.Output(0, x.Dims), dw = context.Output(1, w.Dims), db = context.Output(2, dy.Dims[1]);
        shared.ChannelSums(dy.Address, db, dy.Dims[0], dy.Dims[1], patches.ImageSize);
        if (dy.Count == 0 || x.Count == 0 || w.Count == 0)
        {
            if (dx != 0) context.Fill(dx, 0, x.Count * shared.Size);
            if (dw != 0) context.Fill(dw, 0, w.Count * shared.Size);
        }
        else if (dx != 0 || dw != 0) Products(context, shared, patches, dy, x, w, dx, dw);
    }

    /// <summary>dx = w · patches, dw += x · patchesᵀ, for all images of a chunk and all groups at a time.</summary>
    private void Products(CudaContext context, CudaPatches shared, Patches patches, CpuTensor dy, CpuTensor x, CpuTensor w, nint dx, nint dw)
    {
        long images = x.Dims[0], channels = x.Dims[1], own = channels / groups, filters = dy.Dims[1], column = w.Dims[1] * patches.Window, places = patches.Places;
        bool narrow = x.Type != ElementType.Float;
        long columnBytes = filters * patches.Window * places * shared.Size, xBytes = channels * places * shared.Size, resultBytes = dx == 0 ? 0 : channels * places * sizeof(float);
        long chunk = shared.Chunk(images, columnBytes + xBytes + resultBytes);
        nint[] scratch = context.Parts(chunk * columnBytes, chunk * xBytes, chunk * resultBytes, dw != 0 && narrow ? w.Count * sizeof(float) : 0);
        nint sums = narrow ? scratch[3] : dw;
        for (long first = 0; first < images; first += chunk)
        {
            long count = Math.Min(chunk, images - first), wide = count * places;
            shared.Gather(dy.Address + (nint)(first * filters * patches.ImageSize * shared.Size), scratch[0], filters, count);
            CudaOperand columns = new(scratch[0], x.Type, wide, column * wide);
            if (dw != 0)
            {
                nint swapped = shared.Swap(x.Address + (nint)(first * xBytes), scratch[1], count, channels, places);
                context.Multiply(own, column, wide, new(swapped, x.Type, wide, own * wide), columns with { Transposed = true }, new(sums, ElementType.Float, column, own * column), groups, add: first > 0);
            }
            if (dx == 0) continue;
            context.Multiply(own, wide, column, new(w.Address, w.Type, column, own * column), columns, new(scratch[2], ElementType.Float, wide, own * wide), groups);
            context.Launch(CudaPatches.File, "SwapNarrow", x.Type, Grid.For(channels * wide, perThread: 4), scratch[2], dx + (nint)(first * xBytes), channels, count, places);
        }
        if (narrow) context.Narrow(sums, dw, x.Type, w.Count);
    }
}
