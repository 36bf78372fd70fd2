namespace Lift.Ort.Operators;

/// <summary>A tensor seen as slices along one axis: <c>Outer</c> blocks of <c>Length</c> × <c>Inner</c>; the elements of a slice are <c>Inner</c> apart.</summary>
internal readonly record struct Slices(long Outer, long Length, long Inner)
{
    public long Count => Outer * Inner;

    /// <summary>Slices along <paramref name="axis"/>; a negative one counts from the end.</summary>
    public static Slices Along(ReadOnlySpan<long> dims, long axis)
    {
        int a = Axis(axis, dims.Length);
        return new Slices(CpuTensor.Product(dims[..a]), dims[a], CpuTensor.Product(dims[(a + 1)..]));
    }

    /// <summary>All axes from <paramref name="axis"/> on taken as one.</summary>
    public static Slices From(ReadOnlySpan<long> dims, long axis)
    {
        int a = axis == dims.Length ? (int)axis : Axis(axis, dims.Length);
        return new Slices(CpuTensor.Product(dims[..a]), CpuTensor.Product(dims[a..]), 1);
    }

    public static int Axis(long axis, int rank) => axis >= -rank && axis < rank
        ? (int)(axis < 0 ? axis + rank : axis)
        : throw new ArgumentException($"axis {axis} does not exist in a tensor of rank {rank}");
}
