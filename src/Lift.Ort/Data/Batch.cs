using Lift.Ort.Onnx;

namespace Lift.Ort.Data;

/// <summary>What one forward pass reads, by the model's input names, the first axis of each being the batch.</summary>
/// <param name="Values">For text: input_ids, labels and, where the model has them, attention_mask, position_ids, token_type_ids, each int64 [batch, length]; otherwise what the rows hold.</param>
/// <param name="Examples">Rows of data in it.</param>
/// <param name="Tokens">Tokens that are not padding (for rows without tokens: rows).</param>
/// <param name="LabelTokens">Labels that the loss counts.</param>
public sealed record Batch(IReadOnlyDictionary<string, Tensor> Values, int Examples, long Tokens, long LabelTokens)
{
    /// <summary>Name of the labels input, always the same.</summary>
    public const string LabelsName = "labels";

    /// <summary>Labels: int64 [batch, length] with −100 where none counts, or one class or number per row.</summary>
    public Tensor Labels => Values[LabelsName];

    /// <summary>Row numbers in the file, in the batch's order; empty for batches made by hand.</summary>
    public IReadOnlyList<int> Rows { get; init; } = [];
}

/// <summary>A place in the stream of batches: resuming there gives the same batches as never having stopped.</summary>
/// <param name="Epoch">Passes over the data that are complete, from 0.</param>
/// <param name="Index">Batches of this epoch already given out, from 0.</param>
public readonly record struct BatchPosition(int Epoch, int Index);
