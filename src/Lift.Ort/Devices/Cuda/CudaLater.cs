using Lift.Ort.Devices.Cuda.Interop;

namespace Lift.Ort.Devices.Cuda;

/// <summary>A piece of page-locked host memory to which a copy is under way, and the event behind the copy. One that was waited for is used again.</summary>
internal sealed unsafe class CudaSlot : IDisposable
{
    /// <summary>Bytes of the smallest.</summary>
    public const long Least = 4096;

    private readonly CudaPinnedHandle memory;
    private readonly CudaEventHandle done;

    /// <param name="bytes">At least so many.</param>
    public CudaSlot(long bytes)
    {
        Bytes = (long)System.Numerics.BitOperations.RoundUpToPowerOf2((ulong)Math.Max(bytes, Least));
        CudaDriver.MemHostAlloc(out memory, (nuint)Bytes, 0).ThrowIfFailed($"{Bytes} bytes of page-locked host memory");
        CudaDriver.EventCreate(out done, CudaDriver.NoTiming).ThrowIfFailed();
    }

    public long Bytes { get; }

    public bool IsReady
    {
        get
        {
            CudaResult result = CudaDriver.EventQuery(done);
            if (result == CudaResult.NotReady) return false;
            result.ThrowIfFailed();
            return true;
        }
    }

    /// <summary>Queues the copy.</summary>
    public void Start(nint from, long bytes, CudaStreamHandle stream)
    {
        CudaDriver.MemcpyDtoHAsync((void*)memory.DangerousGetHandle(), from, (nuint)bytes, stream).ThrowIfFailed($"{bytes} bytes");
        CudaDriver.EventRecord(done, stream).ThrowIfFailed();
    }

    public T[] Wait<T>(int count) where T : unmanaged
    {
        CudaDriver.EventSynchronize(done).ThrowIfFailed();
        return new ReadOnlySpan<T>((void*)memory.DangerousGetHandle(), count).ToArray();
    }

    public void Dispose()
    {
        memory.Dispose();
        done.Dispose();
    }
}

/// <summary>Numbers on their way to a slot.</summary>
internal sealed class CudaLater<T>(CudaDevice device, CudaSlot slot, int count) : Later<T>([]) where T : unmanaged
{
    private T[]? values;

    public override bool IsReady
    {
        get
        {
            device.MakeCurrent();
            return values is not null || slot.IsReady;
        }
    }

    public override T[] Wait()
    {
        if (values is not null) return values;
        device.MakeCurrent();
        values = slot.Wait<T>(count);
        device.Return(slot);
        return values;
    }
}
