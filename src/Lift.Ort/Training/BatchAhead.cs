using Lift.Ort.Data;

namespace Lift.Ort.Training;

/// <summary>Prepares the next batch on another thread while the device works on this one.</summary>
internal sealed class BatchAhead : IDisposable
{
    private readonly IBatchSource source;
    private Task<(Batch Batch, BatchPosition After)> next;

    public BatchAhead(IBatchSource source)
    {
        this.source = source;
        Position = source.Position;
        next = Prepare();
    }

    /// <summary>The position after the last batch that <see cref="Next"/> gave out: where a resumed run goes on.</summary>
    public BatchPosition Position { get; private set; }

    public Batch Next()
    {
        var (batch, after) = next.GetAwaiter().GetResult();
        Position = after;
        next = Prepare();
        return batch;
    }

    /// <summary>Waits for the batch under way and sets the source back to <see cref="Position"/>.</summary>
    public void Dispose()
    {
        ((IAsyncResult)next).AsyncWaitHandle.WaitOne();
        source.Position = Position;
    }

    private Task<(Batch, BatchPosition)> Prepare() => Task.Run(() => (source.Next(), source.Position));
}
