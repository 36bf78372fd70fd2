using System.Runtime.InteropServices;
using Lift.Ort.Devices.Cuda;
using Lift.Ort.Onnx;

namespace Lift.Ort.Operators.Attentions;

/// <summary>A row of matrices of q whose parts of all tensors lie equally far apart, so that one call of cuBLAS takes them; no two share k or v.</summary>
/// <param name="Order">Where the row begins in <see cref="CudaAttention.Order"/>.</param>
internal readonly record struct AttentionRun(int Order, int Count);

/// <summary>
/// What forward and backward pass of attention share on a GPU: products by cuBLAS on some rows of some heads at a time, so that scores take a bounded piece of memory, and never
/// that of all heads. Which ones go together depends on sizes alone.
/// </summary>
internal sealed unsafe class CudaAttention
{
    public const string File = "Attention";

    private readonly CudaContext context;
    private readonly AttentionForm form;
    private readonly AttentionMask? bias, keep, mask;
    private readonly nint biasAt, keepAt, maskAt;
    private readonly List<(long[] Values, long At)> tables = [];
    private readonly Dictionary<long[], long> packed = [];
    private nint tablesAt, packsAt;
    private long packedElements;

    /// <param name="perScore">Bytes of working memory for each score.</param>
    public CudaAttention(CudaContext context, AttentionForm form, AttentionGeometry geometry, ElementType type, int firstMask, int perScore)
    {
        (this.context, this.form, Geometry, Type) = (context, form, geometry, type);
        bias = Masked("bias", firstMask, ref biasAt);
        keep = Masked("keep", firstMask + 1, ref keepAt);
        mask = Masked("mask", firstMask + 2, ref maskAt);
        int[][] groups = geometry.Groups;
        int longest = groups.Select(g => g.Length).DefaultIfEmpty().Max();
        Order = [.. Enumerable.Range(0, longest).SelectMany(j => groups.Where(g => g.Length > j).Select(g => g[j]))];
        long room = Math.Max(1, Budget / perScore / Math.Max(1, geometry.K.Rows));
        Rows = Math.Max(1, Math.Min(geometry.Q.Rows, room));
        Most = (int)Math.Clamp(room / Rows, 1, Math.Max(1, geometry.Count));
        (KeyAt, ValueAt) = ([.. geometry.KAt.Distinct()], [.. geometry.VAt.Distinct()]);
        (KeyIndex, ValueIndex) = (Indices(geometry.KAt, KeyAt), Indices(geometry.VAt, ValueAt));
        foreach (long[] table in new[] { [.. Order.Select(n => (long)n)], KeyAt, ValueAt, bias?.At ?? [], keep?.At ?? [], mask?.At ?? [] }) Table(table);
        foreach (var (operand, at) in new[] { (geometry.Q, geometry.QAt), (geometry.K, geometry.KAt), (geometry.V, geometry.VAt), (geometry.Y, geometry.YAt) })
        {
            if (operand.ColumnStride == 1 || operand.RowStride == 1 || operand.Columns == 1) continue;
            Table(at);
            packed[at] = packedElements;
            packedElements += geometry.Count * operand.Rows * operand.Columns;
        }
        Runs = [.. Divide()];
    }

    /// <summary>Bytes that scores may take.</summary>
    internal static long Budget { get; set; } = 256 << 20;

    public AttentionGeometry Geometry { get; }

    public ElementType Type { get; }

    public int Size => Type.Bits() / 8;

    /// <summary>The matrices of q in the order in which they are computed: the first of each group that shares k and v, then the second ones.</summary>
    public int[] Order { get; }

    public AttentionRun[] Runs { get; }

    /// <summary>Rows of a matrix at a time.</summary>
    public long Rows { get; }

    /// <summary>Matrices at a time.</summary>
    public int Most { get; }

    /// <summary>Where the matrices of k begin, each once.</summary>
    public long[] KeyAt { get; }

    public long[] ValueAt { get; }

    /// <summary>For each matrix of q the number of its keys in <see cref="KeyAt"/>.</summary>
    public long[] KeyIndex { get; }

    public long[] ValueIndex { get; }

    /// <summary>Scores of a piece.</summary>
    public long Piece => Most * Rows * Geometry.K.Rows;

    /// <summary>Bytes for tables and packed operands; <see cref="Prepare"/> fills the first of them.</summary>
    public long TableBytes => (tables.Sum(t => t.Values.Length) + 1L) * sizeof(long);

    public long PackedBytes => packedElements * Size;

    public void Prepare(nint tables, nint packs)
    {
        (tablesAt, packsAt) = (tables, packs);
        context.Write([.. this.tables.SelectMany(t => t.Values)], tables);
    }

    /// <summary>The address of a table on the device.</summary>
    public nint AddressOf(long[] table) => tablesAt + (nint)(tables.First(t => ReferenceEquals(t.Values, table)).At * sizeof(long));

    /// <summary>The rows of a run's matrices as an operand of cuBLAS; <paramref name="first"/>: their first row.</summary>
    public CudaOperand Operand(nint x, AttentionOperand of, long[] at, AttentionRun run, long first)
    {
        int n = Order[run.Order];
        bool isPacked = packed.TryGetValue(at, out long begin);
        long row = isPacked ? of.Columns : of.RowStride, column = isPacked ? 1 : of.ColumnStride, size = of.Rows * of.Columns;
        long From(int matrix) => isPacked ? begin + (matrix * size) : at[matrix];
        nint address = (isPacked ? packsAt : x) + (nint)((From(n) + (first * row)) * Size);
        long next = run.Count > 1 ? From(Order[run.Order + 1]) - From(n) : 0;
        return column == 1 || of.Columns == 1 ? new(address, Type, row, next) : new(address, Type, column, next, Transposed: true);
    }

