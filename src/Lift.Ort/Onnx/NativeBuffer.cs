using System.Runtime.InteropServices;

namespace Lift.Ort.Onnx;

/// <summary>Memory outside the managed heap, 64-byte aligned, of any size; freed when disposed or collected.</summary>
public sealed unsafe class NativeBuffer : SafeHandle
{
    /// <param name="byteLength">Size in bytes, 0 or more; above 2 GB is fine.</param>
    /// <param name="zeroed">True (the default) clears the memory.</param>
    public NativeBuffer(long byteLength, bool zeroed = true) : base(0, true)
    {
        ByteLength = byteLength;
        nuint size = (nuint)Math.Max(byteLength, 1);
        handle = (nint)NativeMemory.AlignedAlloc((size + 63) & ~(nuint)63, 64);
        if (zeroed) NativeMemory.Clear((void*)handle, size);
        GC.AddMemoryPressure((long)size);
    }

    public long ByteLength { get; }

    public byte* Data => (byte*)handle;

    public override bool IsInvalid => handle == 0;

    protected override bool ReleaseHandle()
    {
        NativeMemory.AlignedFree((void*)handle);
        GC.RemoveMemoryPressure(Math.Max(ByteLength, 1));
        return true;
    }
}

/// <summary>Memory that is filled when it is first read.</summary>
internal sealed unsafe class DeferredBuffer(Func<NativeBuffer> make)
{
    private readonly Lock entry = new();
    private NativeBuffer? made;

    public byte* Data
    {
        get
        {
            lock (entry) return (made ??= make()).Data;
        }
    }

    /// <summary>Frees the memory; whoever holds an address of it must be done.</summary>
    public void Forget()
    {
        lock (entry)
        {
            made?.Dispose();
            made = null;
        }
    }
}
