using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Lift.Ort.Devices.Cuda;
using Lift.Ort.Onnx;

namespace Lift.Ort.Operators;

/// <summary>struct Window of window.cuh, by value.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct CudaWindow
{
    private const int Most = 6;

    private readonly int axes, image, window, places;
    private Axes size, kernel, output, stride, dilation, before;

    /// <exception cref="ArgumentException">A plane is larger than kernels count, or has too many axes.</exception>
    public CudaWindow(Patches p)
    {
        if (p.Image.Length > Most || Math.Max(p.ImageSize, Math.Max(p.Places, p.Window)) > int.MaxValue / 4)
            throw new ArgumentException($"an image [{string.Join(", ", p.Image)}] under a window [{string.Join(", ", p.Kernel)}]: the GPU's kernels take up to {Most} axes and {int.MaxValue / 4} elements of one channel");
        (axes, image, window, places) = (p.Image.Length, (int)p.ImageSize, (int)p.Window, (int)p.Places);
        for (int d = 0; d < axes; d++)
            (size[d], kernel[d], output[d], stride[d], dilation[d], before[d]) = ((int)p.Image[d], (int)p.Kernel[d], (int)p.Output[d], (int)p.Strides[d], (int)p.Dilations[d], (int)p.Before[d]);
    }

    [InlineArray(Most)]
    private struct Axes
    {
        private int first;
    }
}

/// <summary>What the gradients of convolutions share on a GPU: the images of a batch go in chunks, whose patches are one matrix per group.</summary>
internal sealed unsafe class CudaPatches(CudaContext context, Patches patches, ElementType type)
{
    public const string File = "Convolution";

    /// <summary>Bytes that the patches of a chunk may take; more only where one image does.</summary>
    internal static long Budget { get; set; } = 256 << 20;

    public int Size => type.Bits() / 8;

    /// <summary>How many images go at a time; the sizes alone decide, so that the sums are the same in every run.</summary>
    public long Chunk(long images, long bytesPerImage) => Math.Clamp(Math.Min(Budget / Math.Max(1, bytesPerImage), int.MaxValue / 2 / Math.Max(1, patches.Places)), 1, Math.Max(1, images));

    /// <summary>columns [channels · window, images · places] of images that lie at <paramref name="x"/>.</summary>
    public void Gather(nint x, nint columns, long channels, long images)
    {
        CudaWindow window = new(patches);
        long tiles = (images * patches.Places + (4 * Grid.Block) - 1) / (4 * Grid.Block);
        context.Launch(File, "GatherPatches", type, new Grid(channels * patches.Window * tiles, Grid.Block), x, columns, KernelArgument.Of(&window), channels, (int)images);
    }

    /// <summary>The images at <paramref name="dx"/> as sums of float32 columns.</summary>
    public void Scatter(nint columns, nint dx, long channels, long images)
    {
        CudaWindow window = new(patches);
        long elements = images * channels * patches.ImageSize;
        if (elements > 0) context.Launch(File, "ScatterPatches", type, Grid.For(elements), columns, dx, KernelArgument.Of(&window), channels, (int)images);
    }

    /// <summary>[a, b, inner] as [b, a, inner]; answers where that lies: at <paramref name="from"/> where nothing changes.</summary>
    public nint Swap(nint from, nint to, long a, long b, long inner)
    {
        if (a == 1 || b == 1) return from;
        if (a * b * inner > 0) context.Launch(File, "SwapLeading", type, Grid.For(a * b * inner, perThread: 4), from, to, a, b, inner);
        return to;
    }

    /// <summary>Sums of every channel of [images, channels, places].</summary>
    public void ChannelSums(nint x, nint sums, long images, long channels, long places)
    {
        if (sums != 0) context.Launch(File, "ChannelSums", type, new Grid(channels, Grid.Block), x, sums, images, channels, places);
    }
}
