using Lift.Ort.Devices;
using Lift.Ort.Devices.Cuda;

namespace Lift.Ort.Sparse;

public readonly partial record struct AddScaled
{
    public void Run(CudaDevice device) =>
        device.Launch("AddScaled", "AddScaled", null, Grid.For(Sum.Length, perThread: 4), Sum.Pointer, Value.Pointer, Scale, Overwrite ? 1 : 0, Sum.Length);
}

public readonly partial record struct SquaredNorm
{
    private const int Piece = 1 << 16; // entries that one block sums; as in AddScaled.cu

    public void Run(CudaDevice device)
    {
        nint total = Launch(device, Value, 0);
        Result[0] = device.Read<double>(total, 1)[0];
    }

    /// <summary>Queues the sum; answers where it will lie: at <paramref name="result"/>, or in working memory where that is 0.</summary>
    internal static nint Launch(CudaDevice device, DeviceBuffer<float> value, nint result)
    {
        int parts = (int)((value.Length + Piece - 1) / Piece);
        nint sums = device.Scratch((parts + 1L) * sizeof(double)), total = result == 0 ? sums + (parts * sizeof(double)) : result;
        device.Launch("AddScaled", "SquaredNormParts", null, new Grid(parts, Grid.Block), value.Pointer, value.Length, sums);
        device.Launch("AddScaled", "SumParts", null, new Grid(1, Grid.Block), sums, parts, total);
        return total;
    }
}
