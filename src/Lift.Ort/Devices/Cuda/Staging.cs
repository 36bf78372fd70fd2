using Lift.Ort.Devices.Cuda.Interop;

namespace Lift.Ort.Devices.Cuda;

/// <summary>
/// Two page-locked pieces of host memory through which copies go: while the device takes one, the host fills the other. Small copies lie one behind the other in
/// a piece, so that the host waits for the device only where it reads, and where both pieces are full of what the device has not taken yet.
/// </summary>
internal sealed unsafe class Staging : IDisposable
{
    private const long Size = 16 << 20;

    private readonly CudaStreamHandle stream;
    private readonly CudaPinnedHandle[] pieces = new CudaPinnedHandle[2];
    private readonly CudaEventHandle[] done = new CudaEventHandle[2];
    private readonly bool[] busy = new bool[2];
    private int piece;
    private long used; // bytes of the piece

    public Staging(CudaStreamHandle stream)
    {
        this.stream = stream;
        for (int i = 0; i < 2; i++)
        {
            CudaDriver.MemHostAlloc(out pieces[i], (nuint)Size, 0).ThrowIfFailed($"{Size} bytes of page-locked host memory");
            CudaDriver.EventCreate(out done[i], CudaDriver.NoTiming).ThrowIfFailed();
        }
    }

    /// <summary>Queues a copy to the device; the source may be changed as soon as this returns.</summary>
    public void Upload(byte* from, nint to, long bytes)
    {
        for (long at = 0; at < bytes; at += Size)
        {
            long n = Math.Min(Size, bytes - at);
            byte* place = Take(n);
            Buffer.MemoryCopy(from + at, place, n, n);
            CudaDriver.MemcpyHtoDAsync(to + (nint)at, place, (nuint)n, stream).ThrowIfFailed($"{n} bytes");
            Record();
        }
    }

    /// <summary>Copies from the device, after everything that is queued; waits for it.</summary>
    public void Download(nint from, byte* to, long bytes)
    {
        (nint Place, int Piece, long At, long Length) before = default;
        for (long at = 0; at < bytes; at += Size)
        {
            long n = Math.Min(Size, bytes - at);
            byte* place = Take(n);
            CudaDriver.MemcpyDtoHAsync(place, from + (nint)at, (nuint)n, stream).ThrowIfFailed($"{n} bytes");
            Record();
            Read(before);
            before = ((nint)place, piece, at, n);
        }
        Read(before);

        void Read((nint Place, int Piece, long At, long Length) part)
        {
            if (part.Length == 0) return;
            Wait(part.Piece);
            Buffer.MemoryCopy((byte*)part.Place, to + part.At, part.Length, part.Length);
        }
    }

    public void Dispose()
    {
        foreach (CudaPinnedHandle memory in pieces) memory.Dispose();
        foreach (CudaEventHandle e in done) e.Dispose();
    }

    /// <summary>Room for a copy: behind the last one, or in the other piece once the device is through with that.</summary>
    private byte* Take(long bytes)
    {
        if (used + bytes > Size)
        {
            piece ^= 1;
            used = 0;
            Wait(piece);
        }
        byte* place = (byte*)pieces[piece].DangerousGetHandle() + used;
        used += (bytes + 255) / 256 * 256;
        return place;
    }

    private void Record()
    {
        CudaDriver.EventRecord(done[piece], stream).ThrowIfFailed();
        busy[piece] = true;
    }

    private void Wait(int i)
    {
        if (busy[i]) CudaDriver.EventSynchronize(done[i]).ThrowIfFailed();
        busy[i] = false;
    }
}
