using Lift.Ort.Data;
using Lift.Ort.Onnx;

namespace Lift.Ort.Generation;

/// <summary>Reads the logits of one text's next token; the span is valid during the call only.</summary>
internal delegate void LogitsReader(int text, ReadOnlySpan<float> logits);

/// <summary>
/// Asks a model for the next token of several texts at once: from its cache where it has one, else in one forward pass over all of them. What a cache gives is
/// compared with the forward pass in its first step; a cache that works only for texts of equal length, or in another way than it seems, is used no further.
/// </summary>
/// <param name="room">Tokens that a text will have at most, where that is known.</param>
/// <param name="sources">What the texts are written about where the model has an encoder.</param>
internal sealed class NextTokens(ExportedModel model, int padId, bool useCache = true, Sources? sources = null, int room = 0) : IDisposable
{
    private CachedTexts? cached = useCache && model.Trust.Works != false && model.Cache is { } layout ? new(model, layout, padId, sources, room) : null;
    private float[] scratch = [];

    /// <summary>Tokens that a text may have where the model's input or its cache is of fixed length; no bound otherwise.</summary>
    public int LongestText { get; } = (int)Math.Min(TextInput(model.Inputs)?.Type.Shape is { Rank: 2 } shape ? shape[1].Value ?? int.MaxValue : int.MaxValue, CacheLayout.RoomOf(model.Inputs) ?? int.MaxValue);

    /// <param name="of">The source of each text, where there are sources.</param>
    /// <exception cref="LiftException">The model gives no logits per token, or does not take these texts.</exception>
    public void Read(IReadOnlyList<int[]> texts, LogitsReader read, IReadOnlyList<int>? of = null)
    {
        if (cached is null)
        {
            ReadWhole(texts, read, of);
            return;
        }
        var (goesOn, padded) = cached.Survey(texts, of);
        if (goesOn && (padded ? model.Trust.WorksPadded : model.Trust.Works) is null) Check(texts, padded, read, of);
        else cached.Read(texts, read, of);
    }

    public void Dispose() => cached?.Dispose();

    /// <summary>The input that takes the text being written.</summary>
    private static GraphValue? TextInput(IReadOnlyList<GraphValue> inputs) =>
        new ModelInputs(inputs) is { HasDecoder: true } ? inputs.First(i => i.Name == ModelInputs.DecoderIds) : new ModelInputs(inputs).Tokens;

    private void Check(IReadOnlyList<int[]> texts, bool padded, LogitsReader read, IReadOnlyList<int>? of)
    {
        float[][] whole = Copies(ReadWhole, texts, of);
        bool right;
        try
        {
            right = Near(whole, Copies(cached!.Read, texts, of), model.Cache!.Tolerance);
        }
        catch (LiftException)
        {
            right = false; // it takes whole texts, and not this step
        }
        if (padded) model.Trust.WorksPadded = right;
        else model.Trust.Works = right;
        if (!right)
        {
            cached!.Dispose();
            cached = padded ? new(model, model.Cache!, padId, sources, room) : null;
        }
        for (int i = 0; i < texts.Count; i++) read(i, whole[i]);
    }

    private static float[][] Copies(Action<IReadOnlyList<int[]>, LogitsReader, IReadOnlyList<int>?> from, IReadOnlyList<int[]> texts, IReadOnlyList<int>? of)
    {
        var copies = new float[texts.Count][];
        from(texts, (i, logits) => copies[i] = logits.ToArray(), of);
        return copies;
    }

    private static bool Near(float[][] whole, float[][] stepped, float tolerance)
    {
        float largest = whole.Max(w => w.Max(MathF.Abs));
        return whole.Zip(stepped).All(p => p.First.Zip(p.Second).All(v => Math.Abs(v.First - v.Second) <= tolerance * largest));
    }

    private void ReadWhole(IReadOnlyList<int[]> texts, LogitsReader read, IReadOnlyList<int>? of)
    {
        if (sources is not null && of!.Select(sources.GroupOf).Distinct().Count() > 1)
        {
            foreach (var alike in Enumerable.Range(0, texts.Count).GroupBy(i => sources.GroupOf(of![i])).Select(g => g.ToArray()))
                ReadWhole([.. alike.Select(i => texts[i])], (i, logits) => read(alike[i], logits), [.. alike.Select(i => of![i])]);
            return;
        }
        Example[] examples = [.. texts.Select((t, i) => sources?.With(of![i], t) ?? new Example(i + 1, t, [], Example.NoValues))];
        var builder = new BatchBuilder(model.Inputs, new DataOptions { Batch = Math.Max((int)BatchBuilder.FixedBatch(model.Inputs), texts.Count), DecoderStart = texts[0][0] }, padId);
        using var output = model.Run(builder.Build(examples).Values);
        ExportedModel.CheckLogits(model, output);
        bool lastOnly = output.Dims[1] == 1 && texts.Any(t => t.Length > 1);
        if (lastOnly && texts.Any(t => t.Length != texts[0].Length))
        {
            for (int b = 0; b < texts.Count; b++) ReadWhole([texts[b]], (_, logits) => read(b, logits), of is null ? null : [of[b]]); // the last place of a shorter text is padding
            return;
        }
        for (int b = 0; b < texts.Count; b++) read(b, output.Row(lastOnly ? b : b * output.Dims[1] + texts[b].Length - 1, ref scratch));
    }
}
