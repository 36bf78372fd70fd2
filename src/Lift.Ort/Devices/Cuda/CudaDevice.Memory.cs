using System.Globalization;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Lift.Ort.Devices.Cuda.Interop;
using Lift.Ort.Onnx;

namespace Lift.Ort.Devices.Cuda;

/// <summary>Memory of the device, and copies.</summary>
public sealed unsafe partial class CudaDevice
{
    private const int MostConstants = 4096;

    private readonly Lock copies = new();
    private readonly List<IDisposable> owned = [];
    private readonly ConditionalWeakTable<object, object> remembered = [];
    private readonly List<CudaSlot> slots = [];
    private readonly SharedCopies shared = new();
    private readonly Dictionary<string, CudaBuffer<long>> constants = []; // by their bytes
    private Staging? staging;
    private CudaMath? math;
    private CudaBuffer<byte>? scratch;

    public DeviceBuffer<T> Allocate<T>(long length) where T : unmanaged => new CudaBuffer<T>(this, length);

    /// <summary>A copy on the device, one for all who share it: a GPU reads host memory too slowly to leave weights there.</summary>
    public DeviceBuffer<byte> Share(Tensor tensor) => shared.Open<byte>(tensor, () =>
    {
        var buffer = new CudaBuffer<byte>(this, tensor.ByteLength, zeroed: false);
        Upload(tensor.Data, buffer.Pointer, tensor.ByteLength);
        GC.KeepAlive(tensor);
        return buffer;
    });

    public DeviceBuffer<T> Share<T>(T[] values) where T : unmanaged => shared.Open(values, () =>
    {
        var buffer = new CudaBuffer<T>(this, values.Length, zeroed: false);
        buffer.CopyFrom(values);
        return buffer;
    });

    public void Adopt<T>(T[] values, DeviceBuffer<T> same) where T : unmanaged => shared.Adopt(values, same);

    /// <summary>A tensor in page-locked host memory, to and from which copies are queued without a wait; what lies there is true when the stream has come past them.</summary>
    internal Tensor PageLocked(string name, ElementType type, params long[] dims)
    {
        MakeCurrent();
        long bytes = type.ByteLength(dims.Aggregate(1L, (n, d) => n * d));
        CudaDriver.MemHostAlloc(out CudaPinnedHandle memory, (nuint)Math.Max(1, bytes), 0).ThrowIfFailed($"{bytes} bytes of page-locked host memory");
        return new Tensor(name, type, dims, (byte*)memory.DangerousGetHandle(), memory);
    }

    /// <summary>Queues a copy to the device from <see cref="PageLocked"/> memory, which must not change before the stream has come past it.</summary>
    internal void QueueUpload(Tensor from, nint to)
    {
        MakeCurrent();
        CudaDriver.MemcpyHtoDAsync(to, from.Data, (nuint)from.ByteLength, stream).ThrowIfFailed($"{from.ByteLength} bytes");
    }

    /// <summary>Queues a copy to <see cref="PageLocked"/> memory.</summary>
    internal void QueueDownload(nint from, Tensor to)
    {
        MakeCurrent();
        CudaDriver.MemcpyDtoHAsync(to.Data, from, (nuint)to.ByteLength, stream).ThrowIfFailed($"{to.ByteLength} bytes");
    }

    /// <summary>Memory that is not cleared.</summary>
    internal CudaMemoryHandle Reserve(long bytes)
    {
        MakeCurrent();
        CudaDriver.MemAlloc(out CudaMemoryHandle memory, (nuint)bytes).ThrowIfFailed(string.Create(CultureInfo.InvariantCulture, $"{bytes} bytes ({bytes / 1e9:F2} GB) were asked for"));
        return memory;
    }

    /// <summary>
    /// Working memory for one launch or a row of launches; the next call may hand out the same memory, which is safe because everything runs in one
    /// stream. It only grows.
    /// </summary>
    internal nint Scratch(long bytes)
    {
        if (scratch is null || scratch.Length < bytes)
        {
            if (Options.Graphs && scratch is not null) Own(scratch); // recorded runs go on using it
            else scratch?.Dispose();
            scratch = new CudaBuffer<byte>(this, Math.Max(Math.Max(bytes, 1 << 20), Options.Graphs && scratch is not null ? 2 * scratch.Length : 0), zeroed: false);
        }
        return scratch.Pointer;
    }

