using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Lift.Ort.Onnx;

namespace Lift.Ort.Operators.Attentions;

/// <summary>
/// Scores of some rows of q against all of k, in one thread's memory. Columns are taken in blocks; a block that the masks rule out for all rows (their probabilities are 0 to the
/// last bit, whatever q and k) is left out.
/// </summary>
internal sealed unsafe class AttentionScores<T> : IDisposable where T : unmanaged, IFloatingPointIeee754<T>
{
    /// <summary>Rows at a time: a multiple of the product's tile.</summary>
    public const int Rows = 48;

    private const long Block = 64;

    /// <summary>exp(−x) is 0 from here on.</summary>
    private static readonly T vanishes = T.CreateTruncating(typeof(T) == typeof(double) ? 750 : 105);

    private readonly AttentionForm form;
    private readonly AttentionGeometry geometry;
    private readonly AttentionMask? bias, keep, mask;
    private readonly T* biases, masks;
    private readonly byte* kept;
    private readonly T scale, cap, fill, floor;
    private readonly long columns;
    private readonly bool[] active;
    private readonly (T Top, T Masked)[] tops = new (T, T)[Rows];
    private T longest; // |k|, the largest over its rows
    private T reach; // no score differs from its additions by more

    public AttentionScores(AttentionForm form, AttentionGeometry geometry, CpuTensor? bias, CpuTensor? keep, CpuTensor? mask, int buffers)
    {
        (this.form, this.geometry, columns) = (form, geometry, geometry.K.Rows);
        this.bias = bias is { } b ? geometry.Mask("bias", b.Dims) : null;
        this.keep = keep is { } k ? geometry.Mask("keep", k.Dims) : null;
        this.mask = mask is { } m ? geometry.Mask("mask", m.Dims) : null;
        biases = bias is null ? null : bias.Value.Data<T>();
        kept = keep is null ? null : keep.Value.Data<byte>();
        masks = mask is null ? null : mask.Value.Data<T>();
        (scale, cap, fill, floor) = (T.CreateTruncating(form.Scale), T.CreateTruncating(form.Softcap), T.CreateTruncating(form.Fill), T.CreateTruncating(form.Floor));
        Stride = Padded(columns);
        active = new bool[(columns + Block - 1) / Block];
        Keys = Allocate(geometry.Q.Columns * Stride);
        Scores = Allocate(buffers * Rows * Stride);
        Added = IsMasked ? Allocate(Rows * Stride) : null;
    }

    /// <summary>Elements between rows of the buffers: an odd number of cache lines, so that rows do not push each other out.</summary>
    public long Stride { get; }

    /// <summary>kᵀ [d, Stride].</summary>
    public T* Keys { get; }

    /// <summary>[Rows, Stride], and further buffers of the size behind it.</summary>
    public T* Scores { get; }

    /// <summary>The parts of the columns that are not ruled out.</summary>
    public List<(long From, long To)> Ranges { get; } = [];

    private T* Added { get; }

    private bool IsMasked => bias is not null || keep is not null || mask is not null;

    public static long Padded(long columns)
    {
        long line = 64 / sizeof(T), lines = (columns + line - 1) / line;
        return (lines | 1) * line;
    }

    public static T* Allocate(long elements) => (T*)NativeMemory.AlignedAlloc((nuint)(Math.Max(1, elements) * sizeof(T)), 64);

    /// <summary>Copies x [n, d] to xᵀ [d, stride], with zeros behind column n.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Transpose(T* x, long n, long d, long row, long column, T* to, long stride)
    {
        long squares = typeof(T) == typeof(float) && column == 1 && Vector256.IsHardwareAccelerated ? n / 8 * 8 : 0, across = squares > 0 ? d / 8 * 8 : 0;
        for (long j = 0; j < squares; j += 8)
            for (long p = 0; p < across; p += 8) Square((float*)(x + j * row + p), row, (float*)(to + p * stride + j), stride);
        for (long j0 = 0; j0 < n; j0 += 16)
            for (long p = 0; p < d; p++)
                for (long j = p < across ? Math.Max(j0, squares) : j0; j < Math.Min(n, j0 + 16); j++) to[p * stride + j] = x[j * row + p * column];
        for (long p = 0; p < d; p++) Simd.Clear(to + p * stride + n, stride - n);
    }

