using Lift.Ort.Onnx;

namespace Lift.Ort.Devices;

/// <summary>Tensors on devices.</summary>
public static unsafe class DeviceTensors
{
    /// <summary>The tensor as kernels of this device see it: its <c>Data</c> is an address in the device's memory, where the bytes lie already or were copied to.</summary>
    public static Tensor Place(this IDevice device, Tensor tensor)
    {
        DeviceBuffer<byte> buffer = device.Share(tensor);
        return new Tensor(tensor.Name, tensor.Type, tensor.Dims, (byte*)buffer.Pointer, new Owners(buffer, tensor));
    }

    /// <summary>What keeps the memory alive.</summary>
    private sealed record Owners(DeviceBuffer<byte> Buffer, Tensor Source);
}
