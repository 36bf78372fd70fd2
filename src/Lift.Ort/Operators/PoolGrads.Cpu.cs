using System.Runtime.InteropServices;

namespace Lift.Ort.Operators;

internal sealed unsafe partial class MaxPoolGrad
{
    protected override void Run<T>(CpuContext context)
    {
        CpuTensor dy = context.Input(0), indices = context.Input(1);
        long[] dims = PoolGrad.Dims(declared, dy.Dims);
        if (indices.Count != dy.Count) throw new ArgumentException($"dY has {dy.Count} elements, Indices {indices.Count}");
        long size = CpuTensor.Product(dims), images = dims[0], perImage = images == 0 ? 0 : size / images, places = images == 0 ? 0 : dy.Count / images;
        T* g = dy.Data<T>(), dx = context.Output<T>(0, dims);
        long* at = indices.Data<long>();
        context.ForEachPart(images, perImage + 4 * places, (from, to) =>
        {
            Simd.Clear(dx + from * perImage, (to - from) * perImage);
            for (long i = from * places; i < to * places; i++)
            {
                // a window without a maximum (all NaN or −∞) has no place of its own
                if (at[i] >= 0 && at[i] < size) dx[at[i]] += g[i];
            }
        });
    }
}

internal sealed unsafe partial class AveragePoolGrad
{
    protected override void Run<T>(CpuContext context)
    {
        CpuTensor dy = context.Input(0);
        long[] dims = PoolGrad.Dims(declared, dy.Dims), kernel = window.Kernel ?? throw new ArgumentException("kernel_shape is missing");
        Patches patches = window.On(dims, kernel, dy.Dims);
        T* g = dy.Data<T>(), dx = context.Output<T>(0, dims);
        long size = patches.ImageSize, places = patches.Places, count = patches.Window;
        T* ones = (T*)NativeMemory.Alloc((nuint)Math.Max(size, count), (nuint)sizeof(T)), share = (T*)NativeMemory.AllocZeroed((nuint)Math.Max(1, places), (nuint)sizeof(T));
        try
        {
            new Span<T>(ones, checked((int)Math.Max(size, count))).Fill(T.One);
            var covered = new CoverRun<T>((nint)share);
            patches.ForEach(ref covered);
            for (long i = 0; i < places; i++) share[i] = T.One / (countPadding ? T.CreateChecked(count) : share[i]);
            context.ForEachPart(dims[0] * dims[1], places * (count + 1), (from, to) =>
            {
                T* scaled = (T*)NativeMemory.Alloc((nuint)Math.Max(1, places), (nuint)sizeof(T));
                for (long channel = from; channel < to; channel++)
                {
                    for (long i = 0; i < places; i++) scaled[i] = g[channel * places + i] * share[i];
                    Simd.Clear(dx + channel * size, size);
                    patches.Spread(scaled, ones, dx + channel * size);
                }
                NativeMemory.Free(scaled);
            });
        }
        finally
        {
            NativeMemory.Free(ones);
            NativeMemory.Free(share);
        }
    }

    /// <summary>Counts the image elements under each window.</summary>
    private readonly struct CoverRun<T>(nint counts) : Patches.IRun where T : unmanaged, System.Numerics.INumber<T>
    {
        public void Visit(long element, long row, long length, long from, long to, long at, long step)
        {
            for (long i = from; i < to; i++) ((T*)counts)[row + i] += T.One;
        }
    }
}
