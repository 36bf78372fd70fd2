namespace Lift.Ort.Onnx;

/// <summary>Names the type of a tensor's elements; the numbers are ONNX's (TensorProto.DataType).</summary>
public enum ElementType
{
    Undefined = 0,
    Float = 1,
    UInt8 = 2,
    Int8 = 3,
    UInt16 = 4,
    Int16 = 5,
    Int32 = 6,
    Int64 = 7,
    String = 8,
    Bool = 9,
    Float16 = 10,
    Double = 11,
    UInt32 = 12,
    UInt64 = 13,
    Complex64 = 14,
    Complex128 = 15,
    BFloat16 = 16,
    Float8E4M3FN = 17,
    Float8E4M3FNUZ = 18,
    Float8E5M2 = 19,
    Float8E5M2FNUZ = 20,
    UInt4 = 21,
    Int4 = 22,
    Float4E2M1 = 23,
}

/// <summary>Answers what code asks of an element type: its size, whether it is a floating-point number, which C# type stands for it.</summary>
public static class ElementTypes
{
    /// <summary>Bits of one element; 0 for strings and undefined.</summary>
    public static int Bits(this ElementType type) => type switch
    {
        ElementType.UInt4 or ElementType.Int4 or ElementType.Float4E2M1 => 4,
        ElementType.UInt8 or ElementType.Int8 or ElementType.Bool => 8,
        ElementType.Float8E4M3FN or ElementType.Float8E4M3FNUZ or ElementType.Float8E5M2 or ElementType.Float8E5M2FNUZ => 8,
        ElementType.UInt16 or ElementType.Int16 or ElementType.Float16 or ElementType.BFloat16 => 16,
        ElementType.Float or ElementType.Int32 or ElementType.UInt32 => 32,
        ElementType.Double or ElementType.Int64 or ElementType.UInt64 or ElementType.Complex64 => 64,
        ElementType.Complex128 => 128,
        _ => 0,
    };

    /// <summary>Bytes that <paramref name="count"/> elements take, 4-bit types packed two to a byte.</summary>
    public static long ByteLength(this ElementType type, long count) => checked((count * type.Bits() + 7) / 8);

    /// <summary>True for the types a gradient can flow through: float, double, float16, bfloat16.</summary>
    public static bool IsFloat(this ElementType type) =>
        type is ElementType.Float or ElementType.Double or ElementType.Float16 or ElementType.BFloat16;

    /// <summary>The ONNX type that a C# type is stored as.</summary>
    /// <exception cref="NotSupportedException">No ONNX type has this C# type.</exception>
    public static ElementType Of<T>() where T : unmanaged => default(T) switch
    {
        float => ElementType.Float,
        double => ElementType.Double,
        long => ElementType.Int64,
        int => ElementType.Int32,
        bool => ElementType.Bool,
        byte => ElementType.UInt8,
        sbyte => ElementType.Int8,
        short => ElementType.Int16,
        ushort => ElementType.UInt16,
        uint => ElementType.UInt32,
        ulong => ElementType.UInt64,
        Half => ElementType.Float16,
        _ => throw new NotSupportedException($"No ONNX element type for {typeof(T)}"),
    };
}
