using System.Runtime.CompilerServices;

namespace Lift.Ort.Onnx;

/// <summary>float16 and bfloat16 bit patterns to and from float32.</summary>
internal static unsafe class HalfPrecision
{
    /// <summary>Rounds to nearest even; NaN stays NaN.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ushort Round(float value, ElementType type)
    {
        if (type == ElementType.Float16) return BitConverter.HalfToUInt16Bits((Half)value);
        uint bits = BitConverter.SingleToUInt32Bits(value);
        return float.IsNaN(value) ? (ushort)((bits >> 16) | 0x40) : (ushort)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Widen(ushort bits, ElementType type) =>
        type == ElementType.Float16 ? (float)BitConverter.UInt16BitsToHalf(bits) : BitConverter.UInt32BitsToSingle((uint)bits << 16);

    /// <summary>Entry <paramref name="index"/> of a float32, float16 or bfloat16 weight.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Entry(byte* data, ElementType type, long index) =>
        type == ElementType.Float ? ((float*)data)[index] : Widen(((ushort*)data)[index], type);

    /// <summary>Writes a float32 value as entry <paramref name="index"/> of a weight, rounded to its type.</summary>
    public static void Set(byte* data, ElementType type, long index, float value)
    {
        if (type == ElementType.Float) ((float*)data)[index] = value;
        else ((ushort*)data)[index] = Round(value, type);
    }
}
