using System.Numerics;

namespace Lift.Ort.Operators;

/// <summary>
/// How a window moves over one channel of an image of any number of axes: which image element lies under which kernel element at which place.
/// Places are numbered row-major over the output, kernel elements row-major over the kernel; what lies in the padding is skipped.
/// </summary>
internal sealed unsafe class Patches
{
    private readonly long[] image, kernel, output, strides, dilations, before;

    /// <param name="image">Size of the image along each spatial axis.</param>
    /// <param name="kernel">Size of the window.</param>
    /// <param name="output">Number of places along each axis.</param>
    /// <param name="before">Padding before the first element of each axis.</param>
    public Patches(ReadOnlySpan<long> image, ReadOnlySpan<long> kernel, ReadOnlySpan<long> output, long[] strides, long[] dilations, long[] before)
    {
        (this.image, this.kernel, this.output) = (image.ToArray(), kernel.ToArray(), output.ToArray());
        (this.strides, this.dilations, this.before) = (strides, dilations, before);
        (ImageSize, Window, Places) = (CpuTensor.Product(image), CpuTensor.Product(kernel), CpuTensor.Product(output));
    }

    public long[] Image => image;

    public long[] Kernel => kernel;

    public long[] Output => output;

    public long[] Strides => strides;

    public long[] Dilations => dilations;

    /// <summary>Padding before the first element of each axis.</summary>
    public long[] Before => before;

    public long ImageSize { get; }

    public long Window { get; }

    public long Places { get; }

    /// <summary>True when the places are the image's elements, one by one: a 1×1 kernel without stride and padding.</summary>
    public bool IsIdentity => Window == 1 && strides.All(s => s == 1) && before.All(b => b == 0) && image.AsSpan().SequenceEqual(output);

    /// <summary>A run of places along the last axis, and the image elements under it.</summary>
    public interface IRun
    {
        /// <param name="element">The kernel element.</param>
        /// <param name="row">The first place of the row.</param>
        /// <param name="from">The first place of the row that has an image element; the last is before <paramref name="to"/>.</param>
        /// <param name="at">The image element of place row + from; the next ones are <paramref name="step"/> apart.</param>
        void Visit(long element, long row, long length, long from, long to, long at, long step);
    }

    /// <summary>Visits every row of places for every kernel element; rows that lie in the padding have from = to.</summary>
    public void ForEach<TRun>(ref TRun run) where TRun : struct, IRun
    {
        if (Places == 0) return;
        int last = image.Length - 1;
        long width = output[last], step = strides[last], rows = Places / width;
        Span<long> k = stackalloc long[image.Length], o = stackalloc long[image.Length];
        k.Clear();
        for (long element = 0; element < Window; element++)
        {
            long shift = k[last] * dilations[last] - before[last]; // image element of place 0
            long from = shift >= 0 ? 0 : Math.Min(width, (-shift + step - 1) / step);
            long to = image[last] - 1 - shift < 0 ? from : Math.Clamp((image[last] - 1 - shift) / step + 1, from, width);
            o.Clear();
            for (long row = 0; row < rows; row++)
            {
                long at = 0;
                bool inside = true;
                for (int d = 0; d < last; d++)
                {
                    long position = o[d] * strides[d] + k[d] * dilations[d] - before[d];
                    inside &= position >= 0 && position < image[d];
                    at = at * image[d] + position;
                }
                run.Visit(element, row * width, width, from, inside ? to : from, at * image[last] + shift + from * step, step);
                for (int d = last - 1; d >= 0 && ++o[d] == output[d]; d--) o[d] = 0;
            }
            for (int d = last; d >= 0 && ++k[d] == kernel[d]; d--) k[d] = 0;
        }
    }

    /// <summary>columns[element, place] = the image element there, 0 in the padding.</summary>
    public void Gather<T>(T* from, T* columns) where T : unmanaged, INumber<T>
    {
        var run = new GatherRun<T>(from, columns, Places);
        ForEach(ref run);
    }

    /// <summary>image += columns[element, place], each where it came from.</summary>
    public void Scatter<T>(T* columns, T* to) where T : unmanaged, INumber<T>
    {
        var run = new ScatterRun<T>(columns, to, Places);
        ForEach(ref run);
    }

    /// <summary>sums[element] += Σ values[place] · image element there</summary>
    public void Correlate<T>(T* values, T* with, T* sums) where T : unmanaged, INumber<T>
    {
        var run = new CorrelateRun<T>(values, with, sums);
        ForEach(ref run);
    }

    /// <summary>image element += weights[element] · values[place]</summary>
    public void Spread<T>(T* values, T* weights, T* to) where T : unmanaged, INumber<T>
    {
        var run = new SpreadRun<T>(values, weights, to);
        ForEach(ref run);
    }

    private readonly struct GatherRun<T>(T* source, T* columns, long places) : IRun where T : unmanaged, INumber<T>
    {
        public void Visit(long element, long row, long length, long from, long to, long at, long step)
        {
            T* result = columns + element * places + row;
            for (long i = 0; i < from; i++) result[i] = T.Zero;
            if (step == 1) Simd.Copy(source + at, result + from, to - from);
            else for (long i = from; i < to; i++, at += step) result[i] = source[at];
            for (long i = to; i < length; i++) result[i] = T.Zero;
        }
    }

    private readonly struct ScatterRun<T>(T* columns, T* target, long places) : IRun where T : unmanaged, INumber<T>
    {
        public void Visit(long element, long row, long length, long from, long to, long at, long step)
        {
            T* values = columns + element * places + row;
            if (step == 1) Simd.Add(values + from, target + at, to - from);
            else for (long i = from; i < to; i++, at += step) target[at] += values[i];
        }
    }

    private readonly struct CorrelateRun<T>(T* values, T* with, T* sums) : IRun where T : unmanaged, INumber<T>
    {
        public void Visit(long element, long row, long length, long from, long to, long at, long step)
        {
            T sum = T.Zero;
            if (step == 1) sum = Simd.Dot(values + row + from, with + at, to - from);
            else for (long i = from; i < to; i++, at += step) sum += values[row + i] * with[at];
            sums[element] += sum;
        }
    }

    private readonly struct SpreadRun<T>(T* values, T* weights, T* target) : IRun where T : unmanaged, INumber<T>
    {
        public void Visit(long element, long row, long length, long from, long to, long at, long step)
        {
            T weight = weights[element];
            if (step == 1) Simd.AddScaled(weight, values + row + from, target + at, to - from);
            else for (long i = from; i < to; i++, at += step) target[at] += weight * values[row + i];
        }
    }
}
