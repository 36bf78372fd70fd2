using Lift.Ort.Devices;

namespace Lift.Ort.Tests.Devices;

/// <summary>Numbers on their way to the host; QueuedStepsTests has them among other work.</summary>
[TestClass]
public sealed class LaterTests
{
    [TestMethod, AllDevices]
    public void Numbers_stay_though_their_place_is_used_again(string name)
    {
        using IDevice device = TestDevice.Open(name);
        using DeviceBuffer<float> buffer = device.Allocate<float>(3);
        buffer.CopyFrom([1, 2, 3]);
        Later<float> first = device.Fetch(buffer);
        CollectionAssert.AreEqual(new float[] { 1, 2, 3 }, first.Wait());
        buffer.CopyFrom([4, 5, 6]);
        Later<float> second = device.Fetch(buffer);
        Assert.IsTrue(first.IsReady, "it was waited for");
        CollectionAssert.AreEqual(new float[] { 4, 5, 6 }, second.Wait());
        Assert.IsTrue(second.IsReady);
        CollectionAssert.AreEqual(new float[] { 1, 2, 3 }, first.Wait());
    }
}
