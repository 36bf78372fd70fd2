using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Lift.Ort.Operators;

/// <summary>
/// Dense matrix products inside a kernel, on the calling thread: c = a·b or c += a·b. Operands are packed into blocks that stay in the caches; a tile of
/// 6 rows × 2 vectors of c stays in registers.
/// </summary>
internal static unsafe class Gemm
{
    private const int TileRows = 6, RowBlock = 20 * TileRows, DepthBlock = 256, ColumnBlock = 768;

    [ThreadStatic]
    private static Workspace? workspace;

    /// <summary>A matrix in memory of someone else: element (i, j) lies at <c>Data[i · Row + j · Column]</c>.</summary>
    public readonly struct Operand<T>(T* data, long row, long column = 1) where T : unmanaged
    {
        public T* Data => data;

        public long Row => row;

        public long Column => column;

        public Operand<T> Transposed => new(data, column, row);

        public Operand<T> From(long i, long j) => new(data + i * row + j * column, row, column);
    }

    /// <summary>c [m, n] = a [m, k] · b [k, n], or c += a·b; rows of c are <paramref name="stride"/> elements apart.</summary>
    public static void Multiply<T>(long m, long n, long k, Operand<T> a, Operand<T> b, T* c, long stride, bool accumulate) where T : unmanaged, IFloatingPointIeee754<T>
    {
        if (m == 0 || n == 0) return;
        if (k == 0)
        {
            for (long i = 0; i < m && !accumulate; i++) Simd.Clear(c + i * stride, n);
            return;
        }
        T* packedA = (T*)(workspace ??= new Workspace()).A, packedB = (T*)workspace.B;
        for (long p = 0; p < k; p += DepthBlock)
        {
            long depth = Math.Min(DepthBlock, k - p);
            for (long j = 0; j < n; j += ColumnBlock)
            {
                long columns = Math.Min(ColumnBlock, n - j);
                PackColumns(b.From(p, j), depth, columns, packedB);
                for (long i = 0; i < m; i += RowBlock)
                {
                    long rows = Math.Min(RowBlock, m - i);
                    PackRows(a.From(i, p), rows, depth, packedA);
                    Block(packedA, packedB, rows, columns, depth, c + i * stride + j, stride, accumulate || p > 0);
                }
            }
        }
    }

    /// <summary>The same on all threads of the session: parts own rows or columns of c, so that the sums are the same whatever their number.</summary>
    public static void Multiply<T>(CpuContext context, long m, long n, long k, Operand<T> a, Operand<T> b, T* c, long stride, bool accumulate) where T : unmanaged, IFloatingPointIeee754<T>
    {
        bool byRow = m >= n;
        long step = byRow ? TileRows : 2 * Vector<T>.Count, items = ((byRow ? m : n) + step - 1) / step;
        context.ForEachPart(items, Math.Max(1, step * (byRow ? n : m) * k / 16), (from, to) =>
        {
            long first = from * step, last = Math.Min(to * step, byRow ? m : n);
            if (byRow) Multiply(last - first, n, k, a.From(first, 0), b, c + first * stride, stride, accumulate);
            else Multiply(m, last - first, k, a, b.From(0, first), c + first, stride, accumulate);
        });
    }

    /// <summary>
    /// A right operand [k, n], packed once for many products; it is divided into tiles of columns, <see cref="Width"/> wide.
    /// </summary>
    public sealed class Packed<T> : IDisposable where T : unmanaged, IFloatingPointIeee754<T>
    {
        private readonly T* data;
        private readonly long depth, columns;

        public Packed(Operand<T> b, long k, long n)
        {
            (depth, columns) = (k, n);
            data = (T*)NativeMemory.AlignedAlloc((nuint)(Tiles * Width * Math.Max(1, k) * sizeof(T)), 64);
            PackColumns(b, k, n, data);
        }

        public static long Width => 2 * Vector<T>.Count;

        public long Tiles => (columns + Width - 1) / Width;

        /// <summary>Columns of the tiles <paramref name="from"/> to <paramref name="to"/> of c = a·b, or of c += a·b; c is the address of column 0.</summary>
        public void Multiply(long m, Operand<T> a, long from, long to, T* c, long stride, bool accumulate)
        {
            T* packedA = (T*)(workspace ??= new Workspace()).A;
            long first = from * Width, last = Math.Min(to * Width, columns);
            for (long i = 0; i < m; i += RowBlock)
            {
                long rows = Math.Min(RowBlock, m - i);
                for (long p = 0; p < depth; p += DepthBlock)
                {
                    long part = Math.Min(DepthBlock, depth - p);
                    PackRows(a.From(i, p), rows, part, packedA);
                    Block(packedA, data + first * depth + p * Width, rows, last - first, part, c + i * stride + first, stride, accumulate || p > 0, depth);
                }
            }
        }

        public void Dispose() => NativeMemory.AlignedFree(data);
    }

