using Lift.Ort.Gradients;

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

    /// <summary>What labels are, as the loss says; default null: as the model's inputs look.</summary>
    public LabelKind? Kind { get; init; }

    /// <summary>Smallest and largest number that a label may be; default null: any.</summary>
    public IReadOnlyList<double>? LabelRange { get; init; }

    /// <summary>True where the loss leaves labels of −100 out.</summary>
    internal bool LabelsMayBeEmpty { get; init; }

    /// <summary>Rows of a batch that one row of data makes: 1 (default), 2 for pairs, 3 with a hard negative.</summary>
    public int Group { get; init; } = 1;

    /// <summary>Field with the label, or several with commas between them whose numbers make one label; default: <c>labels</c>, <c>label</c>, <c>target</c>, <c>class</c>, or the field that its kind of row usually has.</summary>
    public string? LabelField { get; init; }

    /// <summary>Field with the text, or several with commas between them (two texts read together; anchor, positive, negative); default: the names that published data sets use.</summary>
    public string? TextField { get; init; }

    /// <summary>The model's input that takes the labels; default <c>labels</c>. Models of other programs call it <c>target</c> and otherwise.</summary>
    public string LabelsInput { get; init; } = Data.Batch.LabelsName;

    /// <summary>A model's inputs with the one of the labels under its usual name.</summary>
    internal IReadOnlyList<Onnx.GraphValue> Rename(IReadOnlyList<Onnx.GraphValue> inputs) =>
        LabelsInput == Data.Batch.LabelsName ? inputs : [.. inputs.Select(i => i.Name == LabelsInput ? i with { Name = Data.Batch.LabelsName } : i)];

    /// <summary>The labels of a model with several losses, one for each that reads some; default none: a row has one label.</summary>
    public IReadOnlyList<LabelColumn> Several { get; init; } = [];

    /// <summary>The field of the rows that each of the model's inputs is read from, where its name is another; default null: none.</summary>
    public IReadOnlyDictionary<string, string>? InputFields { get; init; }

    /// <summary>Fields that other labels of the row are read from, and that are no features therefore.</summary>
    internal IReadOnlyList<string> OtherLabels { get; init; } = [];

    /// <summary>These options with what a model's losses say of labels.</summary>
    internal DataOptions For(IReadOnlyList<ScoredTerm> terms)
    {
        if (terms is [var one])
        {
            bool causal = one.Form.Kind == LabelKind.NextTokens;
            return this with
            {
                Kind = one.Form.Kind,
                LabelRange = one.Form.Range,
                LabelsMayBeEmpty = one.Form.LeavesOut,
                Group = one.Rows,
                Shifted = causal,
                VocabularySize = causal ? (int?)one.Classes : null,
                Classes = causal ? null : (int?)one.Classes,
                LabelField = LabelField ?? one.Field,
                Several = [],
            };
        }
        if (LabelField is not null) throw new LiftException("--label-field names one label, but the model has several losses; name the field of each with --loss NAME:OUTPUT=FIELD when it is prepared.");
        return this with
        {
            LabelsInput = Data.Batch.LabelsName,
            Kind = null,
            Group = 1,
            Shifted = terms.Any(t => t.Form.Kind == LabelKind.NextTokens),
            Several = [.. terms.Where(t => t.Labels is not null).Select(t => new LabelColumn(t.Labels!, t.Field, t.Name, t.Form.Kind)
            {
                MayBeEmpty = t.Form.LeavesOut,
                Range = t.Form.Range,
                Classes = (int?)t.Classes,
                ClassNames = Several.FirstOrDefault(s => s.Input == t.Labels)?.ClassNames,
            })],
        };
    }

    /// <summary>Names of the classes that an input of labels holds, where they have some.</summary>
    internal IReadOnlyList<string>? NamesFor(string? labels) => Several.FirstOrDefault(s => s.Input == labels) is { } own ? own.ClassNames : ClassNames;

    /// <summary>The fields of <see cref="LabelField"/>, none where it is not set.</summary>
    internal string[] LabelFields => Fields(LabelField);

    /// <summary>The fields of <see cref="TextField"/>, none where it is not set.</summary>
    internal string[] TextFields => Fields(TextField);

    private static string[] Fields(string? list) => list?.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries) ?? [];

    /// <summary>Names of the classes, in the order of their numbers; default null: labels are numbers, or the names are collected from the training rows and sorted.</summary>
    public IReadOnlyList<string>? ClassNames { get; init; }

    /// <summary>The token that a decoder begins with; default null: the model's <c>config.json</c>, else the padding id.</summary>
    public int? DecoderStart { get; init; }

    /// <summary>How the columns of a table become the model's inputs.</summary>
    public TableOptions Table { get; init; } = new();

    /// <summary>How images become numbers; default null: the <c>preprocessor_config.json</c> beside the model, else the model's fixed size and values 0 to 1.</summary>
    public ImageOptions? Image { get; init; }

    /// <summary>How sounds become numbers; default null: the <c>preprocessor_config.json</c> beside the model, else the samples as they are.</summary>
    public AudioOptions? Audio { get; init; }
}

/// <summary>One of several labels of a row.</summary>
/// <param name="Input">The model's input that takes it.</param>
/// <param name="Field">Field of the row that holds it; null: the one that bears the output's name, or nearly.</param>
/// <param name="Output">The output that is scored against it.</param>
public sealed record LabelColumn(string Input, string? Field, string Output, LabelKind Kind)
{
    /// <summary>True where the loss leaves labels of −100 out: an empty field (null) is one then.</summary>
    public bool MayBeEmpty { get; init; }

    /// <summary>Smallest and largest number that it may be; null: any.</summary>
    public IReadOnlyList<double>? Range { get; init; }

    /// <summary>Number of classes; null where it names none.</summary>
    public int? Classes { get; init; }

    /// <summary>Names of the classes in the order of their numbers, found when a run begins; null: labels are numbers.</summary>
    public IReadOnlyList<string>? ClassNames { get; init; }
}

/// <summary>How the columns of a table become the model's inputs.</summary>
public sealed record TableOptions
{
    /// <summary>Columns of the feature vector, in its order; default null: every column that holds numbers, the label excepted, in the file's order.</summary>
    public IReadOnlyList<string>? Features { get; init; }

    /// <summary>True subtracts each feature's mean and divides by its standard deviation over the training rows; default false.</summary>
    public bool Standardize { get; init; }

    /// <summary>Means of the features over the training rows, found when a run begins.</summary>
    public IReadOnlyList<double>? Mean { get; init; }

    /// <summary>Standard deviations of the features over the training rows, 1 where a feature never changes.</summary>
    public IReadOnlyList<double>? Deviation { get; init; }

    /// <summary>The words of each column that holds words, in the order of their numbers, found when a run begins.</summary>
    public IReadOnlyDictionary<string, IReadOnlyList<string>>? Categories { get; init; }
}

/// <summary>How an instruction becomes a prompt.</summary>
public enum PromptTemplate
{
    /// <summary>What one would do today: Alpaca's own template, instruction and input both kept, the tokenizer's chat template where it has one.</summary>
    Clean,

    /// <summary>What the published LIFT runs did, to the space, to compare with published figures.</summary>
    Paper,
}
