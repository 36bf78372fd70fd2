using System.Runtime.InteropServices;
using Lift.Ort.Onnx;
using Lift.Ort.Sessions.Metrics;
using Microsoft.ML.OnnxRuntime;

namespace Lift.Ort.Generation;

/// <summary>One output of a run, read row by row along its last axis as float32, whatever its type; owns ONNX Runtime's memory.</summary>
public sealed class ModelOutput : IDisposable
{
    private readonly IDisposable owner;
    private readonly ElementType type;
    private readonly nint data;

    /// <param name="owner">What is disposed of with this object.</param>
    internal ModelOutput(OrtValue value, IDisposable owner)
    {
        this.owner = owner;
        var info = value.GetTensorTypeAndShape();
        type = (ElementType)(int)info.ElementDataType;
        Dims = info.Shape;
        Width = Dims.Length > 0 ? checked((int)Dims[^1]) : 1;
        Rows = Width == 0 ? 0 : Dims.Aggregate(1L, (n, d) => n * d) / Width;
        if (Rows > 0) data = First(value);
    }

    public long[] Dims { get; }

    /// <summary>Size of the last axis.</summary>
    public int Width { get; }

    /// <summary>Number of rows: the product of all axes but the last.</summary>
    public long Rows { get; }

    /// <summary>Row <paramref name="index"/>; <paramref name="scratch"/> is used, and grown, only where the output is not float32.</summary>
    public unsafe ReadOnlySpan<float> Row(long index, ref float[] scratch)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((ulong)index, (ulong)Rows);
        if (type == ElementType.Float) return new ReadOnlySpan<float>((float*)data + index * Width, Width);

        if (scratch.Length < Width) scratch = new float[Width];
        for (int i = 0; i < Width; i++)
        {
            long at = index * Width + i;
            scratch[i] = type switch
            {
                ElementType.Float16 => (float)((Half*)data)[at],
                ElementType.BFloat16 => BitConverter.UInt32BitsToSingle((uint)((ushort*)data)[at] << 16),
                ElementType.Double => (float)((double*)data)[at],
                _ => throw new InvalidOperationException($"an output of {type} is no scores"),
            };
        }
        return scratch.AsSpan(0, Width);
    }

    /// <summary>All of it in float32.</summary>
    public Scores Whole()
    {
        float[] values = new float[checked(Rows * Width)], scratch = [];
        for (long row = 0; row < Rows; row++) Row(row, ref scratch).CopyTo(values.AsSpan((int)(row * Width)));
        return new(values, Dims);
    }

    public void Dispose() => owner.Dispose();

    private static unsafe nint First(OrtValue value) => (nint)System.Runtime.CompilerServices.Unsafe.AsPointer(ref MemoryMarshal.GetReference(value.GetTensorMutableRawData()));
}
