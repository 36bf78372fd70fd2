using System.Numerics;
using System.Runtime.InteropServices;

namespace Lift.Ort.Operators.Attentions;

/// <summary>Scores of some rows of q against all of k, in one thread's memory: product, scale, cap, additions, for the columns that are needed.</summary>
internal sealed unsafe class AttentionScores<T> : IDisposable where T : unmanaged, IFloatingPointIeee754<T>
{
    /// <summary>Rows at a time: a multiple of the product's tile.</summary>
    public const int Rows = 48;

    private readonly AttentionForm form;
    private readonly AttentionGeometry geometry;
    private readonly ScoreAdditions<T> additions;
    private readonly NeededColumns<T> needed;
    private readonly T scale, cap;
    private readonly T* added;
    private T reach; // no score differs from its additions by more

    /// <param name="buffers">How many buffers of the scores' size there are: 1, or more for what a backward pass computes beside them.</param>
    public AttentionScores(AttentionForm form, AttentionGeometry geometry, CpuTensor? bias, CpuTensor? keep, CpuTensor? mask, int buffers)
    {
        (this.form, this.geometry) = (form, geometry);
        additions = new(form, geometry, bias, keep, mask);
        needed = new(geometry.K.Rows);
        (scale, cap) = (T.CreateTruncating(form.Scale), T.CreateTruncating(form.Softcap));
        Stride = Padded(geometry.K.Rows);
        Keys = Allocate(geometry.Q.Columns * Stride);
        Scores = Allocate(buffers * Rows * Stride);
        added = additions.Any ? Allocate(Rows * Stride) : null;
    }

    /// <summary>Elements between rows of the buffers: an odd number of cache lines, so that rows do not push each other out.</summary>
    public long Stride { get; }

    /// <summary>kᵀ [d, Stride].</summary>
    public T* Keys { get; }

    /// <summary>[Rows, Stride], and further buffers of the size behind it.</summary>
    public T* Scores { get; }

    /// <summary>The parts of the columns that the rows need; the scores of others are not computed.</summary>
    public List<(long From, long To)> Ranges => needed.Ranges;

    public static long Padded(long columns)
    {
        long line = 64 / sizeof(T), lines = (columns + line - 1) / line;
        return (lines | 1) * line;
    }

    public static T* Allocate(long elements) => (T*)NativeMemory.AlignedAlloc((nuint)(Math.Max(1, elements) * sizeof(T)), 64);

    /// <summary>Takes the keys of matrix <paramref name="n"/> of q.</summary>
    public void TakeKeys(T* k, long n)
    {
        AttentionOperand of = geometry.K;
        Transposition.Copy(k + geometry.KAt[n], of.Rows, of.Columns, of.RowStride, of.ColumnStride, Keys, Stride);
        if (additions.Any) needed.TakeKeys(Keys, of.Columns, Stride);
    }

    /// <summary>Scores of rows <paramref name="first"/> … of matrix <paramref name="n"/>, complete but for the softmax; <paramref name="capped"/> gets tanh under a cap.</summary>
    public void Compute(T* q, long n, long first, int rows, T* capped)
    {
        AttentionOperand of = geometry.Q;
        T* x = q + geometry.QAt[n] + first * of.RowStride;
        if (additions.Any) Add(x, n, first, rows);
        else needed.TakeAll();
        foreach (var (from, to) in Ranges)
        {
            long line = 64 / sizeof(T), width = Math.Min(Stride, (to + line - 1) / line * line) - from; // whole tiles: what is behind the last column is 0 in the keys
            DirectProduct.Multiply(rows, width, of.Columns, x, of.RowStride, of.ColumnStride, Keys + from, Stride, Scores + from, Stride, false);
            for (long i = 0; i < rows; i++) Finish(i, n, first + i, from, to, capped);
        }
    }

    /// <summary>Turns row i of the scores into probabilities times the returned sum; with the row's largest score.</summary>
    public (T Max, T Sum) Exponentials(long i) => RowExponentials.Of(Scores + i * Stride, Ranges, form.Guard);

