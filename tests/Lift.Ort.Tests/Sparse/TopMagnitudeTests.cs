using Lift.Ort.Devices.Cpu;
using Lift.Ort.Sparse;

namespace Lift.Ort.Tests.Sparse;

[TestClass]
public sealed unsafe class TopMagnitudeTests
{
    [TestMethod]
    [DataRow(TopOrder.LargestMagnitude)]
    [DataRow(TopOrder.SmallestMagnitude)]
    [DataRow(TopOrder.LargestValue)]
    public void Equals_a_plain_sort(TopOrder order)
    {
        var random = new Random(4);
        foreach (int count in new[] { 1, 2, 7, 16, 33, 1000, 140_001 })
        {
            foreach (float[] x in new[]
            {
                Numbers.Normal(count, count),                                                       // all different
                Array.ConvertAll(Numbers.Normal(count, count + 1), v => MathF.Round(v)),            // many ties, zeros of both signs
                [.. Enumerable.Range(0, count).Select(_ => BitConverter.Int32BitsToSingle(random.Next() % 0x7f800000 ^ (random.Next() << 31)))], // every magnitude
                new float[count],                                                                   // nothing but ties
            })
            {
                foreach (int k in new[] { 1, Math.Max(1, count / 20), Math.Max(1, count / 2), count })
                {
                    int[] expected = Numbers.Top(x.Select(v => Score(v, order)), k);
                    CollectionAssert.AreEqual(expected, Select(new CpuDevice(), x, k, order), $"{order}, {count}, {k}");
                }
            }
        }
    }

    [TestMethod]
    public void Result_does_not_depend_on_the_threads()
    {
        float[] x = Array.ConvertAll(Numbers.Normal(700_000, 1), v => MathF.Round(v * 100));
        int[] one = Select(new CpuDevice { Threads = 1 }, x, 35_000, TopOrder.LargestMagnitude), many = Select(new CpuDevice { Threads = 5 }, x, 35_000, TopOrder.LargestMagnitude);
        CollectionAssert.AreEqual(one, many);
    }

    [TestMethod]
    public void A_budget_outside_the_weight_is_our_fault()
    {
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => Select(new CpuDevice(), [1f, 2f], 3, TopOrder.LargestMagnitude));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => Select(new CpuDevice(), [1f, 2f], 0, TopOrder.LargestMagnitude));
    }

    // Minus zero is just below zero by value, equal to it by magnitude.
    private static double Score(float x, TopOrder order) => order switch
    {
        TopOrder.LargestMagnitude => Math.Abs((double)x),
        TopOrder.SmallestMagnitude => -Math.Abs((double)x),
        _ => x == 0 ? (float.IsNegative(x) ? -1e-300 : 0) : x,
    };

    private static int[] Select(CpuDevice device, float[] x, int k, TopOrder order)
    {
        fixed (float* p = x) return TopMagnitude.Select(device, (nint)p, x.Length, k, order);
    }
}
