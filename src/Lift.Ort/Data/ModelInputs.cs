using Lift.Ort.Onnx;

namespace Lift.Ort.Data;

/// <summary>What the names and types of a model's inputs say about the data it reads.</summary>
internal sealed class ModelInputs
{
    private static readonly string[] companions = ["attention_mask", "position_ids", "token_type_ids", Batch.LabelsName];

    public ModelInputs(IReadOnlyList<GraphValue> inputs)
    {
        All = inputs;
        Labels = inputs.FirstOrDefault(i => i.Name == Batch.LabelsName);
        Tokens = inputs.FirstOrDefault(i => i.Name == "input_ids")
            ?? inputs.FirstOrDefault(i => i.Type is { Element: ElementType.Int64 or ElementType.Int32, Rank: 2 or null } && !companions.Contains(i.Name));
    }

    public IReadOnlyList<GraphValue> All { get; }

    /// <summary>The input that takes token ids: <c>input_ids</c>, else the first integer input of rank 2; null where the model reads no text.</summary>
    public GraphValue? Tokens { get; }

    /// <summary>The labels input; null for a model without a loss.</summary>
    public GraphValue? Labels { get; }

    /// <summary>True where a label belongs to a whole row: a class, or numbers that a value loss compares with.</summary>
    public bool WholeRowLabels => Labels is { } labels && (labels.Type.Rank == 1 || labels.Type.Element.IsFloat());

    /// <summary>True where the file must or may give this input: all but what follows from the tokens themselves.</summary>
    public bool MustBeGiven(GraphValue input) => input != Tokens && !companions.Contains(input.Name) && !IsPast(input);

    /// <summary>True for a key/value cache input, which training leaves empty.</summary>
    public static bool IsPast(GraphValue input) => input.Name.StartsWith("past_key", StringComparison.Ordinal) && input.Type.Rank >= 3;
}
