using System.Text.Json;
using System.Text.Json.Serialization;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;

namespace Lift.Ort.Artifacts;

/// <summary>Where the values of a folder's parameters lie.</summary>
public enum ParameterStorage
{
    /// <summary>In <c>checkpoint</c>, as ONNX Runtime expects: float32, up to 2 GB. The folder works in every training build.</summary>
    Checkpoint,

    /// <summary>In <c>checkpoint.data</c>, beside the checkpoint: above 2 GB, or with 16-bit weights. Our extension.</summary>
    Data,

    /// <summary>In the source model's own file; <c>checkpoint</c> holds the names only. Our extension.</summary>
    Source,
}

/// <summary>A weight that the folder's training model can train: its ONNX name, the layer it belongs to, its dimensions and stored type.</summary>
public sealed record WeightRecord(string Name, string Layer, long[] Dims, ElementType Type);

/// <summary>What <c>lift.json</c> says of an artifact folder. Folders of other makers have none; it is then derived from the models.</summary>
public sealed record ArtifactRecord
{
    public const int CurrentFormat = 1;

    public int Format { get; init; } = CurrentFormat;

    /// <summary>Full path of the model that the folder was made from; null in folders of other makers.</summary>
    public string? Source { get; init; }

    /// <summary>SHA-256 of the source model's file, in hexadecimal.</summary>
    public string? SourceSha256 { get; init; }

    /// <summary>Which loss (the first of several), one of <see cref="Losses.Names"/>; null in folders of other makers.</summary>
    public string? Loss { get; init; }

    /// <summary>What the loss was told beyond its name.</summary>
    public LossOptions LossOptions { get; init; } = new();

    /// <summary>The output that holds the loss.</summary>
    public string LossOutput { get; init; } = ArtifactNames.Loss;

    /// <summary>The output that the loss scores, for example <c>logits</c>; null where the models do not tell.</summary>
    public string? Scored { get; init; }

    /// <summary>Number of classes (the vocabulary of a language model) where the loss takes class labels; null elsewhere.</summary>
    public long? Classes { get; init; }

    /// <summary>The input that takes the labels: <c>labels</c>, and what it is called in folders of other makers.</summary>
    [JsonIgnore]
    public string Labels { get; init; } = ArtifactNames.Labels;

    /// <summary>User inputs in the order of the training model, <c>labels</c> last.</summary>
    public IReadOnlyList<string> Inputs { get; init; } = [];

    /// <summary>Trainable weights in the order of the training model.</summary>
    public IReadOnlyList<WeightRecord> Weights { get; init; } = [];

    /// <summary>Initializers of the source model's quantized matrices that are float weights here; null where there are none.</summary>
    public IReadOnlyList<string>? Dequantized { get; init; }

    /// <summary>Tokens that a text may have at most, where the model's cache has a fixed length; null elsewhere.</summary>
    public long? LongestText { get; init; }

    /// <summary>Running statistics of batch normalisation that each batch renews: frozen parameters, each with the output that holds its new value; null where there are none.</summary>
    public IReadOnlyList<RunningStatistic>? Statistics { get; init; }

    public ParameterStorage Storage { get; init; }

    /// <summary>The losses where there are several, or one over several outputs; the first is <see cref="Loss"/>. Null where there is one over one output.</summary>
    public IReadOnlyList<ScoredTerm>? Terms { get; init; }

    /// <summary>The losses, however many there are; none in folders of other makers.</summary>
    [JsonIgnore]
    public IReadOnlyList<ScoredTerm> AllTerms => Terms ?? (Loss is null ? [] : [new(Loss, Scored is null ? [] : [Scored], Losses.Find(Loss).Kind == LabelKind.None ? null : Labels, LossOutput) { Options = LossOptions, Classes = Classes }]);

    /// <summary>Rows of a batch that make one example: more than 1 for losses that compare rows.</summary>
    [JsonIgnore]
    public int RowsPerExample => AllTerms is [var only] ? only.Rows : 1;

    private static readonly JsonSerializerOptions options = new()
    {
        WriteIndented = true,
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower) },
    };

    public byte[] ToJson() => JsonSerializer.SerializeToUtf8Bytes(this, options);

    /// <exception cref="LiftException">The file is no JSON of this form, or of a later version.</exception>
    public static ArtifactRecord Read(string path)
    {
        ArtifactRecord record;
        try
        {
            record = JsonSerializer.Deserialize<ArtifactRecord>(File.ReadAllBytes(path), options) ?? throw new JsonException("it is null");
        }
        catch (Exception e) when (e is JsonException or NotSupportedException or IOException or UnauthorizedAccessException)
        {
            throw new LiftException($"'{path}' cannot be read: {e.Message} Prepare the model again, or delete the file if another program made the folder.", e);
        }
        return record.Format is >= 1 and <= CurrentFormat ? record
            : throw new LiftException($"'{path}' has format {record.Format}; this version reads 1 to {CurrentFormat}: use a later version of lift, or prepare the model again.");
    }
}
