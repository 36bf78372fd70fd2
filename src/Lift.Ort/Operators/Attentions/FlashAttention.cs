using System.Runtime.InteropServices;
using Lift.Ort.Devices.Cuda;
using Lift.Ort.Onnx;

namespace Lift.Ort.Operators.Attentions;

/// <summary>
/// Attention in tiles on tensor cores (flash.cuh): scores live in registers only. For 16-bit numbers whose heads have up to 128 of them, a multiple of 8, side by side in memory and
/// aligned to 16 bytes, on GPUs from compute capability 8.0; sizes, types and strides decide, never values. What does not fit goes through <see cref="CudaAttention"/>.
/// </summary>
internal sealed unsafe class FlashAttention
{
    private const string Tiles = "FlashTiles";
    private const int Tile = 64, Pad = 8;

    private readonly CudaContext context;
    private readonly AttentionGeometry geometry;
    private readonly ElementType type;
    private readonly int step, maps, mapRows; // of the map: FlashTiles.cu
    private Native native;

    private FlashAttention(CudaContext context, AttentionGeometry geometry, ElementType type, in Native native)
    {
        (this.context, this.geometry, this.type, this.native) = (context, geometry, type, native);
        ref Native f = ref this.native;
        Over[] masks = [f.Bias, f.Keep, f.Mask];
        IsMasked = masks.Any(m => m.At != 0);
        (bool batches, bool heads) = (masks.Any(m => m.Outer != 0), masks.Any(m => m.Inner != 0));
        bool rows = masks.Any(m => m.Row != 0);
        (f.MapOuter, f.MapInner) = (batches ? heads ? f.Heads : 1 : 0, heads ? 1 : 0);
        (step, maps) = (heads ? 1 : f.Heads, (batches ? f.Count / f.Heads : 1) * (heads ? f.Heads : 1));
        (mapRows, f.MapRows) = (rows ? f.Rows : 1, rows ? RowTiles : 1);
    }

    /// <summary>Numbers of a head as the kernels see them, zeros behind the last.</summary>
    private int Width => native.Depth <= 64 && native.Width <= 64 ? 64 : 128;

    private string File => $"Flash{Width}";

    private int RowTiles => (native.Rows + Tile - 1) / Tile;

    private int ColumnTiles => (native.Columns + Tile - 1) / Tile;

    private bool IsMasked { get; }

    /// <summary>How often these kernels ran in this process, for tests that must know.</summary>
    internal static long Runs { get; private set; }

    /// <summary>The attention of these operands, or null where these kernels cannot compute it.</summary>
    /// <param name="firstMask">The input that is the bias; keep and mask follow.</param>
    public static FlashAttention? Of(CudaContext context, AttentionForm form, AttentionGeometry g, CpuTensor q, CpuTensor k, CpuTensor v, int firstMask)
    {
        if (!context.Device.Options.AttentionTiles || q.Type is not (ElementType.Float16 or ElementType.BFloat16) || context.Device.Capability < 80 || !(form.Scale > 0) || g.Count * g.Q.Rows == 0) return null;
        if (g.K.Rows == 0 || Math.Max(g.Q.Columns, g.V.Columns) > 128 || Math.Max(g.Q.Rows, g.K.Rows) > 1 << 24 || g.Count > 1 << 20) return null;
        foreach (int heads in Divisions(g.Q.Leads))
            if (Of(context, form, g, heads, q, k, v, firstMask) is { } made) return made;
        return null;
    }

