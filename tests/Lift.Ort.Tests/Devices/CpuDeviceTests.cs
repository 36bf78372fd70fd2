using Lift.Ort.Devices;
using Lift.Ort.Devices.Cpu;
using Microsoft.ML.OnnxRuntime;

namespace Lift.Ort.Tests.Devices;

[TestClass]
public sealed class CpuDeviceTests
{
    [TestMethod]
    [DataRow("cpu")]
    [DataRow("cpu:0")]
    public void Device_is_opened_by_name(string name)
    {
        using IDevice device = Device.Open(name);
        Assert.AreEqual("cpu", device.Name);
    }

    [TestMethod]
    [DataRow("tpu")]
    [DataRow("cpu:first")]
    [DataRow("cpu:0:0")]
    [DataRow("")]
    public void Other_names_are_refused_with_those_that_exist(string name) =>
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => Device.Open(name)).Message, "cpu");

    [TestMethod]
    public void Memory_is_zeroed_aligned_and_copied_by_offset()
    {
        using IDevice device = Device.Open();
        using DeviceBuffer<int> buffer = device.Allocate<int>(1001);
        var read = new int[3];
        buffer.CopyTo(read, 998);
        CollectionAssert.AreEqual(new int[3], read);
        Assert.AreEqual(0, buffer.Pointer % 64);
        buffer.CopyFrom([7, 8], 999);
        buffer.CopyTo(read, 998);
        CollectionAssert.AreEqual(new[] { 0, 7, 8 }, read);
        Assert.AreEqual(8, ((CpuBuffer<int>)buffer).Span[1000]);
        Assert.ThrowsExactly<ArgumentException>(() => buffer.CopyFrom([1, 2], 1000));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => buffer.CopyTo(new int[2], 1000));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => buffer.CopyFrom([1], -1));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => buffer.CopyFrom([1], 1002));
    }

    [TestMethod]
    public void Kernels_run_and_sessions_get_the_settings()
    {
        var device = new CpuDevice { Threads = 3 };
        using var options = new SessionOptions();
        device.AddTo(options);
        Assert.AreEqual(3, options.IntraOpNumThreads);
        Assert.IsFalse(options.EnableMemoryPattern);
        var seen = new string[1];
        device.Run(new NameKernel(seen));
        Assert.AreEqual("cpu", seen[0]);
    }

    private readonly record struct NameKernel(string[] Seen) : IKernel
    {
        public void Run(CpuDevice device) => Seen[0] = device.Name;

        public void Run(Ort.Devices.Cuda.CudaDevice device) => Seen[0] = device.Name;
    }
}
