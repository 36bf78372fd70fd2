using System.Runtime.CompilerServices;

namespace Lift.Ort.Onnx;

/// <summary>
/// A named constant of a model: element type, dimensions and the bytes, little-endian and row-major, wherever they lie
/// (in a memory-mapped file, or in memory of our own). Copying a Tensor copies no bytes.
/// </summary>
public sealed unsafe class Tensor
{
    private readonly object owner; // keeps the memory behind Data alive
    private readonly byte* data;

    /// <param name="owner">The object whose life keeps <paramref name="data"/> valid: a <see cref="NativeBuffer"/>, a mapped file.</param>
    public Tensor(string name, ElementType type, long[] dims, byte* data, object owner)
    {
        (Name, Type, Dims, this.owner) = (name, type, dims, owner);
        this.data = data;
        Count = dims.Aggregate(1L, (n, d) => checked(n * d));
        ByteLength = type.ByteLength(Count);
    }

    public string Name { get; }

    public ElementType Type { get; }

    public long[] Dims { get; }

    /// <summary>Number of elements (1 for a scalar).</summary>
    public long Count { get; }

    public long ByteLength { get; }

    /// <summary>Address of the first byte; valid while this object is reachable. Not necessarily aligned.</summary>
    public byte* Data => owner is DeferredBuffer deferred ? deferred.Data : data;

    public TensorType TensorType => new(Type, Shape.Of(Dims));

    /// <summary>The elements, where they lie. For tensors below 2³¹ elements.</summary>
    /// <exception cref="InvalidOperationException"><typeparamref name="T"/> is not this tensor's element type (raw bytes and 16-bit patterns as ushort are allowed).</exception>
    public Span<T> AsSpan<T>() where T : unmanaged
    {
        bool fits = Unsafe.SizeOf<T>() * 8 == Type.Bits() || typeof(T) == typeof(byte);
        if (!fits) throw new InvalidOperationException($"'{Name}' holds {Type}, not {typeof(T).Name}");
        return new Span<T>(Data, checked((int)(ByteLength / Unsafe.SizeOf<T>())));
    }

    /// <summary>Makes a tensor with memory of its own that holds a copy of <paramref name="values"/>.</summary>
    public static Tensor From<T>(string name, ReadOnlySpan<T> values, params ReadOnlySpan<long> dims) where T : unmanaged
    {
        Tensor tensor = Empty(name, ElementTypes.Of<T>(), dims.ToArray());
        if (tensor.Count != values.Length) throw new ArgumentException($"'{name}': {values.Length} values for {Shape.Of(tensor.Dims)}");
        values.CopyTo(tensor.AsSpan<T>());
        return tensor;
    }

    public static Tensor Scalar<T>(string name, T value) where T : unmanaged => From(name, [value]);

    /// <summary>Makes a zeroed tensor with memory of its own.</summary>
    public static Tensor Empty(string name, ElementType type, long[] dims)
    {
        var buffer = new NativeBuffer(type.ByteLength(dims.Aggregate(1L, (n, d) => checked(n * d))));
        return new Tensor(name, type, dims, buffer.Data, buffer);
    }

    /// <summary>A tensor whose bytes are made when they are first read, and again where they were forgotten meanwhile.</summary>
    internal static Tensor Deferred(string name, ElementType type, long[] dims, Func<NativeBuffer> make) => new(name, type, dims, null, new DeferredBuffer(make));

    public Tensor Rename(string name) => new(name, Type, Dims, data, owner);

    /// <summary>The same bytes seen with other dimensions of equal count.</summary>
    public Tensor Reshape(params long[] dims) => new(Name, Type, dims, data, owner);

    /// <summary>A copy in memory of its own (64-byte aligned), free to be written.</summary>
    public Tensor Copy()
    {
        var buffer = new NativeBuffer(ByteLength, zeroed: false);
        Buffer.MemoryCopy(Data, buffer.Data, ByteLength, ByteLength);
        GC.KeepAlive(owner);
        return new Tensor(Name, Type, Dims, buffer.Data, buffer);
    }

    /// <summary>Gives back the memory that reading this tensor took, where its bytes lie in a mapped file or can be made again.</summary>
    internal void Forget()
    {
        if (owner is Reading.MappedFile file) file.Forget(data, ByteLength);
        else (owner as DeferredBuffer)?.Forget();
    }

    /// <summary>All elements as float32 (float, double, float16, bfloat16, integers and bool), in new memory.</summary>
    public float[] ToFloats()
    {
        var result = new float[Count];
        for (long i = 0; i < Count; i++)
        {
            result[i] = Type switch
            {
                ElementType.Float => ((float*)Data)[i],
                ElementType.Double => (float)((double*)Data)[i],
                ElementType.Float16 => (float)((Half*)Data)[i],
                ElementType.BFloat16 => BitConverter.UInt32BitsToSingle((uint)((ushort*)Data)[i] << 16),
                ElementType.Int64 => ((long*)Data)[i],
                ElementType.Int32 => ((int*)Data)[i],
                ElementType.UInt8 or ElementType.Bool => Data[i],
                ElementType.Int8 => ((sbyte*)Data)[i],
                ElementType.UInt16 => ((ushort*)Data)[i],
                ElementType.Int16 => ((short*)Data)[i],
                ElementType.UInt32 => ((uint*)Data)[i],
                ElementType.UInt64 => ((ulong*)Data)[i],
                _ => throw new LiftException($"'{Name}' holds {Type}, which has no float32 form."),
            };
        }
        GC.KeepAlive(owner);
        return result;
    }

    /// <summary>All elements of an int64 or int32 tensor.</summary>
    public long[] ToLongs() => Type == ElementType.Int32
        ? Array.ConvertAll(AsSpan<int>().ToArray(), v => (long)v)
        : AsSpan<long>().ToArray();

    public override string ToString() => $"{Name} {TensorType}";
}
