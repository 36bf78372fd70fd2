using Lift.Ort.Onnx;

namespace Lift.Ort.Gradients.Rules;

/// <summary>Rules of matrix products.</summary>
internal static class Matrices
{
    /// <summary>Y = A B ⇒ dA = dY Bᵀ, dB = Aᵀ dY</summary>
    [Gradient("MatMul")]
    public static Var?[] MatMul(Backward b)
    {
        Var x = b.X(0), w = b.X(1), dy = b.Dy;
        int rx = b.RankOf(x), rw = b.RankOf(w);
        // A 2-D weight behind a batch: all rows of the batch are rows of one product, so that dB needs no batched product and no sum.
        if (rw == 2 && rx >= 2) return Flat(b, x, w, dy);
        if (rx == 1) (x, dy) = (x.Unsqueeze(0), rw == 1 ? dy.Unsqueeze(0) : dy.Unsqueeze(-2));
        if (rw == 1) (w, dy) = (w.Unsqueeze(1), dy.Unsqueeze(-1));
        Var? dx = b.Needs(0) ? Broadcasting.SumTo(dy.MatMul(Swap(b, w)), x) : null;
        Var? dw = b.Needs(1) ? Broadcasting.SumTo(Swap(b, x).MatMul(dy), w) : null;
        return [rx == 1 ? dx?.Reshape(-1) : dx, rw == 1 ? dw?.Reshape(-1) : dw];
    }

    /// <summary>Y = α A' B' + β C ⇒ dA' = α dY B'ᵀ, dB' = α A'ᵀ dY, dC = β dY summed to C's shape (' : transposed where the attribute says so)</summary>
    [Gradient("Gemm")]
    public static Var?[] Gemm(Backward b)
    {
        bool ta = b.Node.Int("transA") != 0, tb = b.Node.Int("transB") != 0;
        float alpha = b.Node.Float("alpha", 1), beta = b.Node.Float("beta", 1);
        Var a = b.X(0), w = b.X(1), dy = b.Dy;
        Var? da = !b.Needs(0) ? null : ta ? b.Gemm(w, dy, tb, true, alpha) : b.Gemm(dy, w, false, !tb, alpha);
        Var? dw = !b.Needs(1) ? null : tb ? b.Gemm(dy, a, true, ta, alpha) : b.Gemm(a, dy, !ta, false, alpha);
        Var? dc = !b.Needs(2) ? null : Broadcasting.SumTo(beta == 1 ? dy : dy * beta, b.X(2));
        return [da, dw, dc];
    }

    /// <summary>Y = α A' B' (batched; a transposed operand has its last two axes exchanged, a batch-transposed one its batch axes moved behind the rows) ⇒ as MatMul's, moved back</summary>
    [Gradient("com.microsoft.FusedMatMul"), Gradient("com.microsoft.TransposeMatMul")]
    public static Var?[] FusedMatMul(Backward b)
    {
        Operand a = new(b, 0, "A"), c = new(b, 1, "B");
        Var x = a.Turned, w = c.Turned, dy = b.Node.Float("alpha", 1) is var alpha && alpha != 1 ? b.Dy * alpha : b.Dy;
        if (b.RankOf(w) == 2 && b.RankOf(x) >= 2)
        {
            Var?[] flat = Flat(b, x, w, dy);
            return [flat[0] is { } rows ? a.Back(rows) : null, flat[1] is { } weight ? c.Back(weight) : null];
        }
        Var? dx = b.Needs(0) ? a.Back(Broadcasting.SumTo(dy.MatMul(Swap(b, w)), x)) : null;
        Var? dw = b.Needs(1) ? c.Back(Broadcasting.SumTo(Swap(b, x).MatMul(dy), w)) : null;
        return [dx, dw];
    }

    /// <summary>Y = A⁻¹ for each of the batched square matrices ⇒ dA = −Yᵀ dY Yᵀ</summary>
    [Gradient("com.microsoft.Inverse")]
    public static Var?[] Inverse(Backward b)
    {
        Var turned = Swap(b, b.Y);
        return [-turned.MatMul(b.Dy).MatMul(turned)];
    }

    /// <summary>y = det A for each of the batched square matrices ⇒ dA = dy · y · (A⁻¹)ᵀ (A must not be singular)</summary>
    [Gradient("Det")]
    public static Var?[] Det(Backward b)
    {
        Var inverse = b.Graph.Add("Inverse", [b.X()], domain: "com.microsoft");
        return [(b.Dy * b.Y).Unsqueeze(-1, -2) * Swap(b, b.Like(inverse, b.X()))];
    }

    /// <summary>An operand of FusedMatMul as the product sees it, and the way back to how it is stored.</summary>
    private sealed class Operand
    {
        private readonly long[] order;

        public Operand(Backward b, int index, string name)
        {
            Var x = b.X(index);
            int rank = b.RankOf(x);
            List<long> axes = [.. Enumerable.Range(0, rank)];
            if (rank > 2 && b.Node.Int($"transBatch{name}") != 0) axes = [.. axes[1..^1], 0, axes[^1]]; // stored [rows, batch…, columns]
            if (rank > 1 && b.Node.Int($"trans{name}") != 0) (axes[^2], axes[^1]) = (axes[^1], axes[^2]);
            order = [.. axes];
            Turned = x.Transpose(order);
        }

        public Var Turned { get; }

        public Var Back(Var gradient) => gradient.Transpose([.. Enumerable.Range(0, order.Length).Select(i => (long)Array.IndexOf(order, i))]);
    }

    private static Var?[] Flat(Backward b, Var x, Var w, Var dy)
    {
        Var dy2 = AsRows(dy, w.Shape![1]);
        Var? dx = null, dw = null;
        if (b.Needs(0)) dx = b.Gemm(dy2, w, false, true) is var rows && x.Rank == 2 ? rows : rows.Reshape(x.ShapeOf());
        if (b.Needs(1)) dw = b.Gemm(AsRows(x, w.Shape[0]), dy2, true, false);
        return [dx is null ? null : b.Like(dx, x), dw];
    }

    /// <summary>[…, n] as [rows, n].</summary>
    private static Var AsRows(Var x, Dim columns) =>
        x.Rank == 2 ? x : columns.Value is { } n ? x.Reshape(-1, n) : x.Reshape(x.Graph.Concat(0, x.Graph.Longs(-1), x.ShapeOf().Slice(x.Rank!.Value - 1, x.Rank.Value, 0)));

    public static Var Swap(Backward b, Var x)
    {
        int rank = b.RankOf(x);
        if (rank < 2) throw b.Refuse($"'{x.Name}' {x.Shape} is no matrix");
        long[] permutation = [.. Enumerable.Range(0, rank).Select(i => (long)i)];
        (permutation[rank - 2], permutation[rank - 1]) = (permutation[rank - 1], permutation[rank - 2]);
        return x.Transpose(permutation);
    }
}
