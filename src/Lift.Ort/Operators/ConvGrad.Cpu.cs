using System.Numerics;
using System.Runtime.InteropServices;

namespace Lift.Ort.Operators;

internal sealed unsafe partial class ConvGrad
{
    protected override void Run<T>(CpuContext context)
    {
        CpuTensor dyTensor = context.Input(0), x = context.Input(1), w = context.Input(2);
        Patches patches = Fit(dyTensor, x, w);
        var job = new Job<T>(patches, x.Dims[0], groups, w.Dims[1], w.Dims[0] / groups, dyTensor.Data<T>(), x.Data<T>(), w.Data<T>(), context.Output<T>(0, x.Dims), context.Output<T>(1, w.Dims));
        if (job.Dx != null) Simd.Clear(job.Dx, x.Count);
        if (job.Dw != null) Simd.Clear(job.Dw, w.Count);
        if (job.Images * job.Groups > 0 && (job.Dx != null || job.Dw != null))
        {
            if (job.Images == 1 && job.Groups == 1) job.OneImage(context);
            else if (job.Images < Environment.ProcessorCount && job.Groups >= Environment.ProcessorCount) context.ForEachPart(job.Groups, job.Images * job.Cost, job.GroupsOf);
            else job.AllImages(context, w.Count);
        }
        AddBias(context, dyTensor, context.Output<T>(2, w.Dims[0]));
    }

    /// <summary>How the window moves over x.</summary>
    /// <exception cref="ArgumentException">The tensors do not fit each other.</exception>
    private Patches Fit(CpuTensor dy, CpuTensor x, CpuTensor w)
    {
        if (x.Dims[1] != w.Dims[1] * groups || dy.Dims[1] != w.Dims[0] || dy.Dims[0] != x.Dims[0])
            throw new ArgumentException($"dY [{string.Join(", ", dy.Dims)}], X [{string.Join(", ", x.Dims)}] and W [{string.Join(", ", w.Dims)}] do not fit in {groups} groups");
        return window.On(x.Dims, w.Dims.AsSpan(2..), dy.Dims);
    }

    private static void AddBias<T>(CpuContext context, CpuTensor dy, T* db) where T : unmanaged, INumber<T>
    {
        if (db == null) return;
        long filters = dy.Dims[1], places = CpuTensor.Product(dy.Dims.AsSpan(2..)), images = dy.Dims[0];
        T* g = dy.Data<T>();
        context.ForEachPart(filters, images * places, (from, to) =>
        {
            for (long f = from; f < to; f++)
            {
                db[f] = T.Zero;
                for (long image = 0; image < images; image++) db[f] += Simd.Sum(g + (image * filters + f) * places, places);
            }
        });
    }

    /// <summary>Channels and Filters are those of one group; Dx and Dw may be null.</summary>
    private sealed record Job<T>(Patches Patches, long Images, long Groups, long Channels, long Filters, nint DyAt, nint XAt, nint WAt, nint DxAt, nint DwAt) where T : unmanaged, IFloatingPointIeee754<T>
    {
        public Job(Patches patches, long images, long groups, long channels, long filters, T* dy, T* x, T* w, T* dx, T* dw)
            : this(patches, images, groups, channels, filters, (nint)dy, (nint)x, (nint)w, (nint)dx, (nint)dw) { }

        public T* Dx => (T*)DxAt;

        public T* Dw => (T*)DwAt;

        public long Cost => Filters * Column * Patches.Places;

        private T* Dy => (T*)DyAt;

        private T* X => (T*)XAt;

        private T* W => (T*)WAt;

        /// <summary>Elements of a patch.</summary>
        private long Column => Channels * Patches.Window;

