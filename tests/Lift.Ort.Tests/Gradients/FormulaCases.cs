using Lift.Ort.Onnx;
using static Lift.Ort.Tests.Gradients.CaseData;

namespace Lift.Ort.Tests.Gradients;

/// <summary>Cases of powers, products of matrices and Einsum in all their forms.</summary>
[GradientCaseGroup]
internal static class FormulaCases
{
    public static Dictionary<string, GradientCase[]> Cases => new()
    {
        ["Pow"] =
        [
            new("0 to a power", [Tensor.From<float>("x", [0, 1, -2], 3), S(3f)]) { Vary = [0], Step = 1e-3f }, new("negative bases, integer power", [F([2, 3]), S(3L)]), new("power 1", [F([3]), S(1f)]) { Vary = [0] },
            new("power 0", [Tensor.From<float>("x", [0, 1, -2], 3), S(0f)]) { Vary = [0] }, new("powers 0, 1 and 2 of 0", [Tensor.From<float>("x", [0, 0, 0], 3), Tensor.From<float>("p", [0, 1, 2], 3)]) { Vary = [0], Step = 1e-3f },
            new("exponents of 0", [Tensor.From<float>("x", [0, 2], 2), Tensor.From<float>("p", [1.5f, 1.5f], 2)]) { Vary = [1], Step = 1e-3f }, new("square root", [F([4], 0.5f, 2), S(0.5f)]), new("broadcast base", [F([2, 1], 0.5f, 2), F([3], -1, 2)]),
        ],
        ["com.microsoft.ScaledSum"] =
        [
            new("two", [F([2, 3]), F([2, 3], seed: 2)], n => n.With("scale_0", 0.5f).With("scale_1", -2f)), new("three", [F([4]), F([4], seed: 2), F([4], seed: 3)], n => n.With("scale_0", 0.5f).With("scale_1", 2f).With("scale_2", 3f)),
        ],
        ["Shrink"] = [new("soft", [F([2, 5])], n => n.With("lambd", 0.61f).With("bias", 0.61f)) { Step = 1e-3f }, new("default", [F([2, 4])]) { Step = 1e-3f }],
        ["com.microsoft.FusedMatMul"] = [.. BatchTransposed("FusedMatMul")],
        ["com.microsoft.TransposeMatMul"] = [new("plain", [F([2, 2, 3]), F([3, 4])]), new("both", [F([2, 3, 2]), F([4, 3])], n => n.With("transA", 1L).With("transB", 1L).With("alpha", 1.5f))],
        ["com.microsoft.Inverse"] = [new("one", [Regular([3, 3])]) { Step = 1e-3f }, new("batch", [Regular([2, 2, 2])]) { Step = 1e-3f }],
        ["Det"] = [new("one", [Regular([3, 3])]) { Step = 1e-3f }, new("batch", [Regular([2, 2, 2])]) { Step = 1e-3f }],
        ["Einsum"] =
        [
            Product("...i,...j->...ij", [2, 3], [2, 4]), Product("...ij,...jk->...ik", [2, 3, 4], [2, 4, 2]), Product("...ij,jk", [2, 3, 4], [4, 2]), Product("i...,i...->...", [3, 2, 2], [3, 2, 2]), Product("...i->...", [2, 3, 4]), Product("b...d->d...b", [2, 3, 4]),
            Product("...ij,...jk->...ik", [2, 1, 3, 4], [1, 5, 4, 2]), Product("...i,...i->...i", [3, 2], [1, 2]),
            Product("ii->i", [3, 3]), Product("ii->", [3, 3]), Product("ii", [3, 3]), Product("iij->ij", [2, 2, 3]), Product("bii->b", [2, 3, 3]), Product("iij,jk->ik", [2, 2, 3], [3, 2]), Product("iji->j", [2, 3, 2]), Product("iii->i", [2, 2, 2]),
            Product("ij,kl->", [2, 3], [2, 2]), Product(" i j , j k -> k i ", [2, 3], [3, 2]), Product("bhid,bhjd,bhj->bhi", [1, 2, 3, 2], [1, 2, 4, 2], [1, 2, 4]), Product("i,j,k->kij", [2], [3], [2]), Product("Aa,aB->AB", [2, 3], [3, 2]), Product("ij->", [2, 3]), Product("->", Array.Empty<long>()),
        ],
    };

    private static GradientCase Product(string equation, params long[][] dims) =>
        new($"{equation} of {string.Join(' ', dims.Select(d => $"[{string.Join(',', d)}]"))}", [.. dims.Select((d, i) => F(d, seed: i + 1))], n => n.With("equation", equation));

    private static IEnumerable<GradientCase> BatchTransposed(string name) =>
        from a in new[] { 0, 1, 2, 3 }
        from b in new[] { 0, 1, 2, 3 }
        where a > 1 || b > 1
        select new GradientCase($"{name} {a}{b}", [F(Stored(a, 2, 3, 4), -1, 1), F(Stored(b, 2, 4, 5), -1, 1)], n => n
            .With("transA", a % 2L).With("transBatchA", a / 2L).With("transB", b % 2L).With("transBatchB", b / 2L));

    /// <summary>How [batch, rows, columns] is stored where bit 0 transposes the matrix and bit 1 the batch.</summary>
    private static long[] Stored(int form, long batch, long rows, long columns)
    {
        (long r, long c) = form % 2 == 0 ? (rows, columns) : (columns, rows);
        return form / 2 == 0 ? [batch, r, c] : [r, batch, c];
    }

    /// <summary>Matrices with a strong diagonal.</summary>
    private static Tensor Regular(long[] dims)
    {
        float[] values = F(dims, -0.5f, 0.5f).ToFloats();
        long n = dims[^1];
        for (int i = 0; i < values.Length; i++) if (i / n % n == i % n) values[i] += 1.5f;
        return Tensor.From<float>("x", values, dims);
    }
}