    private static void Block<T>(T* a, T* b, long rows, long columns, long depth, T* c, long stride, bool accumulate, long panel = 0) where T : unmanaged, IFloatingPointIeee754<T>
    {
        int width = 2 * Vector<T>.Count;
        if (panel == 0) panel = depth;
        T* edge = stackalloc T[TileRows * width];
        for (long j = 0; j < columns; j += width)
        {
            for (long i = 0; i < rows; i += TileRows)
            {
                if (j + width <= columns && i + TileRows <= rows)
                {
                    Tile(a + i * depth, b + j * panel, depth, c + i * stride + j, stride, accumulate);
                    continue;
                }
                Tile(a + i * depth, b + j * panel, depth, edge, width, false);
                for (long r = 0; r < Math.Min(TileRows, rows - i); r++)
                {
                    T* to = c + (i + r) * stride + j, from = edge + r * width;
                    for (long q = 0; q < Math.Min(width, columns - j); q++) to[q] = accumulate ? to[q] + from[q] : from[q];
                }
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Tile<T>(T* a, T* b, long depth, T* c, long stride, bool accumulate) where T : unmanaged, IFloatingPointIeee754<T>
    {
        int w = Vector<T>.Count;
        Vector<T> c00 = default, c01 = default, c10 = default, c11 = default, c20 = default, c21 = default, c30 = default, c31 = default, c40 = default, c41 = default, c50 = default, c51 = default;
        for (long p = 0; p < depth; p++, a += TileRows, b += 2 * w)
        {
            Vector<T> b0 = Vector.Load(b), b1 = Vector.Load(b + w), s = new(a[0]);
            c00 = Add(s, b0, c00);
            c01 = Add(s, b1, c01);
            s = new(a[1]);
            c10 = Add(s, b0, c10);
            c11 = Add(s, b1, c11);
            s = new(a[2]);
            c20 = Add(s, b0, c20);
            c21 = Add(s, b1, c21);
            s = new(a[3]);
            c30 = Add(s, b0, c30);
            c31 = Add(s, b1, c31);
            s = new(a[4]);
            c40 = Add(s, b0, c40);
            c41 = Add(s, b1, c41);
            s = new(a[5]);
            c50 = Add(s, b0, c50);
            c51 = Add(s, b1, c51);
        }
        Write(c, c00, c01, accumulate);
        Write(c + stride, c10, c11, accumulate);
        Write(c + 2 * stride, c20, c21, accumulate);
        Write(c + 3 * stride, c30, c31, accumulate);
        Write(c + 4 * stride, c40, c41, accumulate);
        Write(c + 5 * stride, c50, c51, accumulate);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Write<T>(T* c, Vector<T> left, Vector<T> right, bool accumulate) where T : unmanaged
    {
        int w = Vector<T>.Count;
        if (accumulate) (left, right) = (left + Vector.Load(c), right + Vector.Load(c + w));
        left.Store(c);
        right.Store(c + w);
    }

    /// <summary>a·b + c, in one instruction where there is one.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector<T> Add<T>(Vector<T> a, Vector<T> b, Vector<T> c) where T : unmanaged => typeof(T) == typeof(double)
        ? Vector.MultiplyAddEstimate(a.As<T, double>(), b.As<T, double>(), c.As<T, double>()).As<double, T>()
        : Vector.MultiplyAddEstimate(a.As<T, float>(), b.As<T, float>(), c.As<T, float>()).As<float, T>();

    /// <summary>Tiles of 6 rows, each column by column; rows that are missing are zeros.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void PackRows<T>(Operand<T> a, long rows, long depth, T* packed) where T : unmanaged, IFloatingPointIeee754<T>
    {
        for (long i = 0; i < rows; i += TileRows, packed += TileRows * depth)
        {
            long there = Math.Min(TileRows, rows - i);
            if (there < TileRows) Simd.Clear(packed, TileRows * depth);
            for (long r = 0; r < there; r++)
            {
                T* from = a.Data + (i + r) * a.Row;
                for (long p = 0; p < depth; p++) packed[p * TileRows + r] = from[p * a.Column];
            }
        }
    }

    /// <summary>Tiles of two vectors' width, each row by row; columns that are missing are zeros.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void PackColumns<T>(Operand<T> b, long depth, long columns, T* packed) where T : unmanaged, IFloatingPointIeee754<T>
    {
        int width = 2 * Vector<T>.Count;
        for (long j = 0; j < columns; j += width, packed += width * depth)
        {
            long there = Math.Min(width, columns - j);
            if (there < width) Simd.Clear(packed, width * depth);
            T* from = b.Data + j * b.Column;
            if (b.Column == 1)
            {
                for (long p = 0; p < depth; p++) Simd.Copy(from + p * b.Row, packed + p * width, there);
                continue;
            }
            for (long q = 0; q < there; q++)
            {
                T* column = from + q * b.Column;
                for (long p = 0; p < depth; p++) packed[p * width + q] = column[p * b.Row];
            }
        }
    }

    /// <summary>A thread's packed blocks, for either element type.</summary>
    private sealed class Workspace
    {
        public readonly void* A = NativeMemory.AlignedAlloc(RowBlock * DepthBlock * sizeof(double), 64);
        public readonly void* B = NativeMemory.AlignedAlloc(ColumnBlock * DepthBlock * sizeof(double), 64);

        ~Workspace()
        {
            NativeMemory.AlignedFree(A);
            NativeMemory.AlignedFree(B);
        }
    }
}