    /// <summary>Transposes 8 x 8 numbers: exchanges halves, then quarters, then neighbours.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Square(float* x, long row, float* to, long stride)
    {
        Vector256<float> a0 = Vector256.Load(x), a1 = Vector256.Load(x + row), a2 = Vector256.Load(x + 2 * row), a3 = Vector256.Load(x + 3 * row),
            a4 = Vector256.Load(x + 4 * row), a5 = Vector256.Load(x + 5 * row), a6 = Vector256.Load(x + 6 * row), a7 = Vector256.Load(x + 7 * row);
        Vector256<int> by4 = Vector256.Create(4, 5, 6, 7, 0, 1, 2, 3), by2 = Vector256.Create(2, 3, 0, 1, 6, 7, 4, 5), by1 = Vector256.Create(1, 0, 3, 2, 5, 4, 7, 6);
        Vector256<float> low4 = Vector256.Create(-1, -1, -1, -1, 0, 0, 0, 0).AsSingle(), low2 = Vector256.Create(-1, -1, 0, 0, -1, -1, 0, 0).AsSingle(), low1 = Vector256.Create(-1, 0, -1, 0, -1, 0, -1, 0).AsSingle();
        Exchange(ref a0, ref a4, by4, low4);
        Exchange(ref a1, ref a5, by4, low4);
        Exchange(ref a2, ref a6, by4, low4);
        Exchange(ref a3, ref a7, by4, low4);
        Exchange(ref a0, ref a2, by2, low2);
        Exchange(ref a1, ref a3, by2, low2);
        Exchange(ref a4, ref a6, by2, low2);
        Exchange(ref a5, ref a7, by2, low2);
        Exchange(ref a0, ref a1, by1, low1);
        Exchange(ref a2, ref a3, by1, low1);
        Exchange(ref a4, ref a5, by1, low1);
        Exchange(ref a6, ref a7, by1, low1);
        a0.Store(to);
        a1.Store(to + stride);
        a2.Store(to + 2 * stride);
        a3.Store(to + 3 * stride);
        a4.Store(to + 4 * stride);
        a5.Store(to + 5 * stride);
        a6.Store(to + 6 * stride);
        a7.Store(to + 7 * stride);
    }

    /// <summary>The high lanes of a pair of rows for the low lanes of the other.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Exchange(ref Vector256<float> a, ref Vector256<float> b, Vector256<int> by, Vector256<float> low)
    {
        Vector256<float> fromB = Vector256.Shuffle(b, by), fromA = Vector256.Shuffle(a, by);
        (a, b) = (Vector256.ConditionalSelect(low, a, fromB), Vector256.ConditionalSelect(low, fromA, b));
    }

    /// <summary>Takes the keys of matrix <paramref name="n"/> of q.</summary>
    public void TakeKeys(T* k, long n)
    {
        AttentionOperand of = geometry.K;
        Transpose(k + geometry.KAt[n], columns, of.Columns, of.RowStride, of.ColumnStride, Keys, Stride);
        if (!IsMasked) return;
        T[] squares = new T[columns];
        fixed (T* s = squares)
        {
            for (long p = 0; p < of.Columns; p++)
                for (long j = 0; j < columns; j++) s[j] += Keys[p * Stride + j] * Keys[p * Stride + j];
        }
        longest = squares.Length == 0 ? T.Zero : T.Sqrt(squares.Aggregate(T.Max));
    }

