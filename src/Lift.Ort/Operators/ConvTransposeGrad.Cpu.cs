namespace Lift.Ort.Operators;

internal sealed unsafe partial class ConvTransposeGrad
{
    protected override void Run<T>(CpuContext context)
    {
        CpuTensor dyTensor = context.Input(0), x = context.Input(1), w = context.Input(2);
        long images = x.Dims[0], channels = x.Dims[1] / groups, filters = w.Dims[1];
        Patches patches = Fit(dyTensor, x, w);
        long places = patches.Places, column = filters * patches.Window, size = patches.ImageSize;
        T* dy = dyTensor.Data<T>(), px = x.Data<T>(), pw = w.Data<T>(), dx = context.Output<T>(0, x.Dims), dw = context.Output<T>(1, w.Dims), db = context.Output<T>(2, filters * groups);
        if (dx != null) Simd.Clear(dx, x.Count);
        if (dw != null) Simd.Clear(dw, w.Count);
        context.ForEachPart(groups, images * channels * column * places, (first, last) =>
        {
            fixed (T* columns = new T[Math.Max(1, column * places)])
            {
                for (long g = first; g < last; g++)
                    for (long image = 0; image < images; image++)
                    {
                        for (long f = 0; f < filters; f++) patches.Gather(dy + ((image * groups + g) * filters + f) * size, columns + f * patches.Window * places);
                        for (long c = g * channels; c < (g + 1) * channels; c++)
                            for (long k = 0; k < column; k++)
                            {
                                long row = (image * x.Dims[1] + c) * places;
                                if (dx != null) Simd.AddScaled(pw[c * column + k], columns + k * places, dx + row, places);
                                if (dw != null) dw[c * column + k] += Simd.Dot(px + row, columns + k * places, places);
                            }
                    }
            }
        });
        for (long f = 0; db != null && f < filters * groups; f++)
        {
            db[f] = T.Zero;
            for (long image = 0; image < images; image++) db[f] += Simd.Sum(dy + (image * filters * groups + f) * size, size);
        }
    }

    /// <summary>How the window moves over dy.</summary>
    /// <exception cref="ArgumentException">The tensors do not fit each other.</exception>
    private Patches Fit(CpuTensor dy, CpuTensor x, CpuTensor w)
    {
        if (w.Dims[0] != x.Dims[1] || dy.Dims[1] != w.Dims[1] * groups || dy.Dims[0] != x.Dims[0])
            throw new ArgumentException($"dY [{string.Join(", ", dy.Dims)}], X [{string.Join(", ", x.Dims)}] and W [{string.Join(", ", w.Dims)}] do not fit in {groups} groups");
        return window.On(dy.Dims, w.Dims.AsSpan(2..), x.Dims);
    }
}