    private static FlashAttention? Of(CudaContext context, AttentionForm form, AttentionGeometry g, int heads, CpuTensor q, CpuTensor k, CpuTensor v, int firstMask)
    {
        var native = new Native
        {
            Count = (int)g.Count,
            Heads = heads,
            Rows = (int)g.Q.Rows,
            Columns = (int)g.K.Rows,
            Depth = (int)g.Q.Columns,
            Width = (int)g.V.Columns,
            Scale = form.Scale,
            Cap = form.Softcap,
            Fill = form.Fill,
            Floor = form.Floor,
            Guard = form.Guard ? 1 : 0,
        };
        if (!Part.Fits(q.Address, g.Q, g.QAt, heads, ref native.Q) || !Part.Fits(k.Address, g.K, g.KAt, heads, ref native.K) || !Part.Fits(v.Address, g.V, g.VAt, heads, ref native.V)) return null;
        if (!Over.Fits(context.OptionalInput(firstMask), "bias", g, heads, ref native.Bias) || !Over.Fits(context.OptionalInput(firstMask + 1), "keep", g, heads, ref native.Keep)
            || !Over.Fits(context.OptionalInput(firstMask + 2), "mask", g, heads, ref native.Mask)) return null;
        native.Each = native.K.Each;
        var made = new FlashAttention(context, g, q.Type, native);
        return Math.Max(made.ForwardShared, made.BackwardShared) <= context.Device.SharedPerBlock ? made : null;
    }

    /// <summary>y and lse (0: not wanted); false where y does not lie as the kernel wants it.</summary>
    public bool Forward(nint y, nint lse)
    {
        if (!Part.Fits(y, geometry.Y, geometry.YAt, native.Heads, ref native.Y)) return false;
        Runs++;
        native.Lse = lse;
        FindTiles(context.Parts(MapBytes));
        int threads = Width == 64 ? 128 : 256;
        Launch(File, "FlashForward", new(native.Count * Blocks(native.Rows), threads, ForwardShared));
        return true;
    }

    /// <summary>The gradients that are wanted (others 0), from y, dy and lse of the forward pass; false where one of them does not lie as the kernels want it.</summary>
    public bool Backward(nint y, nint dy, nint lse, nint dq, nint dk, nint dv)
    {
        int heads = native.Heads;
        if (native.K.Each != native.V.Each || (native.Count > heads && (native.K.Outer == 0 || native.V.Outer == 0))) return false; // sums over more than a row of heads
        if (!Part.Fits(y, geometry.Y, geometry.YAt, heads, ref native.Y) || !Part.Fits(dy, geometry.Y, geometry.YAt, heads, ref native.Dy) || !Part.Fits(dq, geometry.Q, geometry.QAt, heads, ref native.Dq)
            || !Part.Fits(dk, geometry.K, geometry.KAt, heads, ref native.Dk) || !Part.Fits(dv, geometry.V, geometry.VAt, heads, ref native.Dv)) return false;
        Runs++;
        long rows = (long)native.Count * RowTiles;
        nint[] parts = context.Parts([.. MapBytes, rows * Tile * sizeof(float), rows * Tile * sizeof(float), rows * Tile * sizeof(float), rows]);
        (native.Lse, native.Shift, native.Share, native.Delta, native.Special) = (lse, parts[3], parts[4], parts[5], parts[6]);
        FindTiles(parts);
        Launch(Tiles, "FlashPrepare", new(rows, Grid.Block));
        if (dq != 0) Launch(File, "FlashQueries", new(native.Count * Blocks(native.Rows), 256, BackwardShared));
        if (dk != 0 || dv != 0) Launch(File, "FlashKeys", new(native.Count / native.Each * Blocks(native.Columns), 256, BackwardShared));
        return true;
    }

    /// <summary>Blocks of 128 rows.</summary>
    private static long Blocks(long rows) => (rows + 127) / 128;

    private int ForwardShared => ((128 + 4 * Tile) * (Width + Pad) * 2) + ColumnTiles;

    private int BackwardShared => ((256 + 4 * Tile) * (Width + Pad) * 2) + Math.Max(ColumnTiles, (6 * Tile * sizeof(float)) + (RowTiles * native.Each));

    /// <summary>Working memory: the map, the tops of the rows, and how far scores reach.</summary>
    private long[] MapBytes => IsMasked ? [(long)maps * native.MapRows * ColumnTiles * sizeof(float), (long)maps * mapRows * sizeof(float), (native.Count + (native.Count / native.Each)) * sizeof(float)] : [0, 0, 0];

