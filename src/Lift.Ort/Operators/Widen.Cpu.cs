using System.Runtime.Intrinsics;
using Lift.Ort.Onnx;

namespace Lift.Ort.Operators;

internal sealed unsafe partial class Widen
{
    public override void Run(CpuContext context)
    {
        CpuTensor x = context.Input(0);
        ushort* from = x.Data<ushort>();
        float* to = context.Output<float>(0, x.Dims);
        bool half = x.Type == ElementType.Float16;
        context.ForEachPart(x.Count, 1, (start, end) => Run(half, from + start, to + start, end - start));
    }

    private static void Run(bool half, ushort* x, float* y, long n)
    {
        long i = 0;
        for (; i <= n - Vector256<ushort>.Count; i += Vector256<ushort>.Count)
        {
            var (low, high) = Vector256.Widen(Vector256.Load(x + i));
            (half ? OfHalf(low) : Vector256.ShiftLeft(low, 16).AsSingle()).Store(y + i);
            (half ? OfHalf(high) : Vector256.ShiftLeft(high, 16).AsSingle()).Store(y + i + Vector256<uint>.Count);
        }
        for (; i < n; i++) y[i] = half ? (float)BitConverter.UInt16BitsToHalf(x[i]) : BitConverter.UInt32BitsToSingle((uint)x[i] << 16);
    }

    /// <summary>
    /// Exponent and fraction, moved to float32's place, are the value times 2⁻¹¹², subnormal numbers included; infinity and NaN keep the largest exponent.
    /// </summary>
    private static Vector256<float> OfHalf(Vector256<uint> bits)
    {
        Vector256<uint> magnitude = Vector256.ShiftLeft(bits & Vector256.Create(0x7fffu), 13), sign = Vector256.ShiftLeft(bits & Vector256.Create(0x8000u), 16);
        Vector256<float> finite = magnitude.AsSingle() * Vector256.Create(BitConverter.UInt32BitsToSingle((254 - 15) << 23));
        Vector256<uint> isSpecial = Vector256.GreaterThanOrEqual(magnitude, Vector256.Create(0x7c00u << 13));
        Vector256<float> value = Vector256.ConditionalSelect(isSpecial.AsSingle(), (magnitude | Vector256.Create(0xffu << 23)).AsSingle(), finite);
        return (value.AsUInt32() | sign).AsSingle();
    }
}
