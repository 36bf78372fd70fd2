using System.Numerics;

namespace Lift.Ort.Operators.Attentions;

/// <summary>What a row's scores get added: bias, or the form's fill where keep is false, and mask.</summary>
internal sealed unsafe class ScoreAdditions<T> where T : unmanaged, IFloatingPointIeee754<T>
{
    private readonly AttentionMask? bias, keep, mask;
    private readonly T* biases, masks;
    private readonly byte* kept;
    private readonly long columns;

    public ScoreAdditions(AttentionForm form, AttentionGeometry geometry, CpuTensor? bias, CpuTensor? keep, CpuTensor? mask)
    {
        columns = geometry.K.Rows;
        this.bias = bias is { } b ? geometry.Mask("bias", b.Dims) : null;
        this.keep = keep is { } k ? geometry.Mask("keep", k.Dims) : null;
        this.mask = mask is { } m ? geometry.Mask("mask", m.Dims) : null;
        biases = bias is null ? null : bias.Value.Data<T>();
        kept = keep is null ? null : keep.Value.Data<byte>();
        masks = mask is null ? null : mask.Value.Data<T>();
        (Fill, Floor) = (T.CreateTruncating(form.Fill), T.CreateTruncating(form.Floor));
    }

    /// <summary>What stands where keep is false.</summary>
    public T Fill { get; }

    /// <summary>Least sum of score and additions; −∞: none.</summary>
    public T Floor { get; }

    /// <summary>False where nothing is added.</summary>
    public bool Any => bias is not null || keep is not null || mask is not null;

    public bool HasKeep => keep is not null;

    public bool HasMask => mask is not null;

    /// <summary>Writes the additions of a row of matrix <paramref name="n"/>; <paramref name="lifted"/> to the floor, which is far below every score: what it lifts are the masks.</summary>
    public void Write(long n, long row, T* to, bool lifted)
    {
        if (bias is not null) Broadcast(biases + bias.At[n] + row * bias.RowStride, bias.ColumnStride, to);
        else Simd.Clear(to, columns);
        if (keep is not null)
        {
            byte* k = kept + keep.At[n] + row * keep.RowStride;
            if (keep.ColumnStride == 1) Simd.Select(k, to, Fill, columns);
            else if (*k == 0) new Span<T>(to, (int)columns).Fill(Fill);
        }
        if (mask is not null)
        {
            T* m = masks + mask.At[n] + row * mask.RowStride;
            if (mask.ColumnStride == 1) Simd.Add(m, to, columns);
            else for (long j = 0; j < columns; j++) to[j] += *m;
        }
        if (lifted && T.IsFinite(Floor)) Simd.Map(new AtLeast(double.CreateTruncating(Floor)), to, to, to, columns);
    }

    /// <summary>Writes <paramref name="other"/> to columns <paramref name="from"/> … of a row where keep is false: its own place of it, or 0 where it is null.</summary>
    public void Replace(long n, long row, T* values, T* other, long from, long to)
    {
        byte* k = kept + keep!.At[n] + row * keep.RowStride;
        for (long j = from; j < to; j++)
            if (k[j * keep.ColumnStride] == 0) values[j] = other == null ? T.Zero : other[j];
    }

    private void Broadcast(T* from, long stride, T* to)
    {
        if (stride == 1) Simd.Copy(from, to, columns);
        else new Span<T>(to, (int)columns).Fill(*from);
    }

    /// <summary>max(x, floor)</summary>
    private readonly struct AtLeast(double floor) : IVectorFunction
    {
        public Vector<TNumber> Of<TNumber>(Vector<TNumber> x, Vector<TNumber> _) where TNumber : unmanaged, IFloatingPointIeee754<TNumber> => Vector.Max(x, new Vector<TNumber>(TNumber.CreateTruncating(floor)));
    }
}
