using Lift.Ort.Devices.Cuda;
using Lift.Ort.Onnx;

namespace Lift.Ort.Operators;

internal sealed unsafe partial class ConvGrad : ICudaKernel
{
    public void Run(CudaContext context)
    {
        CpuTensor dy = context.Input(0), x = context.Input(1), w = context.Input(2);
        Patches patches = Fit(dy, x, w);
        var shared = new CudaPatches(context, patches, x.Type);
        nint dx = context.Output(0, x.Dims), dw = context.Output(1, w.Dims), db = context.Output(2, w.Dims[0]);
        shared.ChannelSums(dy.Address, db, dy.Dims[0], dy.Dims[1], patches.Places);
        if (dy.Count == 0 || x.Count == 0 || w.Count == 0)
        {
            if (dx != 0) context.Fill(dx, 0, x.Count * shared.Size);
            if (dw != 0) context.Fill(dw, 0, w.Count * shared.Size);
        }
        else if (w.Dims[1] == 1 && groups > 1) Depthwise(context, patches, dy, x, w, dx, dw);
        else if (dx != 0 || dw != 0) Products(context, shared, patches, dy, x, w, dx, dw);
    }

    /// <summary>dw += dy · patchesᵀ, dx = the patches of wᵀ · dy, for all images of a chunk and all groups at a time.</summary>
    private void Products(CudaContext context, CudaPatches shared, Patches patches, CpuTensor dy, CpuTensor x, CpuTensor w, nint dx, nint dw)
    {
        long images = x.Dims[0], channels = x.Dims[1], filters = w.Dims[0], own = filters / groups, column = w.Dims[1] * patches.Window, places = patches.Places;
        bool narrow = x.Type != ElementType.Float;
        long columnBytes = channels * patches.Window * places * sizeof(float), dyBytes = filters * places * shared.Size, chunk = shared.Chunk(images, columnBytes + dyBytes);
        nint[] scratch = context.Parts(chunk * columnBytes, chunk * dyBytes, dw != 0 && narrow ? w.Count * sizeof(float) : 0);
        nint sums = narrow ? scratch[2] : dw;
        for (long first = 0; first < images; first += chunk)
        {
            long count = Math.Min(chunk, images - first), wide = count * places;
            nint swapped = shared.Swap(dy.Address + (nint)(first * dyBytes), scratch[1], count, filters, places);
            nint imagesAt = (nint)(first * channels * patches.ImageSize * shared.Size);
            CudaOperand gradient = new(swapped, x.Type, wide, own * wide);
            if (dw != 0)
            {
                shared.Gather(x.Address + imagesAt, scratch[0], channels, count);
                context.Multiply(own, column, wide, gradient, new(scratch[0], x.Type, wide, column * wide, Transposed: true), new(sums, ElementType.Float, column, own * column), groups, add: first > 0);
            }
            if (dx == 0) continue;
            context.Multiply(column, wide, own, new(w.Address, w.Type, column, own * column, Transposed: true), gradient, new(scratch[0], ElementType.Float, wide, column * wide), groups);
            shared.Scatter(scratch[0], dx + imagesAt, channels, count);
        }
        if (narrow) context.Narrow(sums, dw, x.Type, w.Count);
    }

    /// <summary>One channel a group: too little for a product.</summary>
    private void Depthwise(CudaContext context, Patches patches, CpuTensor dy, CpuTensor x, CpuTensor w, nint dx, nint dw)
    {
        CudaWindow window = new(patches);
        int filters = (int)(w.Dims[0] / groups);
        if (dw != 0) context.Launch(CudaPatches.File, "DepthwiseWeight", x.Type, new Grid(w.Count, Grid.Block), dy.Address, x.Address, dw, KernelArgument.Of(&window), groups, filters, x.Dims[0]);
        if (dx != 0) context.Launch(CudaPatches.File, "DepthwiseImage", x.Type, Grid.For(x.Count), dy.Address, w.Address, dx, KernelArgument.Of(&window), groups, filters, x.Dims[0]);
    }
}
