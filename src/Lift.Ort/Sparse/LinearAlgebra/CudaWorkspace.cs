using Lift.Ort.Devices;
using Lift.Ort.Devices.Cuda;

namespace Lift.Ort.Sparse.LinearAlgebra;

/// <summary>Named pieces of device memory that are kept from matrix to matrix and only grow.</summary>
internal sealed class CudaWorkspace(CudaDevice device) : IDisposable
{
    private readonly Dictionary<string, CudaBuffer<byte>> pieces = [];

    /// <summary>What it holds now.</summary>
    public long Held => pieces.Values.Sum(p => p.Length);

    public nint Floats(string name, long count) => Bytes(name, count * sizeof(float));

    public nint Doubles(string name, long count) => Bytes(name, count * sizeof(double));

    public nint Ints(string name, long count) => Bytes(name, count * sizeof(int));

    public void Dispose()
    {
        foreach (CudaBuffer<byte> piece in pieces.Values) piece.Dispose();
    }

    private nint Bytes(string name, long bytes)
    {
        if (pieces.TryGetValue(name, out CudaBuffer<byte>? piece) && piece.Length >= bytes) return piece.Pointer;
        piece?.Dispose();
        return (pieces[name] = new CudaBuffer<byte>(device, bytes, zeroed: false)).Pointer;
    }
}
