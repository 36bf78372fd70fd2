using Lift.Ort.Data;

namespace Lift.Ort.Sessions;

/// <summary>Batches for an encoder and a decoder in two files, encoded one by one.</summary>
internal sealed class EncodedBatches(IBatchSource batches, SourceEncoder encoder) : IBatchSource
{
    public int BatchesPerEpoch => batches.BatchesPerEpoch;

    public BatchPosition Position { get => batches.Position; set => batches.Position = value; }

    public Batch Next() => encoder.Encode(batches.Next());
}
