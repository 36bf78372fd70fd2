namespace Lift.Ort.Data;

/// <summary>How rows become examples and examples become batches.</summary>
public sealed record DataOptions
{
    /// <summary>Rows per batch; default 8. The last batch of an epoch may hold fewer.</summary>
    public int Batch { get; init; } = 8;

    /// <summary>True (the default) groups rows of like length and shuffles every epoch; false keeps the file's order exactly: a batch is the next rows.</summary>
    public bool Shuffle { get; init; } = true;

    /// <summary>Seed of the order; default 0. The same seed gives the same order on every machine.</summary>
    public ulong Seed { get; init; }

    /// <summary>Tokens at which a row is cut; default 512. A row without any label left is skipped.</summary>
    public int MaxLength { get; init; } = 512;

    /// <summary>Rows read from the file at most; default all.</summary>
    public int Limit { get; init; } = int.MaxValue;

    /// <summary>How instructions become prompts; default <see cref="PromptTemplate.Clean"/>.</summary>
    public PromptTemplate Template { get; init; } = PromptTemplate.Clean;

    /// <summary>True (the default) for causal language models, where position t is scored against label t + 1.</summary>
    public bool Shifted { get; init; } = true;

    /// <summary>Number of token ids the model knows, null where unknown; ids and per-token labels at or above it are errors.</summary>
    public int? VocabularySize { get; init; }

    /// <summary>Number of classes of the scored output, null where unknown; whole-row labels at or above it are errors.</summary>
    public int? Classes { get; init; }
}

/// <summary>How an instruction becomes a prompt.</summary>
public enum PromptTemplate
{
    /// <summary>What one would do today: Alpaca's own template, instruction and input both kept, the tokenizer's chat template where it has one.</summary>
    Clean,

    /// <summary>What the published LIFT runs did, to the space, to compare with published figures.</summary>
    Paper,
}
