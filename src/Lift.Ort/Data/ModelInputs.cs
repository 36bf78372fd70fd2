using Lift.Ort.Onnx;

namespace Lift.Ort.Data;

/// <summary>What the names and types of a model's inputs say about the data it reads.</summary>
internal sealed class ModelInputs
{
    public const string DecoderIds = "decoder_input_ids", DecoderMask = "decoder_attention_mask", DecoderPositions = "decoder_position_ids";

    /// <summary>What a decoder in a file of its own reads of its encoder.</summary>
    public const string EncoderStates = "encoder_hidden_states", EncoderMask = "encoder_attention_mask";

    private static readonly string[] companions = ["attention_mask", "position_ids", "token_type_ids", DecoderIds, DecoderMask, DecoderPositions, EncoderMask, Batch.LabelsName];

    public ModelInputs(IReadOnlyList<GraphValue> inputs)
    {
        All = inputs;
        Labels = inputs.FirstOrDefault(i => i.Name == Batch.LabelsName);
        Streams = new TokenStreams(inputs);
        Tokens = Streams.All.Count > 0 ? null : inputs.FirstOrDefault(i => i.Name == "input_ids")
            ?? (ReadsEncoder ? inputs.FirstOrDefault(i => i.Name == DecoderIds) : null)
            ?? inputs.FirstOrDefault(i => i.Type is { Element: ElementType.Int64 or ElementType.Int32, Rank: 2 or null } && !IsScalar(i) && !companions.Contains(i.Name));
    }

    public IReadOnlyList<GraphValue> All { get; }

    /// <summary>The input that takes token ids: <c>input_ids</c>, else the first integer input of rank 2; null where the model reads no text.</summary>
    public GraphValue? Tokens { get; }

    /// <summary>The texts of a model that reads several apart; <see cref="Tokens"/> is null then.</summary>
    public TokenStreams Streams { get; }

    /// <summary>The labels input; null for a model without a loss.</summary>
    public GraphValue? Labels { get; }

    /// <summary>Numbers in the label of a row (or of a place of it) where labels are numbers: the last dimension; null where it is open.</summary>
    public int? LabelWidth => Labels is { Type: { Shape: { Rank: > 1 } shape } type } && type.Element.IsFloat() ? (int?)shape[-1].Value : null;

    /// <summary>True for a model with a decoder of its own, which reads the target's tokens.</summary>
    public bool HasDecoder => Tokens?.Name != DecoderIds && All.Any(i => i.Name == DecoderIds);

    /// <summary>True for a decoder whose cache holds the latest tokens only.</summary>
    public bool HasWindow => All.Any(i => i.Role == InputRole.Window);

    /// <summary>True for a decoder whose encoder lies in another file.</summary>
    public bool ReadsEncoder => All.Any(i => i.Name == EncoderStates);

    /// <summary>True where a label belongs to a whole row: a class, or numbers that a value loss compares with.</summary>
    public bool WholeRowLabels => Labels is { } labels && (labels.Type.Rank is 0 or 1 || labels.Type.Element.IsFloat());

    /// <summary>True where the file must or may give this input: all but what follows from the tokens themselves.</summary>
    public bool MustBeGiven(GraphValue input) => input != Tokens && !Streams.Knows(input) && !companions.Contains(input.Name) && !IsPast(input) && !(Tokens is not null && DecoderMasks.IsOfQueries(input));

    /// <summary>The input that the rows must give, where there is exactly one.</summary>
    public GraphValue? OnlyGiven => All.Where(MustBeGiven).ToArray() is [var one] ? one : null;

    /// <summary>The input of more than one number per row that the rows must give, where there is exactly one.</summary>
    public GraphValue? OnlyLarge => All.Where(i => MustBeGiven(i) && !IsScalar(i)).ToArray() is [var one] ? one : null;

    /// <summary>True for an input of one number per row: [batch] or [batch, 1].</summary>
    public static bool IsScalar(GraphValue input) => input.Type.Shape is { Rank: > 0 } shape && shape.Dims.Skip(1).All(d => d.Value == 1);

    /// <summary>True for what only a decoder with a cache reads: the cache, which is empty here, and what goes with it.</summary>
    public static bool IsPast(GraphValue input) => WithoutCache.Knows(input);
}
