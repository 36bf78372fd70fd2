using Lift.Ort.Artifacts;
using Lift.Ort.Devices;
using Lift.Ort.Onnx;

namespace Lift.Ort.Sessions;

/// <summary>
/// A trainable weight of a session: its memory is the model's, so that changing it changes the next step. The memory is 64-byte aligned and
/// keeps its address as long as the session lives.
/// </summary>
public sealed unsafe class SessionWeight : IDisposable
{
    internal SessionWeight(WeightRecord record, Tensor value, IDevice device) : this(record, value, device.Allocate<byte>(value.ByteLength)) { }

    /// <param name="memory">Where it is to lie; this object gives it back.</param>
    internal SessionWeight(WeightRecord record, Tensor value, DeviceBuffer<byte> memory)
    {
        (Name, Layer, Dims, Type) = (record.Name, record.Layer, value.Dims, value.Type);
        Memory = memory;
        CopyFrom(value);
        value.Forget(); // the copy takes its place
    }

    public string Name { get; }

    /// <summary>The layer that the weight belongs to, also where the exporter gave the weight a made-up name.</summary>
    public string Layer { get; }

    /// <summary>Dimensions as stored in the model; positions count row-major over them.</summary>
    public long[] Dims { get; }

    /// <summary>Stored type: float32, or a 16-bit float.</summary>
    public ElementType Type { get; }

    public long Count => Dims.Aggregate(1L, (n, d) => n * d);

    /// <summary>The weight's bytes on the device.</summary>
    public DeviceBuffer<byte> Memory { get; }

    /// <summary>The weight where it lies: its <c>Data</c> is an address on the device, for kernels; only on the CPU may it be followed. <see cref="ToTensor"/> copies it to the host.</summary>
    public Tensor Value => new(Name, Type, Dims, (byte*)Memory.Pointer, Memory);

    /// <summary>Overwrites the weight.</summary>
    /// <exception cref="ArgumentException">Type or dimensions differ.</exception>
    public void CopyFrom(Tensor value)
    {
        if (value.Type != Type || !value.Dims.SequenceEqual(Dims)) throw new ArgumentException($"'{Name}' is {Type}[{string.Join(", ", Dims)}], not {value.TensorType}");
        const int Piece = 1 << 28;
        for (long at = 0; at < value.ByteLength; at += Piece)
            Memory.CopyFrom(new ReadOnlySpan<byte>(value.Data + at, (int)Math.Min(Piece, value.ByteLength - at)), at);
        GC.KeepAlive(value);
    }

    /// <summary>A copy of the weight in host memory.</summary>
    public Tensor ToTensor()
    {
        Tensor copy = Tensor.Empty(Name, Type, Dims);
        const int Piece = 1 << 28;
        for (long at = 0; at < copy.ByteLength; at += Piece)
            Memory.CopyTo(new Span<byte>(copy.Data + at, (int)Math.Min(Piece, copy.ByteLength - at)), at);
        return copy;
    }

    public void Dispose() => Memory.Dispose();
}

/// <summary>
/// Where a trained weight's gradient lies in the session's contiguous vector, <see cref="Offset"/> to <see cref="Offset"/> + <see cref="Count"/>:
/// entry i belongs to position <c>Positions[i]</c>, or to position i where <see cref="Positions"/> is null (the whole weight).
/// </summary>
public sealed record GradientSlice(SessionWeight Weight, long Offset, long Count, DeviceBuffer<int>? Positions);
