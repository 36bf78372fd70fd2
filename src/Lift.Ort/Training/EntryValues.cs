using Lift.Ort.Devices;
using Lift.Ort.Onnx;
using Lift.Ort.Sessions;
using Lift.Ort.Sparse;

namespace Lift.Ort.Training;

/// <summary>The entries of a session's weight that a mask names, copied to the host and back; only they travel.</summary>
internal static class EntryValues
{
    /// <summary>One value per position, in the weight's type; the whole weight where the mask is full.</summary>
    public static Tensor Read(IDevice device, SessionWeight weight, Mask mask)
    {
        if (mask.Positions is not { } positions) return weight.ToTensor();
        Tensor values = Tensor.Empty(weight.Name, weight.Type, [positions.Length]);
        using Copy copy = new(device, weight, positions);
        copy.Run(outward: true);
        copy.Entries.CopyTo(values.AsSpan<byte>());
        return values;
    }

    /// <summary>The way back.</summary>
    public static void Write(IDevice device, SessionWeight weight, Mask mask, Tensor values)
    {
        if (mask.Positions is not { } positions)
        {
            weight.CopyFrom(values.Reshape(weight.Dims));
            return;
        }
        using Copy copy = new(device, weight, positions);
        copy.Entries.CopyFrom(values.AsSpan<byte>());
        copy.Run(outward: false);
    }

    /// <summary>The positions and the values of one copy, on the device.</summary>
    private sealed class Copy : IDisposable
    {
        private readonly IDevice device;
        private readonly SessionWeight weight;
        private readonly DeviceBuffer<int> positions;
        private readonly int size;

        public Copy(IDevice device, SessionWeight weight, int[] at)
        {
            (this.device, this.weight, size) = (device, weight, weight.Type.Bits() / 8);
            positions = device.Share(at);
            Entries = device.Allocate<byte>((long)at.Length * size);
        }

        public DeviceBuffer<byte> Entries { get; }

        public void Run(bool outward) => device.Run(new CopyEntries(weight.Memory.Pointer, size, positions, Entries, outward));

        public void Dispose()
        {
            positions.Dispose();
            Entries.Dispose();
        }
    }
}
