using Lift.Ort.Sparse;

namespace Lift.Ort.Tests.Sparse;

[TestClass]
public sealed class BudgetTests
{
    [TestMethod]
    [DataRow(4, new long[] { 64, 64 }, 512)]
    [DataRow(32, new long[] { 48, 48 }, 48 * 48)]
    [DataRow(0, new long[] { 10, 20 }, 200)]
    [DataRow(1, new long[] { 8, 3, 2, 2 }, 20)]
    [DataRow(1, new long[] { 7 }, 7)]
    [DataRow(128, new long[] { 100_000, 100_000 }, 25_600_000)]
    public void Rank_matched(int rank, long[] dims, long expected) => Assert.AreEqual(expected, Budget.RankMatched(rank).For(dims));

    [TestMethod]
    [DataRow(0.05, new long[] { 2048, 2048 }, 209_715)]
    [DataRow(0.05, new long[] { 4 }, 1)]
    [DataRow(1.0, new long[] { 3, 5 }, 15)]
    [DataRow(0.5, new long[] { 3 }, 2)]
    [DataRow(0.05, new long[] { 70_000, 70_000 }, 245_000_000)]
    public void Density(double density, long[] dims, long expected) => Assert.AreEqual(expected, Budget.Density(density).For(dims));

    [TestMethod]
    public void Senseless_budgets_are_named()
    {
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => Budget.RankMatched(-1)).Message, "-1");
        foreach (double density in new[] { 0, -0.1, 1.1, double.NaN }) Assert.ThrowsExactly<LiftException>(() => Budget.Density(density));
        Assert.AreEqual("rank 4", Budget.RankMatched(4).ToString());
        Assert.AreEqual("density 0.05", Budget.Density(0.05).ToString());
    }

    [TestMethod]
    public void Masks_know_their_overlap()
    {
        Mask a = new("w", [10], [1, 2, 3, 9]), b = new("w", [10], [2, 3, 4]), full = new("w", [10], null);
        Assert.AreEqual(2, a.Common(b));
        Assert.AreEqual(0.4, a.Overlap(b));
        Assert.AreEqual(0.4, full.Overlap(a));
        Assert.AreEqual(0.4, a.Overlap(full));
        Assert.AreEqual(1, full.Overlap(full));
        Assert.IsTrue((full with { Positions = full.ToPositions() }).Normalized().IsFull);
        Assert.IsFalse(a.Normalized().IsFull);
    }

    [TestMethod]
    [DataRow(new[] { 1, 1 })]
    [DataRow(new[] { 2, 1 })]
    [DataRow(new[] { -1 })]
    [DataRow(new[] { 10 })]
    public void Unsound_masks_are_named(int[] positions) =>
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => new Mask("w", [2, 5], positions).Check()).Message, "'w'");
}
