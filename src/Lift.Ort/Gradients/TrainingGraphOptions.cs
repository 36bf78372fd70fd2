namespace Lift.Ort.Gradients;

/// <summary>What to train a model for, and which of its weights.</summary>
public sealed record TrainingGraphOptions
{
    /// <summary>One of <see cref="Losses.Names"/>; default causal-lm.</summary>
    public string Loss { get; init; } = "causal-lm";

    /// <summary>What the loss is told beyond its name.</summary>
    public LossOptions LossOptions { get; init; } = new();

    /// <summary>The output that is scored; default: <c>logits</c>, else the first float output.</summary>
    public string? Output { get; init; }

    /// <summary>Several losses, or one over several outputs; where some are given, <see cref="Loss"/>, <see cref="LossOptions"/> and <see cref="Output"/> are not read. Default none.</summary>
    public IReadOnlyList<LossTerm> Terms { get; init; } = [];

    /// <summary>The losses that are asked for, one way or the other.</summary>
    internal IReadOnlyList<LossTerm> AllTerms => Terms.Count > 0 ? Terms : [new(Loss) { Outputs = Output is null ? [] : [Output], Options = LossOptions }];

    /// <summary>Patterns over initializer and layer names; a match is trained. Default: LIFT's choice, the matrices of attention and MLP layers.
    /// <c>*</c> alone means every float initializer on a differentiable path, running statistics excepted.</summary>
    public IReadOnlyList<string> Train { get; init; } = [];

    /// <summary>Patterns over initializers, layers and nodes of quantized matrices that become float weights first (see <see cref="Dequantization"/>); none by default.</summary>
    public IReadOnlyList<string> Dequantize { get; init; } = [];

    /// <summary>Patterns of weights that stay as they are; they win over <see cref="Train"/>.</summary>
    public IReadOnlyList<string> Freeze { get; init; } = [];

    /// <summary>With which statistics BatchNormalization normalises in training; default: as the file says.</summary>
    public BatchNormForm BatchNorm { get; init; }

    /// <summary>Sizes of dimensions that the file leaves open, by symbol or as <c>input.axis</c> (see <see cref="Onnx.FixedDims"/>); none by default. The exported model keeps them open.</summary>
    public IReadOnlyDictionary<string, long> Dims { get; init; } = new Dictionary<string, long>();

    /// <summary>False differentiates chains (layer and RMS normalization, Gelu) node by node instead of as the one operator they stand for.</summary>
    public bool Raise { get; init; } = true;
}