    /// <summary>Turns row i of the scores into probabilities, given what the forward pass knew of it.</summary>
    public void Probabilities(long i, T lse) => RowExponentials.Probabilities(Scores + i * Stride, Ranges, form.Guard, lse);

    /// <summary>Clears ds of row i where keep is false, and, in rows of which only the floor is left, where it lifted the score; where it is as large as the score, half passes.</summary>
    public void ClearMasked(long i, long n, long row, T* ds, T lse)
    {
        T floor = additions.Floor;
        if (T.IsFinite(floor) && lse < floor / T.CreateTruncating(2))
        {
            T* a = added + i * Stride;
            additions.Write(n, row, a, lifted: false);
            for (long j = 0; j < geometry.K.Rows; j++) ds[i * Stride + j] *= a[j] > floor ? T.One : a[j] == floor ? T.CreateTruncating(0.5) : T.Zero;
        }
        if (!additions.HasKeep || (!additions.HasMask && additions.Fill - lse < -NeededColumns<T>.Vanishes)) return;
        foreach (var (from, to) in Ranges) additions.Replace(n, row, ds + i * Stride, null, from, to);
    }

    public void Dispose()
    {
        NativeMemory.AlignedFree(Keys);
        NativeMemory.AlignedFree(Scores);
        NativeMemory.AlignedFree(added);
    }

    /// <summary>Writes the additions of the rows and decides which columns they leave.</summary>
    private void Add(T* x, long n, long first, int rows)
    {
        reach = T.Abs(scale) * needed.Reach(x, rows, geometry.Q);
        if (cap > T.Zero) reach = T.Min(reach, cap);
        needed.Clear();
        for (int i = 0; i < rows; i++)
        {
            additions.Write(n, first + i, added + i * Stride, lifted: true);
            needed.Add(added + i * Stride, reach);
        }
        needed.Join();
    }

    private void Finish(long i, long n, long row, long from, long to, T* capped)
    {
        T* s = Scores + i * Stride, a = added + i * Stride;
        if (cap > T.Zero)
        {
            if (scale != T.One) Simd.Scale(scale, s + from, to - from);
            Cap(s + from, capped == null ? null : capped + i * Stride + from, to - from);
            if (additions.Any) Simd.Add(a + from, s + from, to - from);
        }
        else if (additions.Any) Simd.Map(new ScaleAdd(form.Scale), s + from, a + from, s + from, to - from);
        else if (scale != T.One) Simd.Scale(scale, s + from, to - from);
        if (additions.HasKeep && !(reach < T.Abs(additions.Fill) * T.CreateTruncating(typeof(T) == typeof(double) ? 1e-17 : 1e-8))) // else fill + score is fill, to the bit
            additions.Replace(n, row, s, a, from, to);
    }

    /// <summary>s = cap · tanh(s / cap); tanh itself goes where it is wanted.</summary>
    private void Cap(T* s, T* tanh, long n)
    {
        Simd.Scale(T.One / cap, s, n);
        Simd.Map(default(Tanh), s, s, s, n);
        if (tanh != null) Simd.Copy(s, tanh, n);
        Simd.Scale(cap, s, n);
    }

    /// <summary>scale · x + a</summary>
    private readonly struct ScaleAdd(float scale) : IVectorFunction
    {
        public Vector<TNumber> Of<TNumber>(Vector<TNumber> x, Vector<TNumber> a) where TNumber : unmanaged, IFloatingPointIeee754<TNumber> => x * new Vector<TNumber>(TNumber.CreateTruncating(scale)) + a;
    }

    /// <summary>tanh x = 1 − 2 / (1 + e²ˣ)</summary>
    private readonly struct Tanh : IVectorFunction
    {
        public Vector<TNumber> Of<TNumber>(Vector<TNumber> x, Vector<TNumber> _) where TNumber : unmanaged, IFloatingPointIeee754<TNumber>
        {
            var two = new Vector<TNumber>(TNumber.One + TNumber.One);
            return Vector<TNumber>.One - two / (Vector<TNumber>.One + Simd.Exp(two * x));
        }
    }
}
