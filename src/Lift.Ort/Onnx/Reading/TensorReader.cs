using System.Runtime.InteropServices;

namespace Lift.Ort.Onnx.Reading;

/// <summary>Turns a file's tensor messages into <see cref="Tensor"/>s: mapped where the bytes lie in a file as they are, copied where they are small or typed.</summary>
internal sealed unsafe class TensorReader(MappedFile file, Skeleton skeleton)
{
    private readonly ExternalData external = new(file.Path);

    /// <param name="name">What the graph calls it (a Constant node's output name differs from the tensor's own).</param>
    public Tensor Read(TensorProto proto, string name)
    {
        var (what, type, dims, _, bytes) = Describe(proto, name, $"'{file.Path}'");
        if (proto.DataLocation == TensorProto.Types.DataLocation.External)
        {
            proto.Name = name;
            (MappedFile other, long at) = external.Find(proto, bytes);
            return new Tensor(name, type, dims, other.Data + at, other);
        }
        if (!skeleton.TryFind(proto.RawData.Span, out long offset, out long length)) return Copy(proto, name, $"'{file.Path}'");
        if (length != bytes) throw WrongLength(what, type, dims, bytes, length);
        return new Tensor(name, type, dims, file.Data + offset, file);
    }

    /// <summary>A tensor whose message is complete by itself, as those in subgraphs are after reading.</summary>
    /// <param name="where">What holds it, as errors say it.</param>
    public static Tensor Copy(TensorProto proto, string name, string where)
    {
        var (what, type, dims, count, bytes) = Describe(proto, name, where);
        ReadOnlySpan<byte> raw = proto.RawData.Span;
        if (raw.IsEmpty && bytes > 0) return Typed(proto, name, what, type, dims, count, bytes);
        if (raw.Length != bytes) throw WrongLength(what, type, dims, bytes, raw.Length);
        Tensor tensor = Tensor.Empty(name, type, dims);
        raw.CopyTo(tensor.AsSpan<byte>());
        return tensor;
    }

    private static (string What, ElementType Type, long[] Dims, long Count, long Bytes) Describe(TensorProto proto, string name, string where)
    {
        string what = $"Initializer '{name}' in {where}";
        var type = (ElementType)proto.DataType;
        if (type == ElementType.String) throw new LiftException($"{what} holds strings, which have no place in a graph to be trained.");
        if (type.Bits() == 0) throw new LiftException($"{what} has the unknown element type {proto.DataType}.");
        if (proto.Segment is not null) throw new LiftException($"{what} is stored in segments, a form that no ONNX version has completed.");
        long[] dims = [.. proto.Dims];
        long count = 1, bytes;
        try
        {
            if (dims.Any(d => d < 0)) throw new OverflowException();
            foreach (long d in dims) count = checked(count * d);
            bytes = type.ByteLength(count);
        }
        catch (OverflowException)
        {
            throw new LiftException($"{what} has the impossible dimensions {Shape.Of(dims)}.");
        }
        return (what, type, dims, count, bytes);
    }

    /// <summary>The typed fields: each 16-bit, 8-bit and bool element is one int32 of int32_data, 4-bit elements lie two to an int32.</summary>
    private static Tensor Typed(TensorProto proto, string name, string what, ElementType type, long[] dims, long count, long bytes)
    {
        (long stored, long wanted) = type switch
        {
            ElementType.Float or ElementType.Complex64 => ((long)proto.FloatData.Count, bytes / 4),
            ElementType.Double or ElementType.Complex128 => (proto.DoubleData.Count, bytes / 8),
            ElementType.Int64 => (proto.Int64Data.Count, count),
            ElementType.UInt64 or ElementType.UInt32 => (proto.Uint64Data.Count, count),
            _ => (proto.Int32Data.Count, type.Bits() < 8 ? bytes : count),
        };
        if (stored != wanted) throw new LiftException($"{what} is {type.ToString().ToLowerInvariant()}{Shape.Of(dims)}, {wanted} values, but the file holds {stored}.");
        Tensor tensor = Tensor.Empty(name, type, dims);
        switch (type)
        {
            case ElementType.Float or ElementType.Complex64: Fill<float>(tensor, i => proto.FloatData[i]); break;
            case ElementType.Double or ElementType.Complex128: Fill<double>(tensor, i => proto.DoubleData[i]); break;
            case ElementType.Int64: Fill<long>(tensor, i => proto.Int64Data[i]); break;
            case ElementType.UInt64: Fill<ulong>(tensor, i => proto.Uint64Data[i]); break;
            case ElementType.UInt32: Fill<uint>(tensor, i => (uint)proto.Uint64Data[i]); break;
            case ElementType.Int32: Fill<int>(tensor, i => proto.Int32Data[i]); break;
            case var t when t.Bits() == 16: Fill<ushort>(tensor, i => (ushort)proto.Int32Data[i]); break;
            default: Fill<byte>(tensor, i => (byte)proto.Int32Data[i]); break;
        }
        return tensor;
    }

    private static void Fill<T>(Tensor tensor, Func<int, T> value) where T : unmanaged
    {
        Span<T> span = MemoryMarshal.Cast<byte, T>(tensor.AsSpan<byte>());
        for (int i = 0; i < span.Length; i++) span[i] = value(i);
    }

    private static LiftException WrongLength(string what, ElementType type, long[] dims, long expected, long actual) =>
        new($"{what} is {type.ToString().ToLowerInvariant()}{Shape.Of(dims)}, which takes {expected} bytes, but the file holds {actual}.");
}
