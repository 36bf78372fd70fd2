using Lift.Ort.Devices.Cpu;

namespace Lift.Ort.Sparse.LinearAlgebra;

/// <summary>Named scratch memory that grows to the largest use and is kept for the next one.</summary>
internal sealed unsafe class Workspace : IDisposable
{
    private readonly Dictionary<string, CpuBuffer<double>> buffers = [];

    /// <summary>At least <paramref name="length"/> floats, contents undefined.</summary>
    public float* Floats(string name, long length) => (float*)Doubles(name, (length + 1) / 2);

    /// <summary>At least <paramref name="length"/> doubles, contents undefined.</summary>
    public double* Doubles(string name, long length)
    {
        if (!buffers.TryGetValue(name, out var buffer) || buffer.Length < length)
        {
            buffer?.Dispose();
            buffers[name] = buffer = new CpuBuffer<double>(length);
        }
        return (double*)buffer.Pointer;
    }

    public void Dispose()
    {
        foreach (var buffer in buffers.Values) buffer.Dispose();
        buffers.Clear();
    }
}
