using Lift.Ort.Devices.Cpu;
using Lift.Ort.Onnx;
using Lift.Ort.Sparse;

namespace Lift.Ort.Tests.Sparse;

[TestClass]
public sealed class MomentsTests
{
    private static readonly CpuDevice device = new();

    [TestMethod]
    public void Kept_entries_keep_their_state_and_new_ones_start_from_zero()
    {
        Tensor[] weights = [Tensor.From<float>("a", new float[10], 2, 5), Tensor.From<float>("b", new float[6], 6), Half("h", [1, 2, 3, 4])];
        Mask[] old = [new("a", [2, 5], [1, 4, 7]), new("b", [6], null), new("h", [4], [0, 2])], next = [new("a", [2, 5], [0, 4, 7, 9]), new("b", [6], [2, 5]), new("h", [4], [2, 3])];
        using var moments = Moments.Zero(device, weights, old);
        moments.First.CopyFrom([1f, 2, 3, 10, 11, 12, 13, 14, 15, 20, 21]);
        moments.Second.CopyFrom([-1f, -2, -3, -10, -11, -12, -13, -14, -15, -20, -21]);
        moments.Master!.CopyFrom([1.25f, 3.25f]);

        using Moments after = moments.CarryOver(next);

        CollectionAssert.AreEqual(new float[] { 0, 2, 3, 0, 12, 15, 21, 0 }, after.First.ToArray());
        CollectionAssert.AreEqual(new float[] { 0, -2, -3, 0, -12, -15, -21, 0 }, after.Second.ToArray());
        CollectionAssert.AreEqual(new float[] { 3.25f, 4 }, after.Master!.ToArray());
        using Moments back = after.CarryOver(old);
        CollectionAssert.AreEqual(new float[] { 0, 2, 3, 0, 0, 12, 0, 0, 15, 0, 21 }, back.First.ToArray());
    }

    [TestMethod]
    public void Saved_moments_come_back_and_others_are_refused()
    {
        Tensor[] weights = [Tensor.From<float>("a", new float[10], 10), Half("h", [1, 2])];
        Mask[] masks = [new("a", [10], [3, 4]), new("h", [2], null)];
        using Moments moments = Moments.Restore(device, weights, masks, [1, 2, 3, 4], [5, 6, 7, 8], [9, 10]);
        CollectionAssert.AreEqual(new float[] { 1, 2, 3, 4 }, moments.First.ToArray());
        CollectionAssert.AreEqual(new float[] { 5, 6, 7, 8 }, moments.Second.ToArray());
        CollectionAssert.AreEqual(new float[] { 9, 10 }, moments.Master!.ToArray());
        Assert.ThrowsExactly<LiftException>(() => Moments.Restore(device, weights, masks, [1, 2, 3], [5, 6, 7, 8], [9, 10]));
        Assert.ThrowsExactly<LiftException>(() => Moments.Restore(device, weights, masks, [1, 2, 3, 4], [5, 6, 7, 8], []));
        Assert.ThrowsExactly<ArgumentException>(() => Moments.Zero(device, weights, [masks[1], masks[0]]));
        Assert.ThrowsExactly<ArgumentException>(() => Moments.Zero(device, weights, [masks[0]]));
    }

    [TestMethod]
    public void A_restored_optimizer_goes_on_as_if_never_stopped()
    {
        Mask[] masks = [new("w", [50], [.. Enumerable.Range(5, 20)])];
        float[] Run(int stopAfter)
        {
            Tensor weight = Tensor.From<float>("w", Numbers.Normal(50, 1), 50);
            var optimizer = new Optimizer(device, [weight]);
            optimizer.SetMasks(masks);
            using var gradient = new CpuBuffer<float>(20);
            for (int t = 0; t < 5; t++)
            {
                if (t == stopAfter)
                {
                    float[] first = optimizer.Moments.First.ToArray(), second = optimizer.Moments.Second.ToArray();
                    optimizer.Dispose();
                    optimizer = new Optimizer(device, [weight]);
                    optimizer.Restore(Moments.Restore(device, [weight], masks, first, second, []), stopAfter);
                }
                gradient.CopyFrom(Numbers.Normal(20, t));
                optimizer.Step(gradient, 0.1);
            }
            Assert.AreEqual(5, optimizer.Steps);
            optimizer.Dispose();
            return weight.AsSpan<float>().ToArray();
        }
        CollectionAssert.AreEqual(Run(-1), Run(3));
    }

    private static Tensor Half(string name, float[] values) => Tensor.From<Half>(name, Array.ConvertAll(values, v => (Half)v), values.Length);
}
