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
        int parts = (int)((Value.Length + Piece - 1) / Piece);
        nint sums = device.Scratch((parts + 1L) * sizeof(double)), total = sums + parts * sizeof(double);
        device.Launch("AddScaled", "SquaredNormParts", null, new Grid(parts, Grid.Block), Value.Pointer, Value.Length, sums);
        device.Launch("AddScaled", "SumParts", null, new Grid(1, Grid.Block), sums, parts, total);
        Result[0] = device.Read<double>(total, 1)[0];
    }
}
