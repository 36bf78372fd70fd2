using Lift.Ort.Onnx;
using Lift.Ort.Onnx.Inference;

namespace Lift.Ort.Tests.Onnx;

[TestClass]
public sealed class DimMathTests
{
    private static readonly Dim batch = "batch", sequence = "sequence", past = "past";

    [TestMethod]
    public void Equal_expressions_have_equal_text()
    {
        Assert.AreEqual("batch*sequence", DimMath.Mul(sequence, batch).ToString());
        Assert.AreEqual(DimMath.Mul(batch, DimMath.Add(past, sequence)), DimMath.Add(DimMath.Mul(sequence, batch), DimMath.Mul(batch, past)));
        Assert.AreEqual("2*sequence - 1", DimMath.Sub(DimMath.Add(sequence, sequence), 1).ToString());
        Assert.AreEqual(sequence, DimMath.Sub(DimMath.Add(past, sequence), past));
        Assert.AreEqual((Dim)0, DimMath.Sub(sequence, sequence));
        Assert.AreEqual(DimMath.Add(1, past), DimMath.Canonical("past + 1"), "an exporter's expression is that expression");
        Assert.AreEqual((Dim)"a b (c)", DimMath.Canonical("a b (c)"), "and a strange name is a name");
        Assert.AreEqual(DimMath.Mul("a b*c", 2), DimMath.Mul(2, "a b*c"));
        Assert.AreEqual(DimMath.Mul(2, DimMath.Mul("x y", 3)), DimMath.Mul(6, "x y"));
    }

    [TestMethod]
    public void Division_is_exact_or_a_name_of_its_own()
    {
        Dim all = DimMath.Product([batch, DimMath.Add(past, sequence), 64]);
        Assert.AreEqual(DimMath.Mul(batch, 64), DimMath.Quotient(all, DimMath.Add(past, sequence)));
        Assert.AreEqual(Dim.Unknown, DimMath.Quotient(all, 7));
        Assert.AreEqual(Dim.Unknown, DimMath.Quotient(all, 0));
        Assert.AreEqual((Dim)3, DimMath.Floor(7, 2));
        Assert.AreEqual(DimMath.Floor(sequence, 2), DimMath.Floor(DimMath.Add(sequence, 0), 2));
        Assert.AreNotEqual(DimMath.Floor(sequence, 2), DimMath.Floor(DimMath.Add(sequence, 1), 2));
        Assert.AreEqual(Dim.Unknown, DimMath.Floor(DimMath.Sub(sequence, 1), 2), "the sign of sequence − 1 is not known");
    }

    [TestMethod]
    public void Comparisons_are_certain_or_open()
    {
        Assert.IsTrue(DimMath.AreEqual(DimMath.Mul(batch, 2), DimMath.Add(batch, batch)));
        Assert.IsFalse(DimMath.AreEqual(batch, -1));
        Assert.IsFalse(DimMath.AreEqual(batch, DimMath.Add(batch, 3)));
        Assert.IsNull(DimMath.AreEqual(batch, sequence));
        Assert.IsNull(DimMath.AreEqual(batch, 1));
        Assert.IsTrue(DimMath.IsLess(batch, DimMath.Add(batch, 1)));
        Assert.IsFalse(DimMath.IsLess(DimMath.Add(batch, past), past));
        Assert.IsNull(DimMath.IsLess(past, batch));
    }

    [TestMethod]
    public void Broadcasting_needs_no_certainty_where_a_failing_run_would_tell()
    {
        Assert.AreEqual(batch, DimMath.Broadcast(batch, 1));
        Assert.AreEqual((Dim)8, DimMath.Broadcast(batch, 8));
        Assert.AreEqual(Dim.Unknown, DimMath.Broadcast(batch, sequence));
        Dim cut = DimMath.Min(1024, sequence);
        Assert.AreEqual(cut, DimMath.Min(sequence, 1024));
        Assert.AreEqual(sequence, DimMath.Broadcast(sequence, cut), "a table of 1024 rows cut to the sequence");
        Assert.AreEqual(sequence, DimMath.Broadcast(cut, sequence));
        Assert.AreEqual(Dim.Unknown, DimMath.Broadcast(batch, cut));
    }

    [TestMethod]
    public void Overflow_and_overgrowth_are_unknown()
    {
        Assert.AreEqual(Dim.Unknown, DimMath.Mul(long.MaxValue, 3));
        Dim sum = 0;
        for (int i = 0; i < 40; i++) sum = DimMath.Add(sum, $"a{i}");
        Assert.AreEqual(Dim.Unknown, sum);
    }
}
