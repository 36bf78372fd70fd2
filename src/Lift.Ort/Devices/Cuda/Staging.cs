using Lift.Ort.Devices.Cuda.Interop;

namespace Lift.Ort.Devices.Cuda;

/// <summary>
/// Two page-locked pieces of host memory through which large copies go: while the device takes one, the host fills the other. Small copies
/// go through the first piece as well, so that no copy depends on where the caller's memory lies.
/// </summary>
internal sealed unsafe class Staging : IDisposable
{
    private const long Size = 16 << 20;

    private readonly CudaStreamHandle stream;
    private readonly CudaPinnedHandle[] pieces = new CudaPinnedHandle[2];
    private readonly CudaEventHandle[] done = new CudaEventHandle[2];
    private readonly bool[] busy = new bool[2];

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
        for (long at = 0, turn = 0; at < bytes; at += Size, turn++)
        {
            int i = (int)(turn & 1);
            long n = Math.Min(Size, bytes - at);
            Wait(i);
            Buffer.MemoryCopy(from + at, Piece(i), n, n);
            CudaDriver.MemcpyHtoDAsync(to + (nint)at, Piece(i), (nuint)n, stream).ThrowIfFailed($"{n} bytes");
            Record(i);
        }
    }

    /// <summary>Copies from the device, after everything that is queued; waits for it.</summary>
    public void Download(nint from, byte* to, long bytes)
    {
        long pieceCount = (bytes + Size - 1) / Size;
        for (long turn = 0; turn <= pieceCount; turn++)
        {
            if (turn < pieceCount)
            {
                int i = (int)(turn & 1);
                long n = Math.Min(Size, bytes - turn * Size);
                Wait(i);
                CudaDriver.MemcpyDtoHAsync(Piece(i), from + (nint)(turn * Size), (nuint)n, stream).ThrowIfFailed($"{n} bytes");
                Record(i);
            }
            if (turn > 0)
            {
                int i = (int)((turn - 1) & 1);
                long at = (turn - 1) * Size, n = Math.Min(Size, bytes - at);
                Wait(i);
                Buffer.MemoryCopy(Piece(i), to + at, n, n);
            }
        }
    }

    public void Dispose()
    {
        foreach (CudaPinnedHandle piece in pieces) piece.Dispose();
        foreach (CudaEventHandle e in done) e.Dispose();
    }

    private byte* Piece(int i) => (byte*)pieces[i].DangerousGetHandle();

    private void Record(int i)
    {
        CudaDriver.EventRecord(done[i], stream).ThrowIfFailed();
        busy[i] = true;
    }

    private void Wait(int i)
    {
        if (busy[i]) CudaDriver.EventSynchronize(done[i]).ThrowIfFailed();
        busy[i] = false;
    }
}