        /// <summary>Parts own images; each has weight sums of its own, added up in order.</summary>
        public void AllImages(CpuContext context, long weights)
        {
            int parts = (int)Math.Min(Environment.ProcessorCount, CpuContext.Parts(Images, Groups * Cost));
            T* sums = Dw == null || parts == 1 ? null : (T*)NativeMemory.AllocZeroed((nuint)(parts * weights), (nuint)sizeof(T));
            try
            {
                context.ForEachPart(parts, Images, (part, from, to) =>
                {
                    using var columns = new Columns(this);
                    for (long image = from; image < to; image++)
                        for (long g = 0; g < Groups; g++) One(image, g, columns.Data, sums == null ? Dw : sums + part * weights);
                });
                for (int part = 0; part < parts && sums != null; part++) Simd.Add(sums + part * weights, Dw, weights);
            }
            finally
            {
                NativeMemory.Free(sums);
            }
        }

        /// <summary>A part that owns groups, where there are few images.</summary>
        public void GroupsOf(long from, long to)
        {
            using var columns = new Columns(this);
            for (long g = from; g < to; g++)
                for (long image = 0; image < Images; image++) One(image, g, columns.Data, Dw);
        }

        /// <summary>A single image without groups: its channels and the rows of the products are divided.</summary>
        public void OneImage(CpuContext context)
        {
            using var columns = new Columns(this);
            long places = Patches.Places;
            T* c = columns.Data == null ? X : columns.Data;
            void Channelwise(Action<long> body) => context.ForEachPart(Channels, Patches.Window * places, (from, to) =>
            {
                for (long channel = from; channel < to; channel++) body(channel);
            });
            if (Dw != null)
            {
                if (columns.Data != null) Channelwise(channel => Patches.Gather(X + channel * Patches.ImageSize, columns.Data + channel * Patches.Window * places));
                Gemm.Multiply(context, Filters, Column, places, new(Dy, places), new Gemm.Operand<T>(c, places).Transposed, Dw, Column, false);
            }
            if (Dx == null) return;
            T* result = columns.Data == null ? Dx : columns.Data;
            Gemm.Multiply(context, Column, places, Filters, new Gemm.Operand<T>(W, Column).Transposed, new(Dy, places), result, places, false);
            if (columns.Data != null) Channelwise(channel => Patches.Scatter(columns.Data + channel * Patches.Window * places, Dx + channel * Patches.ImageSize));
        }

        /// <summary>One group of one image: dw += dy · patchesᵀ, dx += the patches of wᵀ · dy.</summary>
        private void One(long image, long g, T* columns, T* dw)
        {
            long places = Patches.Places, size = Patches.ImageSize, window = Patches.Window;
            T* gradient = Dy + (image * Groups + g) * Filters * places, weights = W + g * Filters * Column;
            long first = (image * Groups + g) * Channels * size;
            T* x = X + first, dx = Dx == null ? null : Dx + first;
            if (dw != null) dw += g * Filters * Column;
            if (Channels == 1 && Groups > 1)
            {
                for (long f = 0; f < Filters; f++)
                {
                    if (dw != null) Patches.Correlate(gradient + f * places, x, dw + f * Column);
                    if (dx != null) Patches.Spread(gradient + f * places, weights + f * Column, dx);
                }
                return;
            }
            if (dw != null)
            {
                for (long c = 0; c < Channels && columns != null; c++) Patches.Gather(x + c * size, columns + c * window * places);
                Gemm.Multiply(Filters, Column, places, new(gradient, places), new Gemm.Operand<T>(columns == null ? x : columns, places).Transposed, dw, Column, true);
            }
            if (dx == null) return;
            Gemm.Multiply(Column, places, Filters, new Gemm.Operand<T>(weights, Column).Transposed, new(gradient, places), columns == null ? dx : columns, places, false);
            for (long c = 0; c < Channels && columns != null; c++) Patches.Scatter(columns + c * window * places, dx + c * size);
        }

        /// <summary>Memory for the patches of one group of one image; none where the image is its own patches.</summary>
        private readonly struct Columns(Job<T> job) : IDisposable
        {
            public T* Data { get; } = (job.Channels == 1 && job.Groups > 1) || job.Patches.IsIdentity ? null : (T*)NativeMemory.Alloc((nuint)Math.Max(1, job.Column * job.Patches.Places), (nuint)sizeof(T));

            public void Dispose() => NativeMemory.Free(Data);
        }
    }
}
