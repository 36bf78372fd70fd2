using static Lift.Ort.Operators.OrtFunctions;

namespace Lift.Ort.Operators;

/// <summary>Memory of the session's own allocator during a run, not cleared: what other nodes gave back serves again, and so do these bytes.</summary>
internal readonly unsafe ref struct CpuScratch
{
    private static readonly delegate* unmanaged<nint, nint, nint*, nint> getAllocator = (delegate* unmanaged<nint, nint, nint*, nint>)Function("KernelContext_GetAllocator");
    private static readonly delegate* unmanaged<nint, nuint, void**, nint> allocate = (delegate* unmanaged<nint, nuint, void**, nint>)Function("AllocatorAlloc");
    private static readonly delegate* unmanaged<nint, void*, nint> free = (delegate* unmanaged<nint, void*, nint>)Function("AllocatorFree");
    private static readonly delegate* unmanaged<nint, void> release = (delegate* unmanaged<nint, void>)Function("ReleaseAllocator");

    private readonly nint allocator;

    /// <exception cref="InvalidOperationException">There is no such memory.</exception>
    public CpuScratch(CpuContext context, long bytes)
    {
        nint given;
        void* data;
        Ok(getAllocator(context.Handle, CpuContext.HostMemory, &given));
        allocator = given;
        nint status = allocate(allocator, checked((nuint)Math.Max(64, bytes)), &data);
        if (status != 0) release(allocator);
        Ok(status);
        Data = data;
    }

    public void* Data { get; }

    public void Dispose()
    {
        Ok(free(allocator, Data));
        release(allocator);
    }
}
