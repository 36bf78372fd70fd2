using System.Numerics;

namespace Lift.Ort.Operators;

internal sealed unsafe partial class ConvGrad
{
    protected override void Run<T>(CpuContext context)
    {
        CpuTensor dyTensor = context.Input(0), x = context.Input(1), w = context.Input(2);
        int[] offsets = geometry.Offsets(x.Dims.AsSpan(2..), w.Dims.AsSpan(2..), dyTensor.Dims.AsSpan(2..));
        var s = new Sizes(x.Dims, w.Dims, dyTensor.Dims, geometry.Groups);
        T* dy = dyTensor.Data<T>(), px = x.Data<T>(), pw = w.Data<T>();
        T* dx = context.Output<T>(0, x.Dims), dw = context.Output<T>(1, w.Dims), db = context.Output<T>(2, w.Dims[0]);
        if (dx != null) Simd.Clear(dx, x.Count);
        if (dw != null) Simd.Clear(dw, w.Count);

        int parts = CpuContext.Parts(s.Images, s.Filters * s.Column * s.Places);
        T[][] partial = [.. Enumerable.Range(0, parts).Select(_ => new T[dw == null ? 0 : w.Count])];
        context.ForEachPart(parts, s.Images, (part, from, to) =>
        {
            fixed (T* sum = partial[part])
            fixed (T* columns = new T[s.Column * s.Places])
            {
                for (long image = from; image < to; image++)
                {
                    for (long g = 0; g < s.Groups; g++)
                    {
                        T* gradient = dy + (image * s.Groups + g) * s.Filters * s.Places;
                        long first = (image * s.Groups + g) * s.Channels * s.ImageSize, weights = g * s.Filters * s.Column;
                        if (dw != null) AddWeights(gradient, px + first, sum + weights, columns, offsets, s);
                        if (dx != null) AddImage(gradient, pw + weights, dx + first, columns, offsets, s);
                    }
                }
            }
        });
        foreach (T[] sum in partial)
        {
            fixed (T* p = sum) if (dw != null) Simd.Add(p, dw, sum.Length);
        }
        for (long f = 0; db != null && f < w.Dims[0]; f++)
        {
            db[f] = T.Zero;
            for (long image = 0; image < s.Images; image++) db[f] += Simd.Sum(dy + (image * w.Dims[0] + f) * s.Places, s.Places);
        }
    }

    /// <summary>dw += dy · patchesᵀ</summary>
    private static void AddWeights<T>(T* dy, T* x, T* dw, T* columns, int[] offsets, Sizes s) where T : unmanaged, INumber<T>
    {
        for (long i = 0; i < s.Column * s.Places; i++)
        {
            int offset = offsets[i % offsets.Length];
            columns[i] = offset < 0 ? T.Zero : x[i / offsets.Length * s.ImageSize + offset];
        }
        for (long f = 0; f < s.Filters; f++)
            for (long c = 0; c < s.Column; c++) dw[f * s.Column + c] += Simd.Dot(dy + f * s.Places, columns + c * s.Places, s.Places);
    }

    /// <summary>dx += wᵀ · dy, each patch where it came from</summary>
    private static void AddImage<T>(T* dy, T* w, T* dx, T* columns, int[] offsets, Sizes s) where T : unmanaged, INumber<T>
    {
        Simd.Clear(columns, s.Column * s.Places);
        for (long f = 0; f < s.Filters; f++)
            for (long c = 0; c < s.Column; c++) Simd.AddScaled(w[f * s.Column + c], dy + f * s.Places, columns + c * s.Places, s.Places);
        for (long i = 0; i < s.Column * s.Places; i++)
        {
            int offset = offsets[i % offsets.Length];
            if (offset >= 0) dx[i / offsets.Length * s.ImageSize + offset] += columns[i];
        }
    }

    /// <summary>Numbers of things: images, groups, channels and filters of one group, pixels of a channel, output positions, elements of a patch.</summary>
    private sealed record Sizes(long Images, long Groups, long Channels, long Filters, long ImageSize, long Places, long Column)
    {
        public Sizes(long[] x, long[] w, long[] dy, long groups)
            : this(x[0], groups, w[1], w[0] / groups, CpuTensor.Product(x.AsSpan(2..)), CpuTensor.Product(dy.AsSpan(2..)), CpuTensor.Product(w.AsSpan(1..)))
        {
            if (x[1] != w[1] * groups || dy[1] != w[0] || dy[0] != x[0])
                throw new ArgumentException($"dY [{string.Join(", ", dy)}], X [{string.Join(", ", x)}] and W [{string.Join(", ", w)}] do not fit in {groups} groups");
        }
    }
}