    /// <summary>Scores of rows <paramref name="first"/> … of matrix <paramref name="n"/>, complete but for the softmax; <paramref name="capped"/> gets tanh under a cap.</summary>
    public void Compute(T* q, long n, long first, int rows, T* capped)
    {
        AttentionOperand of = geometry.Q;
        T* x = q + geometry.QAt[n] + first * of.RowStride;
        Ranges.Clear();
        if (IsMasked) Choose(x, n, first, rows);
        else if (columns > 0) Ranges.Add((0, columns));
        foreach (var (from, to) in Ranges)
        {
            long line = 64 / sizeof(T), width = Math.Min(Stride, (to + line - 1) / line * line) - from; // whole tiles: what is behind the last column is 0 in the keys
            DirectProduct.Multiply(rows, width, of.Columns, x, of.RowStride, of.ColumnStride, Keys + from, Stride, Scores + from, Stride, false);
            for (long i = 0; i < rows; i++) Finish(i, n, first + i, from, to, capped);
        }
    }

    /// <summary>Turns row i of the scores into probabilities times the returned sum; with the row's largest score.</summary>
    public (T Max, T Sum) Exponentials(long i)
    {
        T* s = Scores + i * Stride;
        T max = T.NegativeInfinity;
        foreach (var (from, to) in Ranges) max = T.Max(max, Simd.Max(s + from, to - from));
        if (form.Guard && T.IsNegativeInfinity(max))
        {
            foreach (var (from, to) in Ranges) Simd.Clear(s + from, to - from);
            return (T.PositiveInfinity, T.Zero);
        }
        T sum = T.Zero;
        foreach (var (from, to) in Ranges) sum += Exp(s + from, to - from, max);
        return (max, sum);
    }

    /// <summary>Turns row i of the scores into probabilities, given what the forward pass knew of it.</summary>
    public void Probabilities(long i, T lse)
    {
        T* s = Scores + i * Stride;
        if (T.Abs(lse) < T.CreateTruncating(1e4) || T.IsPositiveInfinity(lse))
        {
            foreach (var (from, to) in Ranges) Exp(s + from, to - from, lse);
            return;
        }
        T sum = Exponentials(i).Sum; // the logarithm of the sum is lost in so large a number
        foreach (var (from, to) in Ranges) Simd.Scale(T.One / sum, s + from, to - from);
    }

    /// <summary>Clears ds of row i where keep is false, and, in rows of which only the floor is left, where it lifted the score; where it is as large as the score, half passes.</summary>
    public void ClearMasked(long i, long n, long row, T* ds, T lse)
    {
        if (T.IsFinite(floor) && lse < floor / T.CreateTruncating(2))
        {
            T* a = Added + i * Stride;
            Add(n, row, a, lifted: false);
            for (long j = 0; j < columns; j++) ds[i * Stride + j] *= a[j] > floor ? T.One : a[j] == floor ? T.CreateTruncating(0.5) : T.Zero;
        }
        if (keep is null || (mask is null && fill - lse < -vanishes)) return;
        byte* k = kept + keep.At[n] + row * keep.RowStride;
        foreach (var (from, to) in Ranges)
            for (long j = from; j < to; j++)
                if (k[j * keep.ColumnStride] == 0) ds[i * Stride + j] = T.Zero;
    }

    public void Dispose()
    {
        NativeMemory.AlignedFree(Keys);
        NativeMemory.AlignedFree(Scores);
        NativeMemory.AlignedFree(Added);
    }

