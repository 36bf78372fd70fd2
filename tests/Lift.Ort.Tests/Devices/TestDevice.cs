using System.Reflection;
using System.Runtime.InteropServices;
using Lift.Ort.Devices;
using Lift.Ort.Devices.Cpu;
using Lift.Ort.Devices.Cuda;
using Lift.Ort.Onnx;
using Lift.Ort.Tests.Devices.Cuda;

namespace Lift.Ort.Tests.Devices;

/// <summary>Runs a test on every device: "cpu", "simulated" (a GPU's kernels on the CPU) and "cuda:0"; where one is absent, its row is inconclusive and says why.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class AllDevicesAttribute : Attribute, ITestDataSource
{
    public IEnumerable<object?[]> GetData(MethodInfo method) => [["cpu"], ["simulated"], ["cuda:0"]];

    public string? GetDisplayName(MethodInfo method, object?[]? data) => $"{method.Name} ({data?[0]})";
}

/// <summary>Opens devices for tests.</summary>
internal static unsafe class TestDevice
{
    private static readonly Lazy<bool> gpu = new(() =>
    {
        if (!NativeLibrary.TryLoad(OperatingSystem.IsWindows() ? "nvcuda.dll" : "libcuda.so.1", out nint driver)) return false;
        int count = 0;
        bool good = ((delegate* unmanaged<uint, int>)NativeLibrary.GetExport(driver, "cuInit"))(0) == 0
            && ((delegate* unmanaged<int*, int>)NativeLibrary.GetExport(driver, "cuDeviceGetCount"))(&count) == 0;
        return good && count > 0;
    });

    /// <summary>True where a real GPU is.</summary>
    public static bool HasGpu => gpu.Value;

    /// <summary>Opens a device of <see cref="AllDevicesAttribute"/>, with products in full float32.</summary>
    public static IDevice Open(string name)
    {
        if (name == "cpu") return new CpuDevice();
        if (name == "simulated") return SimulatedGpu.Open(new() { Tf32 = false });
        if (!HasGpu) Assert.Inconclusive("there is no NVIDIA GPU here (no driver, or no device)");
        return Device.Open(name, new CudaOptions { Tf32 = false });
    }

    /// <summary>A copy of the tensor on the device, free to be changed.</summary>
    public static Tensor Put(this IDevice device, Tensor tensor)
    {
        DeviceBuffer<byte> buffer = device.Allocate<byte>(tensor.ByteLength);
        buffer.CopyFrom(tensor.AsSpan<byte>());
        return new Tensor(tensor.Name, tensor.Type, tensor.Dims, (byte*)buffer.Pointer, buffer);
    }

    public static DeviceBuffer<T> Put<T>(this IDevice device, params T[] values) where T : unmanaged
    {
        DeviceBuffer<T> buffer = device.Allocate<T>(values.Length);
        buffer.CopyFrom(values);
        return buffer;
    }

    /// <summary>A copy in host memory of what <see cref="Put(IDevice, Tensor)"/> made.</summary>
    public static Tensor Get(this IDevice device, Tensor tensor)
    {
        Tensor copy = Tensor.Empty(tensor.Name, tensor.Type, tensor.Dims);
        if (device is CudaDevice cuda) cuda.Download((nint)tensor.Data, copy.Data, copy.ByteLength);
        else Buffer.MemoryCopy(tensor.Data, copy.Data, copy.ByteLength, copy.ByteLength);
        GC.KeepAlive(tensor);
        return copy;
    }

    public static T[] Get<T>(this DeviceBuffer<T> buffer) where T : unmanaged
    {
        var values = new T[buffer.Length];
        buffer.CopyTo(values);
        return values;
    }
}
