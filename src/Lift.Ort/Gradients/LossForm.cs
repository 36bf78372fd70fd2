using Lift.Ort.Onnx;

namespace Lift.Ort.Gradients;

/// <summary>What a loss compares the scores with, and so what the rows of data must hold.</summary>
public enum LabelKind
{
    /// <summary>The text itself, one token later.</summary>
    NextTokens,

    /// <summary>A class per row, token or pixel; int64, −100 is not counted.</summary>
    Classes,

    /// <summary>A text of its own: token ids that a decoder writes, int64 <c>[batch, length]</c>, −100 after its end.</summary>
    Sequence,

    /// <summary>Numbers, float32 in the shape of the scores.</summary>
    Values,

    /// <summary>One number per pair of rows, float32 <c>[pairs]</c>.</summary>
    PairScores,

    /// <summary>Nothing: which rows belong together is all that is known.</summary>
    None,
}

/// <summary>A loss: what it reads and how it is written in standard operators.</summary>
/// <param name="Name">How it is asked for.</param>
/// <param name="Summary">One line for help.</param>
/// <param name="Kind">What its labels are.</param>
/// <param name="Reads">Names of the <see cref="LossOptions"/> that it reads.</param>
public sealed record LossForm(string Name, string Summary, LabelKind Kind, IReadOnlyList<string> Reads)
{
    /// <summary>Rows of the batch that make one example: 1, or 2 and 3 where rows are compared with each other.</summary>
    public int Rows(LossOptions options) => Name switch
    {
        "contrastive" => options.Group,
        "cosine" => 2,
        "triplet" => 3,
        _ => 1,
    };

    /// <summary>True for labels that name classes (tokens are classes too).</summary>
    public bool NamesClasses => Kind is LabelKind.NextTokens or LabelKind.Classes or LabelKind.Sequence;

    /// <summary>True where labels of −100 are not counted.</summary>
    internal bool LeavesOut => NamesClasses || Name == "bce";

    /// <summary>True for losses over one embedding per row.</summary>
    public bool Embeds => Kind is LabelKind.PairScores || Reads.Contains(nameof(LossOptions.Pooling));

    /// <summary>Outputs that the loss can score together: those of one part each.</summary>
    internal IReadOnlyList<int> OutputCounts => Name switch
    {
        "contrastive" => [1, 2, 3],
        "cosine" => [1, 2],
        "triplet" => [1, 3],
        _ => [1],
    };

    /// <summary>Type of the input <c>labels</c> for scores of <paramref name="scored"/>; null where the loss reads no labels.</summary>
    public TensorType? Labels(TensorType scored, LossOptions options) => Kind switch
    {
        LabelKind.None => null,
        LabelKind.PairScores => new(ElementType.Float, new Shape("pairs")),
        LabelKind.Values => new(ElementType.Float, scored.Shape),
        LabelKind.Sequence when Name == "ctc" => new(ElementType.Int64, scored.Shape is { Rank: > 0 } s ? new Shape(s[0], "label_length") : null),
        _ => new(ElementType.Int64, scored.Shape is { Rank: > 0 } s ? new Shape(s.Dims.RemoveAt(AxisOf(s.Rank, options))) : null),
    };

    /// <summary>The axis of the classes, from the front.</summary>
    public int AxisOf(int rank, LossOptions options) => options.ClassAxis switch
    {
        ClassAxis.First when Reads.Contains(nameof(LossOptions.ClassAxis)) => Math.Min(1, rank - 1),
        ClassAxis.Auto when Reads.Contains(nameof(LossOptions.ClassAxis)) && rank >= 4 => 1,
        _ => rank - 1,
    };

    /// <summary>Number of classes that <paramref name="scored"/> tells apart; null where labels name none or the file does not say.</summary>
    public long? Classes(Shape? scored, LossOptions options) => NamesClasses && scored is { Rank: > 0 } s ? s[AxisOf(s.Rank, options)].Value : null;

    /// <summary>Smallest and largest label that makes sense; null where any number does.</summary>
    public IReadOnlyList<double>? Range { get; internal init; }

    internal Func<LossGraph, Var> Build { get; init; } = null!;
}

/// <summary>What a loss is made of: the graph it is added to, the scores in float32 (of all its outputs), the labels where it has some.</summary>
/// <param name="LabelsInput">The input that takes the labels.</param>
internal sealed record LossGraph(Graph Graph, LossForm Form, IReadOnlyList<Var> Outputs, LossOptions Options, string LabelsInput)
{
    public Var Scores => Outputs[0];

    public Var Labels => Graph.Var(LabelsInput);

    public LiftException Refuse(string wanted) => new($"The {Form.Name} loss needs an output of {wanted}, but '{Scores.Name}' is {Scores.Type}; choose another --output or --loss.");
}
