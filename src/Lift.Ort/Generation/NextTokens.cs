using Lift.Ort.Data;

namespace Lift.Ort.Generation;

/// <summary>Reads the logits of one text's next token; the span is valid during the call only.</summary>
internal delegate void LogitsReader(int text, ReadOnlySpan<float> logits);

/// <summary>Asks a model for the next token of several texts at once, in one forward pass over all of them.</summary>
internal sealed class NextTokens(ExportedModel model, int padId)
{
    private readonly int? fixedBatch = (int?)model.Inputs.Where(i => i.Type.Rank > 0).Select(i => i.Type.Shape![0].Value).FirstOrDefault(d => d is not null);
    private float[] scratch = [];

    /// <summary>Tokens that a text may have where the model's input is of fixed length; no bound otherwise.</summary>
    public int LongestText { get; } = new ModelInputs(model.Inputs).Tokens?.Type.Shape is { Rank: 2 } shape ? (int)(shape[1].Value ?? int.MaxValue) : int.MaxValue;

    /// <exception cref="LiftException">The model gives no logits per token, or does not take these texts.</exception>
    public void Read(IReadOnlyList<int[]> texts, LogitsReader read)
    {
        Example[] examples = [.. texts.Select((t, i) => new Example(i + 1, t, [], Example.NoValues))];
        var builder = new BatchBuilder(model.Inputs, new DataOptions { Batch = fixedBatch ?? texts.Count }, padId);
        using var output = model.Run(builder.Build(examples).Values);
        if (output.Dims.Length != 3) throw new LiftException($"The model's output '{model.Output}' is {model.OutputType}; a model that writes text gives [batch, sequence, vocabulary].");
        for (int b = 0; b < texts.Count; b++) read(b, output.Row(b * output.Dims[1] + texts[b].Length - 1, ref scratch));
    }
}