    /// <summary>Finds out which tiles the masks leave; without masks, all.</summary>
    private void FindTiles(nint[] parts)
    {
        if (!IsMasked) return;
        const int Warps = Grid.Block / 32;
        Launch(Tiles, "FlashReach", new(native.Count + (native.Count / native.Each), Grid.Block), parts[2]);
        Launch(Tiles, "FlashTops", new((((long)maps * mapRows) + Warps - 1) / Warps, Grid.Block), parts[1], step, mapRows);
        Launch(Tiles, "FlashMap", new((((long)maps * native.MapRows * ColumnTiles) + Warps - 1) / Warps, Grid.Block), parts[1], parts[0], step, mapRows);
        (native.Map, native.Reach) = (parts[0], parts[2]);
    }

    private void Launch(string file, string kernel, Grid grid, params ReadOnlySpan<KernelArgument> more)
    {
        fixed (Native* f = &native) context.Launch(file, kernel, type, grid, [KernelArgument.Of(f), .. more]);
    }

    /// <summary>How many matrices can be called the heads of a batch: those of the axes behind the first, or of fewer, or all there are.</summary>
    private static IEnumerable<int> Divisions(ReadOnlySpan<long> leads)
    {
        List<int> all = [];
        for (int i = 1; i < leads.Length; i++) all.Add((int)CpuTensor.Product(leads[i..]));
        all.Add((int)CpuTensor.Product(leads));
        return all.Distinct();
    }

    /// <summary>How <paramref name="at"/> goes over batches and heads: at[n] = n / heads · outer + n % heads / each · inner; null where it goes otherwise.</summary>
    private static (long Outer, long Inner, int Each)? Steps(long[] at, int heads)
    {
        int each = 1;
        while (each < heads && at[each] == at[0]) each++;
        if (heads % each != 0) return null;
        long inner = each < heads ? at[each] - at[0] : 0, outer = at.Length > heads ? at[heads] - at[0] : 0;
        for (int n = 0; n < at.Length; n++)
            if (at[n] != (n / heads * outer) + (n % heads / each * inner)) return null;
        return (outer, inner, each);
    }

    /// <summary>struct Part of flash.cuh.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Part
    {
        public nint At;
        public long Outer, Inner, Row;
        public int Each, Unused;

        /// <summary>False where the tensor cannot be read in pieces of 16 bytes. An address of 0 fits.</summary>
        public static bool Fits(nint address, AttentionOperand x, long[] at, int heads, ref Part part)
        {
            if (x.ColumnStride != 1 || x.Columns % 8 != 0 || x.RowStride % 8 != 0 || address % 16 != 0 || Steps(at, heads) is not var (outer, inner, each) || outer % 8 != 0 || inner % 8 != 0) return false;
            part = new() { At = address, Outer = outer, Inner = inner, Row = x.RowStride, Each = each };
            return true;
        }
    }

    /// <summary>struct Over of flash.cuh.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Over
    {
        public nint At;
        public long Outer, Inner, Row, Column;
        public int Each, Unused;

        /// <summary>False where the mask goes over batches and heads in a way of its own.</summary>
        public static bool Fits(CpuTensor? tensor, string name, AttentionGeometry g, int heads, ref Over over)
        {
            over.Each = 1;
            if (tensor is not { } given) return true;
            AttentionMask mask = g.Mask(name, given.Dims);
            if (Steps(mask.At, heads) is not var (outer, inner, each)) return false;
            over = new() { At = given.Address, Outer = outer, Inner = inner, Row = mask.RowStride, Column = mask.ColumnStride, Each = each };
            return true;
        }
    }

    /// <summary>struct Flash of flash.cuh, by value.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Native
    {
        public Part Q, K, V, Y, Dy, Dq, Dk, Dv;
        public Over Bias, Keep, Mask;
        public nint Lse, Shift, Share, Delta, Special, Map, Reach;
        public int Count, Heads, Each, Rows, Columns, Depth, Width, MapOuter, MapInner, MapRows;
        public float Scale, Cap, Fill, Floor;
        public int Guard, Unused;
    }
}
