using Lift.Ort.Onnx;

namespace Lift.Ort.Data;

/// <summary>
/// Gives out batches without end, epoch after epoch. The order depends on seed and epoch only, so a reader that is set to a
/// <see cref="Position"/> goes on exactly where another one stopped.
/// </summary>
public sealed class BatchReader : IBatchSource
{
    private const int GroupedBatches = 50; // rows are sorted by length within so many batches: little padding, still a random order

    private readonly DataOptions options;
    private readonly BatchBuilder builder;
    private int[][] order = [];
    private int orderedEpoch = -1;

    /// <param name="examples">The data, at least one row.</param>
    /// <param name="inputs">The model's inputs (with or without labels); they decide which values a batch holds and how it is padded.</param>
    /// <param name="padId">Id that fills shorter rows, see <see cref="ITokenizer.PadId"/>; default 0.</param>
    /// <exception cref="LiftException">There is no example, or an option is out of range.</exception>
    public BatchReader(IReadOnlyList<Example> examples, IReadOnlyList<GraphValue> inputs, DataOptions options, int padId = 0)
    {
        if (examples.Count == 0) throw new LiftException("The data set is empty: there is no example to make a batch of.");
        if (options.Batch < 1) throw new LiftException($"A batch of {options.Batch} rows cannot be made; --batch must be 1 or more.");
        (Examples, this.options) = (examples, options);
        builder = new BatchBuilder(inputs, options, padId);
    }

    /// <summary>Reads <paramref name="path"/> with <paramref name="tokenizer"/> and opens a reader over it.</summary>
    /// <param name="tokenizer">Null for ready tokens and for data that is not text.</param>
    /// <exception cref="LiftException">The file is missing, not UTF-8, not JSON, empty, or a row lacks what is needed; the message names file, row, field and value.</exception>
    public static BatchReader Open(string path, ITokenizer? tokenizer, IReadOnlyList<GraphValue> inputs, DataOptions options)
    {
        var set = ExampleSet.Read(path, tokenizer, inputs, options);
        return new BatchReader(set.Examples, inputs, options, tokenizer?.PadId ?? 0) { Truncated = set.Truncated, Skipped = set.Skipped };
    }

    public IReadOnlyList<Example> Examples { get; }

    /// <summary>Rows that were cut at <see cref="DataOptions.MaxLength"/>.</summary>
    public int Truncated { get; private init; }

    /// <summary>Rows left out because no label was left after cutting.</summary>
    public int Skipped { get; private init; }

    public int BatchesPerEpoch => (Examples.Count + options.Batch - 1) / options.Batch;

    /// <summary>Where the next batch comes from; set it to resume.</summary>
    public BatchPosition Position { get; set; }

    /// <summary>The next batch; after the last one of an epoch comes the first one of the next.</summary>
    public Batch Next()
    {
        if (Position.Index >= BatchesPerEpoch) Position = new(Position.Epoch + 1, 0);
        var rows = Order(Position.Epoch)[Position.Index];
        Position = Position with { Index = Position.Index + 1 };
        return builder.Build([.. rows.Select(i => Examples[i])]);
    }

    /// <summary>All batches of one epoch from its start; <see cref="Position"/> is not touched.</summary>
    public IEnumerable<Batch> Epoch(int epoch = 0) => Order(epoch).Select(rows => builder.Build([.. rows.Select(i => Examples[i])]));

    private int[][] Order(int epoch)
    {
        if (orderedEpoch != epoch) (order, orderedEpoch) = (MakeOrder(epoch), epoch);
        return order;
    }

    private int[][] MakeOrder(int epoch)
    {
        int[] rows = [.. Enumerable.Range(0, Examples.Count)];
        if (!options.Shuffle) return [.. rows.Chunk(options.Batch)];

        var random = new SeededRandom(options.Seed, (ulong)epoch);
        random.Shuffle<int>(rows);
        int[][] batches = [.. rows.Chunk((int)Math.Min((long)options.Batch * GroupedBatches, rows.Length)).SelectMany(g => g.OrderBy(i => Examples[i].Length).Chunk(options.Batch))];
        random.Shuffle<int[]>(batches);
        return batches;
    }
}
