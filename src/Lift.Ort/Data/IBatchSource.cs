namespace Lift.Ort.Data;

/// <summary>A stream of batches without end that can be set to a place: a file's rows (<see cref="BatchReader"/>), or batches made by hand (<see cref="BatchList"/>).</summary>
public interface IBatchSource
{
    /// <summary>Batches of one pass over the data.</summary>
    int BatchesPerEpoch { get; }

    /// <summary>Where the next batch comes from; set it to resume.</summary>
    BatchPosition Position { get; set; }

    /// <summary>The next batch; after the last one of an epoch comes the first one of the next.</summary>
    Batch Next();
}

/// <summary>Batches in memory, in the order given, over and over.</summary>
public sealed class BatchList(IReadOnlyList<Batch> batches) : IBatchSource
{
    public int BatchesPerEpoch => batches.Count;

    public BatchPosition Position { get; set; }

    public Batch Next()
    {
        if (Position.Index >= batches.Count) Position = new(Position.Epoch + 1, 0);
        Batch batch = batches[Position.Index];
        Position = Position with { Index = Position.Index + 1 };
        return batch;
    }
}
