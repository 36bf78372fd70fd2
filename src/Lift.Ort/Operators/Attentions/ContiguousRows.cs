using System.Numerics;
using System.Runtime.InteropServices;

namespace Lift.Ort.Operators.Attentions;

/// <summary>A matrix whose columns a product wants side by side: where they lie, if they do so, otherwise a copy.</summary>
internal sealed unsafe class ContiguousRows<T>(long rows, long columns, long columnStride) : IDisposable where T : unmanaged, IFloatingPointIeee754<T>
{
    /// <summary>True where the columns lie apart, so that <see cref="Memory"/> holds a copy.</summary>
    public bool IsNeeded { get; } = columnStride != 1 && columns > 1;

    /// <summary>[rows, columns], or null.</summary>
    public T* Memory { get; } = columnStride != 1 && columns > 1 ? AttentionScores<T>.Allocate(rows * columns) : null;

    /// <summary>The matrix at <paramref name="x"/> where its columns lie side by side; its rows are <see cref="Stride"/> apart.</summary>
    public T* Read(T* x, long rowStride, long count)
    {
        if (!IsNeeded) return x;
        for (long i = 0; i < count; i++)
            for (long j = 0; j < columns; j++) Memory[i * columns + j] = x[i * rowStride + j * columnStride];
        return Memory;
    }

    public long Stride(long rowStride) => IsNeeded ? columns : rowStride;

    /// <summary>Copies the matrix to where its columns lie apart.</summary>
    public void Write(T* to, long rowStride, long count)
    {
        for (long i = 0; i < count; i++)
            for (long j = 0; j < columns; j++) to[i * rowStride + j * columnStride] = Memory[i * columns + j];
    }

    public void Dispose() => NativeMemory.AlignedFree(Memory);
}
