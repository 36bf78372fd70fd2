using Lift.Ort.Data;

namespace Lift.Ort.Generation;

/// <summary>Reads the logits of one text's next token; the span is valid during the call only.</summary>
internal delegate void LogitsReader(int text, ReadOnlySpan<float> logits);

/// <summary>Asks a model for the next token of several texts at once, in one forward pass over all of them.</summary>
internal sealed class NextTokens(ExportedModel model, int padId, bool useCache = true) : IDisposable
{
    private readonly CachedTexts? cached = useCache && model.Cache is { } layout ? new(model, layout, padId) : null;
    private float[] scratch = [];

    /// <summary>Tokens that a text may have where the model's input is of fixed length; no bound otherwise.</summary>
    public int LongestText { get; } = new ModelInputs(model.Inputs).Tokens?.Type.Shape is { Rank: 2 } shape ? (int)(shape[1].Value ?? int.MaxValue) : int.MaxValue;

    /// <exception cref="LiftException">The model gives no logits per token, or does not take these texts.</exception>
    public void Read(IReadOnlyList<int[]> texts, LogitsReader read)
    {
        if (cached is not null)
        {
            cached.Read(texts, read);
            return;
        }
        Example[] examples = [.. texts.Select((t, i) => new Example(i + 1, t, [], Example.NoValues))];
        var builder = new BatchBuilder(model.Inputs, new DataOptions { Batch = Math.Max((int)BatchBuilder.FixedBatch(model.Inputs), texts.Count) }, padId);
        using var output = model.Run(builder.Build(examples).Values);
        ExportedModel.CheckLogits(model, output);
        bool lastOnly = output.Dims[1] == 1 && texts.Any(t => t.Length > 1);
        if (lastOnly && texts.Any(t => t.Length != texts[0].Length))
        {
            for (int b = 0; b < texts.Count; b++) Read([texts[b]], (_, logits) => read(b, logits)); // the last place of a shorter text is padding
            return;
        }
        for (int b = 0; b < texts.Count; b++) read(b, output.Row(lastOnly ? b : b * output.Dims[1] + texts[b].Length - 1, ref scratch));
    }

    public void Dispose() => cached?.Dispose();
}