    /// <summary>Decides which blocks of columns these rows need: all whose largest addition comes near enough to the row's largest one.</summary>
    private void Choose(T* x, long n, long first, int rows)
    {
        AttentionOperand of = geometry.Q;
        T square = T.Zero;
        for (long i = 0; i < rows; i++)
        {
            T sum = T.Zero;
            for (long p = 0; p < of.Columns; p++) sum += x[i * of.RowStride + p * of.ColumnStride] * x[i * of.RowStride + p * of.ColumnStride];
            square = T.Max(square, sum);
        }
        reach = T.CreateTruncating(1.001) * T.Abs(scale) * T.Sqrt(square) * longest;
        if (cap > T.Zero) reach = T.Min(reach, cap);
        Array.Clear(active);
        for (int i = 0; i < rows; i++)
        {
            T* a = Added + i * Stride;
            Add(n, first + i, a, lifted: true);
            T top = Simd.Max(a, columns), least = top - reach - reach - vanishes;
            for (int b = 0; b < active.Length; b++)
                if (!active[b] && !(Simd.Max(a + b * Block, Math.Min(Block, columns - b * Block)) < least)) active[b] = true;
        }
        for (int b = 0; b < active.Length; b++)
        {
            if (!active[b]) continue;
            long from = b * Block, to = Math.Min(from + Block, columns);
            if (Ranges.Count > 0 && Ranges[^1].To == from) (from, _) = Ranges[^1];
            if (from != b * Block) Ranges.RemoveAt(Ranges.Count - 1);
            Ranges.Add((from, to));
        }
    }

    /// <summary>What a row's scores get added: bias, or fill where keep is false, and mask.</summary>
    private void Add(long n, long row, T* a, bool lifted)
    {
        if (bias is not null) Broadcast(biases + bias.At[n] + row * bias.RowStride, bias.ColumnStride, a);
        else Simd.Clear(a, columns);
        if (keep is not null)
        {
            byte* k = kept + keep.At[n] + row * keep.RowStride;
            if (keep.ColumnStride == 1) Simd.Select(k, a, fill, columns);
            else if (*k == 0) new Span<T>(a, (int)columns).Fill(fill);
        }
        if (mask is not null)
        {
            T* m = masks + mask.At[n] + row * mask.RowStride;
            if (mask.ColumnStride == 1) Simd.Add(m, a, columns);
            else for (long j = 0; j < columns; j++) a[j] += *m;
        }
        if (lifted && T.IsFinite(floor)) // far below every score: what it lifts are the masks
            for (long j = 0; j < columns; j++) a[j] = T.Max(a[j], floor);
    }

    private void Broadcast(T* from, long stride, T* to)
    {
        if (stride == 1) Simd.Copy(from, to, columns);
        else new Span<T>(to, (int)columns).Fill(*from);
    }

    private void Finish(long i, long n, long row, long from, long to, T* capped)
    {
        T* s = Scores + i * Stride;
        if (scale != T.One) Simd.Scale(scale, s + from, to - from);
        if (cap > T.Zero) Cap(s + from, capped == null ? null : capped + i * Stride + from, to - from);
        if (!IsMasked) return;
        T* a = Added + i * Stride;
        Simd.Add(a + from, s + from, to - from);
        if (keep is null || reach < T.Abs(fill) * T.CreateTruncating(typeof(T) == typeof(double) ? 1e-17 : 1e-8)) return; // fill + score is fill, to the bit
        byte* k = kept + keep.At[n] + row * keep.RowStride;
        for (long j = from; j < to; j++)
            if (k[j * keep.ColumnStride] == 0) s[j] = a[j];
    }

    /// <summary>s = cap · tanh(s / cap); tanh itself goes where it is wanted.</summary>
    private void Cap(T* s, T* tanh, long n)
    {
        Simd.Scale(T.One / cap, s, n);
        Simd.Map(default(Tanh), s, s, s, n);
        if (tanh != null) Simd.Copy(s, tanh, n);
        Simd.Scale(cap, s, n);
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

    /// <summary>s = exp(s − by); answers their sum.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static T Exp(T* s, long n, T by)
    {
        int w = Vector<T>.Count;
        var shift = new Vector<T>(by);
        Vector<T> sum = default;
        long i = 0;
        for (; i <= n - w; i += w)
        {
            Vector<T> e = Simd.Exp(Vector.Load(s + i) - shift);
            e.Store(s + i);
            sum += e;
        }
        T total = Vector.Sum(sum);
        for (; i < n; i++) total += s[i] = T.Exp(s[i] - by);
        return total;
    }
}
