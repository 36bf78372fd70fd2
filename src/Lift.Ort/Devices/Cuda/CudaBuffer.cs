using Lift.Ort.Devices.Cuda.Interop;

namespace Lift.Ort.Devices.Cuda;

/// <summary>Memory of a GPU; copies are ordered with everything else on the device's stream.</summary>
internal sealed unsafe class CudaBuffer<T> : DeviceBuffer<T> where T : unmanaged
{
    private readonly CudaDevice device;
    private readonly CudaMemoryHandle memory;

    public CudaBuffer(CudaDevice device, long length, bool zeroed = true) : base(length)
    {
        this.device = device;
        memory = device.Reserve(checked(Math.Max(length, 1) * sizeof(T)));
        if (zeroed) device.Clear(Pointer, length * sizeof(T));
    }

    public override nint Pointer => memory.DangerousGetHandle();

    public override void CopyFrom(ReadOnlySpan<T> source, long offset = 0)
    {
        Check(offset, source.Length);
        fixed (T* from = source) device.Upload((byte*)from, Pointer + (nint)(offset * sizeof(T)), (long)source.Length * sizeof(T));
        GC.KeepAlive(this);
    }

    public override void CopyTo(Span<T> destination, long offset = 0)
    {
        Check(offset, destination.Length);
        fixed (T* to = destination) device.Download(Pointer + (nint)(offset * sizeof(T)), (byte*)to, (long)destination.Length * sizeof(T));
        GC.KeepAlive(this);
    }

    public override void Dispose() => memory.Dispose();

    private void Check(long offset, long length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset, Length);
        if (length > Length - offset) throw new ArgumentException($"{length} elements from {offset} on do not fit into {Length}");
    }
}
