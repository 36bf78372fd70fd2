using Lift.Ort.Devices.Cpu;
using Lift.Ort.Onnx;
using Lift.Ort.Sparse;

namespace Lift.Ort.Tests.Sparse;

[TestClass]
public sealed unsafe class LowRankTests
{
    [TestMethod]
    [DataRow(48, 48, 5)]
    [DataRow(40, 100, 12)]
    [DataRow(100, 40, 39)]
    [DataRow(2, 300, 1)]
    public void Small_weights_are_exact(int rows, int columns, int rank)
    {
        float[] w = Numbers.Normal(rows * columns, 1);
        var (a, result) = Approximate(w, rows, columns, rank);
        Assert.AreEqual(0, result.Bound);
        Assert.IsLessThan(2e-6, Numbers.RelativeError(Numbers.Oracle(w, rows, columns, rank), a));
    }

    [TestMethod]
    [DataRow(512, 512, "power-law")]
    [DataRow(512, 512, "flat")]
    [DataRow(320, 700, "power-law")]
    [DataRow(700, 320, "flat")]
    public void Iteration_finds_the_exact_mask_and_its_bound_holds(int rows, int columns, string spectrum)
    {
        const int Rank = 64;
        float[] w = spectrum == "flat" ? Numbers.Normal(rows * columns, 2, 0.02) : Numbers.WithSpectrum(rows, columns, 3, Numbers.PowerLaw);
        var (exact, _) = Approximate(w, rows, columns, Rank, new LowRankOptions { Exact = true });
        var (a, result) = Approximate(w, rows, columns, Rank);

        Assert.IsGreaterThan(0, result.Outers);
        Assert.IsLessThanOrEqualTo(new LowRankOptions().Tolerance, result.Bound);
        Assert.IsLessThanOrEqualTo(result.Bound, Numbers.RelativeError(exact, a));
        Assert.IsGreaterThan(0.99, Overlap(exact, a, rows * columns / 20));
    }

    [TestMethod]
    public void Exact_option_agrees_with_a_singular_value_decomposition_that_is_not_ours()
    {
        float[] w = Numbers.WithSpectrum(300, 270, 5, Numbers.PowerLaw);
        var (exact, _) = Approximate(w, 300, 270, 50, new LowRankOptions { Exact = true });
        Assert.IsLessThan(2e-6, Numbers.RelativeError(Numbers.Oracle(w, 300, 270, 50), exact));
    }

    [TestMethod]
    public void Warm_start_needs_less_and_finds_the_new_mask()
    {
        const int Side = 512, Rank = 64, K = Side * Side / 20;
        float[] w = Numbers.Normal(Side * Side, 2, 0.02);
        using var lowRank = new LowRank(new CpuDevice(), new LowRankOptions());
        Tensor? basis = null;
        var (a, cold) = Approximate(lowRank, w, Side, Side, Rank, ref basis);
        var random = new Random(1);
        foreach (int p in Numbers.Top(a.Select(x => Math.Abs((double)x)), K)) w[p] += random.Next(2) == 0 ? 0.001f : -0.001f;

        var (after, warm) = Approximate(lowRank, w, Side, Side, Rank, ref basis);

        Assert.IsLessThan(cold.Products, warm.Products);
        var (exact, _) = Approximate(w, Side, Side, Rank, new LowRankOptions { Exact = true });
        Assert.IsGreaterThan(0.99, Overlap(exact, after, K));
    }

    [TestMethod]
    public void Same_seed_gives_the_same_bits()
    {
        float[] w = Numbers.Normal(300 * 300, 2);
        CollectionAssert.AreEqual(Approximate(w, 300, 300, 20).A, Approximate(w, 300, 300, 20).A);
    }

    [TestMethod]
    public void Deficient_rank_is_found_exactly()
    {
        float[] w = Numbers.WithSpectrum(400, 300, 7, i => i < 10 ? 1 : 0);
        foreach (int rank in new[] { 10, 20, 60 })
        {
            var (a, result) = Approximate(w, 400, 300, rank);
            Assert.IsLessThan(1e-4, Numbers.RelativeError(w, a), $"rank {rank}, bound {result.Bound}, outers {result.Outers}");
        }
    }

    [TestMethod]
    public void Weights_that_need_no_cut_are_themselves()
    {
        float[] w = Numbers.Normal(20 * 30, 1);
        CollectionAssert.AreEqual(w, Approximate(w, 20, 30, 20).A);
        CollectionAssert.AreEqual(w, Approximate(w, 1, 600, 1).A);
        CollectionAssert.AreEqual(new float[900], Approximate(new float[900], 30, 30, 3).A);
    }

    [TestMethod]
    [DataRow(1e-25f)]
    [DataRow(1e25f)]
    public void Scale_does_not_move_the_selection(float scale)
    {
        float[] w = Numbers.Normal(64 * 64, 1), scaled = Array.ConvertAll(w, x => x * scale);
        Assert.AreEqual(1, Overlap(Approximate(w, 64, 64, 8).A, Approximate(scaled, 64, 64, 8).A, 200), 0.02);
    }

    [TestMethod]
    [DataRow(float.NaN)]
    [DataRow(float.NegativeInfinity)]
    public void Unsound_numbers_are_named(float bad)
    {
        float[] w = Numbers.Normal(64 * 64, 1);
        w[77] = bad;
        string message = Assert.ThrowsExactly<LiftException>(() => Approximate(w, 64, 64, 8)).Message;
        StringAssert.Contains(message, "'w'");
        StringAssert.Contains(message, "position 77");
    }

    private static double Overlap(float[] x, float[] y, int k)
    {
        int[] Top(float[] a) => Numbers.Top(a.Select(v => Math.Abs((double)v)), k);
        return new Mask("w", [x.Length], Top(x)).Overlap(new Mask("w", [y.Length], Top(y)));
    }

    private static (float[] A, LowRankResult Result) Approximate(float[] w, int rows, int columns, int rank, LowRankOptions? options = null)
    {
        using var lowRank = new LowRank(new CpuDevice(), options ?? new());
        Tensor? basis = null;
        return Approximate(lowRank, w, rows, columns, rank, ref basis);
    }

    private static (float[] A, LowRankResult Result) Approximate(LowRank lowRank, float[] w, int rows, int columns, int rank, ref Tensor? basis)
    {
        fixed (float* p = w)
        {
            LowRankResult result = lowRank.Approximate("w", p, rows, columns, rank, 1, ref basis);
            return (new ReadOnlySpan<float>((float*)result.Data, w.Length).ToArray(), result);
        }
    }
}