    /// <summary>Makes room for cuBLAS where neither rows nor columns of an operand lie side by side.</summary>
    public void Pack(nint x, AttentionOperand of, long[] at)
    {
        long count = Geometry.Count * of.Rows * of.Columns;
        if (!packed.TryGetValue(at, out long begin) || count == 0) return;
        context.Launch(File, "PackMatrices", Type, Grid.For(count, perThread: 4), x, packsAt + (nint)(begin * Size), AddressOf(at), of.Rows, of.Columns, of.RowStride, of.ColumnStride, count);
    }

    /// <summary>A kernel with one block per row of a run's scores; the form and the sizes follow the addresses.</summary>
    public void Launch(string kernel, AttentionRun run, long first, long rows, params ReadOnlySpan<nint> addresses)
    {
        if (run.Count * rows == 0) return;
        var native = new Form(form, AddressOf(tables[0].Values) + (run.Order * sizeof(long)), first, Geometry.Q.Rows, Masked(bias, biasAt), Masked(keep, keepAt), Masked(mask, maskAt));
        var arguments = new KernelArgument[addresses.Length + 3];
        for (int i = 0; i < addresses.Length; i++) arguments[i] = addresses[i];
        (arguments[^3], arguments[^2], arguments[^1]) = (KernelArgument.Of(&native), Geometry.K.Rows, rows);
        context.Launch(File, kernel, Type, new Grid(run.Count * rows, Grid.Block), arguments);
    }

    /// <summary>float32 matrices [count, rows, columns] to where a run's part of a tensor lies.</summary>
    public void Place(nint from, nint to, AttentionOperand of, long[] at, AttentionRun run, long first, long rows)
    {
        int n = Order[run.Order];
        long next = run.Count > 1 ? at[Order[run.Order + 1]] - at[n] : 0, count = run.Count * rows * of.Columns;
        if (count > 0) context.Launch(File, "PlaceMatrices", Type, Grid.For(count, perThread: 4), from, to + (nint)((at[n] + (first * of.RowStride)) * Size), (nint)0, next, rows, of.Columns, of.RowStride, of.ColumnStride, count);
    }

    /// <summary>float32 matrices, one for each of <paramref name="at"/>, to where they lie in a tensor.</summary>
    public void PlaceAll(nint from, nint to, AttentionOperand of, long[] at)
    {
        long count = at.Length * of.Rows * of.Columns;
        if (count > 0) context.Launch(File, "PlaceMatrices", Type, Grid.For(count, perThread: 4), from, to, AddressOf(at), 0L, of.Rows, of.Columns, of.RowStride, of.ColumnStride, count);
    }

    private AttentionMask? Masked(string name, int input, ref nint address)
    {
        if (context.OptionalInput(input) is not { } tensor) return null;
        address = tensor.Address;
        return Geometry.Mask(name, tensor.Dims);
    }

    private Mask Masked(AttentionMask? of, nint address) => of is null ? default : new(address, AddressOf(of.At), of.RowStride, of.ColumnStride);

    private static long[] Indices(long[] all, long[] distinct)
    {
        Dictionary<long, int> index = distinct.Index().ToDictionary(d => d.Item, d => d.Index);
        return Array.ConvertAll(all, at => (long)index[at]);
    }

    private void Table(long[] values) => tables.Add((values, tables.Sum(t => (long)t.Values.Length)));

    /// <summary>Rows of matrices, as long as all their offsets go on evenly and working memory holds them.</summary>
    private IEnumerable<AttentionRun> Divide()
    {
        long[][] offsets = [Geometry.QAt, Geometry.KAt, Geometry.VAt, Geometry.YAt, KeyIndex, ValueIndex];
        for (int start = 0, count; start < Order.Length; start += count)
        {
            for (count = 1; count < Most && start + count < Order.Length && Follows(start, count); count++)
            {
            }
            yield return new(start, count);
        }

        bool Follows(int start, int count)
        {
            int before = Order[start + count - 1], next = Order[start + count];
            if (Geometry.KAt[next] == Geometry.KAt[before] || Geometry.VAt[next] == Geometry.VAt[before]) return false;
            return count == 1 || offsets.All(o => o[next] - o[before] == o[Order[start + 1]] - o[Order[start]]);
        }
    }

    [StructLayout(LayoutKind.Sequential)]
    private readonly struct Mask(nint at, nint of, long row, long column)
    {
        private readonly nint at = at, of = of;
        private readonly long row = row, column = column;
    }

    /// <summary>struct Form of Attention.cu, by value.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private readonly struct Form(AttentionForm f, nint number, long first, long rows, Mask bias, Mask keep, Mask mask)
    {
        private readonly float scale = f.Scale, cap = f.Softcap, fill = f.Fill, floor = f.Floor;
        private readonly int guard = f.Guard ? 1 : 0, pad = 0;
        private readonly Mask bias = bias, keep = keep, mask = mask;
        private readonly nint number = number;
        private readonly long first = first, rows = rows;
    }
}
