using Lift.Ort.Devices;
using Lift.Ort.Devices.Cuda;
using Lift.Ort.Onnx;

namespace Lift.Ort.Tests.Devices.Cuda;

/// <summary>One copy on the device for all who read the same thing.</summary>
[TestClass]
public sealed class SharedCopiesTests
{
    [TestMethod, DataRow("simulated"), DataRow("cuda:0")]
    public void An_array_and_a_tensor_lie_once(string name)
    {
        using IDevice device = TestDevice.Open(name);
        int[] values = [3, 1, 4], equal = [3, 1, 4];
        DeviceBuffer<int> first = device.Share(values), second = device.Share(values), other = device.Share(equal);
        Assert.AreEqual(first.Pointer, second.Pointer);
        Assert.AreNotEqual(first.Pointer, other.Pointer, "another array, though equal");
        CollectionAssert.AreEqual(values, second.Get());
        first.Dispose();
        first.Dispose();
        CollectionAssert.AreEqual(values, second.Get(), "the other user still reads it");
        Assert.ThrowsExactly<ObjectDisposedException>(() => first.Pointer);
        Assert.ThrowsExactly<NotSupportedException>(() => second.CopyFrom([1]));
        second.Dispose();
        values[0] = 7;
        using (DeviceBuffer<int> again = device.Share(values)) CollectionAssert.AreEqual(values, again.Get(), "made anew after the last user");
        other.Dispose();

        Tensor tensor = Tensor.From<float>("t", [1, 2], 2);
        using DeviceBuffer<byte> a = device.Share(tensor), b = device.Share(tensor);
        Assert.AreEqual(a.Pointer, b.Pointer);
    }

    [TestMethod, DataRow("simulated"), DataRow("cuda:0")]
    public void A_buffer_can_be_the_copy_already(string name)
    {
        using IDevice device = TestDevice.Open(name);
        int[] values = [1, 2, 3];
        DeviceBuffer<int> there = device.Put(values);
        nint address = there.Pointer;
        device.Adopt(values, there);
        using DeviceBuffer<int> shared = device.Share(values);
        Assert.AreEqual(address, shared.Pointer);
        CollectionAssert.AreEqual(values, shared.Get());
    }

    [TestMethod]
    public void Memory_goes_with_the_last_user()
    {
        using CudaDevice device = SimulatedGpu.Open();
        long[] values = new long[1 << 17];
        device.Share(values).Dispose();
        long free = device.Memory.Free;
        DeviceBuffer<long> first = device.Share(values), second = device.Share(values);
        Assert.AreEqual(free - (1 << 20), device.Memory.Free);
        first.Dispose();
        Assert.AreEqual(free - (1 << 20), device.Memory.Free);
        second.Dispose();
        Assert.AreEqual(free, device.Memory.Free);
    }

    [TestMethod]
    public void Small_copies_to_the_device_wait_for_nothing()
    {
        using CudaDevice device = SimulatedGpu.Open();
        using DeviceBuffer<int> buffer = device.Allocate<int>(1 << 16);
        var random = new Random(1);
        int[] expected = new int[buffer.Length];
        buffer.CopyFrom(expected);
        GpuCalls before = SimulatedGpu.Calls;
        for (int i = 0; i < 300; i++)
        {
            int at = random.Next(expected.Length - 100);
            int[] some = [.. Enumerable.Range(0, random.Next(1, 100)).Select(_ => random.Next())];
            some.CopyTo(expected, at);
            buffer.CopyFrom(some, at);
        }
        Assert.AreEqual((0, 300), ((SimulatedGpu.Calls - before).Waits, (SimulatedGpu.Calls - before).ToDevice));
        CollectionAssert.AreEqual(expected, buffer.Get());
    }
}