    /// <summary>What was made for <paramref name="key"/> before, or is made now; it goes when the key goes.</summary>
    internal T Remember<T>(object key, Func<T> make) where T : class => (T)remembered.GetValue(key, _ => make());

    /// <summary>Something that lives as long as the device.</summary>
    internal T Own<T>(T part) where T : IDisposable
    {
        owned.Add(part);
        return part;
    }

    /// <summary>
    /// Numbers on the device that never change, one copy for all who ask for the same: lengths and tables that kernels read. A run that is recorded must bring nothing from
    /// the host, as a replay would bring whatever lies there by then; by the time it is recorded its tables are here.
    /// </summary>
    internal nint Constant(ReadOnlySpan<long> values)
    {
        string key = new(MemoryMarshal.Cast<long, char>(values));
        lock (constants)
        {
            if (constants.TryGetValue(key, out CudaBuffer<long>? known)) return known.Pointer;
            if (constants.Count >= MostConstants && !Options.Graphs)
            {
                foreach (CudaBuffer<long> old in constants.Values) old.Dispose();
                constants.Clear();
            }
            known = constants[key] = new CudaBuffer<long>(this, values.Length, zeroed: false);
            known.CopyFrom(values);
            return known.Pointer;
        }
    }

    internal void Clear(nint address, long bytes)
    {
        MakeCurrent();
        if (bytes > 0) CudaDriver.MemsetD8Async(address, 0, (nuint)bytes, stream.DangerousGetHandle()).ThrowIfFailed($"{bytes} bytes");
    }

    /// <summary>Sets every byte, queued.</summary>
    internal void Fill(nint address, byte value, long bytes, nint on)
    {
        if (bytes > 0) CudaDriver.MemsetD8Async(address, value, (nuint)bytes, on).ThrowIfFailed($"{bytes} bytes");
    }

    public void Copy(nint from, nint to, long bytes)
    {
        MakeCurrent();
        Copy(from, to, bytes, stream.DangerousGetHandle());
    }

    /// <summary>The same on a stream that ONNX Runtime names.</summary>
    internal void Copy(nint from, nint to, long bytes, nint on)
    {
        if (bytes > 0) CudaDriver.MemcpyDtoDAsync(to, from, (nuint)bytes, on).ThrowIfFailed($"{bytes} bytes");
    }

    internal void Upload(byte* from, nint to, long bytes)
    {
        if (bytes == 0) return;
        MakeCurrent();
        lock (copies) Staging().Upload(from, to, bytes);
    }

    internal void Download(nint from, byte* to, long bytes)
    {
        if (bytes == 0) return;
        MakeCurrent();
        lock (copies) Staging().Download(from, to, bytes);
    }

    /// <summary>Numbers that kernels made, after waiting for them.</summary>
    internal T[] Read<T>(nint from, int count) where T : unmanaged
    {
        var result = new T[count];
        fixed (T* to = result) Download(from, (byte*)to, (long)count * sizeof(T));
        return result;
    }

    public Later<T> Fetch<T>(DeviceBuffer<T> buffer) where T : unmanaged
    {
        long bytes = buffer.Length * sizeof(T);
        MakeCurrent();
        CudaSlot slot = TakeSlot(bytes);
        slot.Start(buffer.Pointer, bytes, stream);
        return new CudaLater<T>(this, slot, checked((int)buffer.Length));
    }

    /// <summary>The smallest slot that is free and large enough, or a new one.</summary>
    private CudaSlot TakeSlot(long bytes)
    {
        lock (slots)
        {
            CudaSlot? free = slots.Where(s => s.Bytes >= bytes && s.Bytes <= Math.Max(4 * bytes, CudaSlot.Least)).MinBy(s => s.Bytes);
            if (free is not null) slots.Remove(free);
            return free ?? Own(new CudaSlot(bytes));
        }
    }

    /// <summary>Takes back a slot whose numbers were read.</summary>
    internal void Return(CudaSlot slot)
    {
        lock (slots) slots.Add(slot);
    }

    /// <summary>cuBLAS and cuSOLVER on this device.</summary>
    internal CudaMath Algebra => math ??= Own(new CudaMath(this));

    private Staging Staging() => staging ??= new Staging(stream);
}
