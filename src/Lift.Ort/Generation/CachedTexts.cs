using Lift.Ort.Data;
using Lift.Ort.Lowering.Decoders;
using Lift.Ort.Onnx;
using Lift.Ort.Sessions;
using Microsoft.ML.OnnxRuntime;
using Tensor = Lift.Ort.Onnx.Tensor;

namespace Lift.Ort.Generation;

/// <summary>
/// Next tokens from a model that remembers: a text that goes on by one token from a text read before costs one token, any other is read whole. Whoever asks
/// gives whole texts and need not know. Texts of different lengths share a batch where the model allows it; otherwise those of equal length do.
/// </summary>
/// <param name="room">Tokens that a text will have at most, for buffers that are as long as one makes them.</param>
/// <param name="sources">What the texts are written about where the model has an encoder.</param>
internal sealed class CachedTexts(ExportedModel model, CacheLayout layout, int padId, Sources? sources = null, int room = 0) : IDisposable
{
    private readonly int fixedBatch = (int)BatchBuilder.FixedBatch(model.Inputs);
    private readonly ModelInputs inputs = new(model.Inputs);
    private List<Group> groups = [];
    private bool padded = layout.Padded && model.Trust.WorksPadded != false;
    private float[] scratch = [];

    /// <summary>Texts whose caches lie in one batch.</summary>
    /// <param name="Mask">For each text, 1 for every place of the cache that holds a token.</param>
    /// <param name="Of">The source of each text; null without sources.</param>
    /// <param name="SourceLength">Places of the sources in the cache.</param>
    /// <param name="Room">Places that the cache has.</param>
    private sealed record Group(int[][] Texts, long[][] Mask, OrtValue[] Cache, int[]? Of, long SourceLength, long Room) : IDisposable
    {
        public bool IsFull => Mask[0].Length >= Room;

        public void Dispose()
        {
            foreach (OrtValue value in Cache) value.Dispose();
        }
    }

    /// <summary>Whether a text would be read by its last token, and whether padding lies before that.</summary>
    public (bool GoesOn, bool Padded) Survey(IReadOnlyList<int[]> texts, IReadOnlyList<int>? of = null)
    {
        Group[] known = [.. texts.Select((t, i) => Find(t, of?[i]).Group).OfType<Group>().Distinct()];
        return (known.Length > 0, known.Any(g => g.Mask.Any(m => m.Contains(0))));
    }

    /// <exception cref="LiftException">The model gives no logits per token, or does not take these texts.</exception>
    public void Read(IReadOnlyList<int[]> texts, LogitsReader read, IReadOnlyList<int>? of = null)
    {
        var parents = new (Group? Group, int Row)[texts.Count];
        for (int i = 0; i < texts.Count; i++) parents[i] = Find(texts[i], of?[i]);
        var next = new List<Group>();
        var outputs = new List<ModelOutput>();
        var places = new (ModelOutput Output, long Row)[texts.Count];
        try
        {
            foreach (var known in Enumerable.Range(0, texts.Count).Where(i => parents[i].Group is not null).GroupBy(i => parents[i].Group!))
            {
                int[] which = [.. known];
                Note(which, Step(known.Key, [.. which.Select(i => parents[i].Row)], [.. which.Select(i => texts[i])], Those(which)));
            }
            int[] fresh = [.. Enumerable.Range(0, texts.Count).Where(i => parents[i].Group is null)];
            foreach (int[] which in fresh.GroupBy(i => (padded ? 0 : texts[i].Length, of is null ? 0 : sources!.GroupOf(of[i]))).Select(g => g.ToArray()))
            {
                var first = Begin([.. which.Select(i => texts[i])], Those(which));
                if (first.Output.Dims[1] == 1 && which.Any(i => texts[i].Length != texts[which[0]].Length)) // it scores the last place only, which is padding for some
                {
                    padded = false;
                    Dispose(first);
                    foreach (int[] equal in which.GroupBy(i => texts[i].Length).Select(g => g.ToArray())) Note(equal, Begin([.. equal.Select(i => texts[i])], Those(equal)));
                }
                else Note(which, first);
            }
            for (int i = 0; i < texts.Count; i++) read(i, places[i].Output.Row(places[i].Row, ref scratch));
        }
        finally
        {
            foreach (ModelOutput output in outputs) output.Dispose();
            foreach (Group old in groups) old.Dispose();
            groups = next;
        }

        int[]? Those(int[] which) => of is null ? null : [.. which.Select(i => of[i])];

        void Note(int[] which, (ModelOutput Output, Group Group) made)
        {
            outputs.Add(made.Output);
            next.Add(made.Group);
            for (int row = 0; row < which.Length; row++)
            {
                long length = made.Output.Dims[1];
                places[which[row]] = (made.Output, row * length + Math.Min(length, texts[which[row]].Length) - 1);
            }
        }
    }

    public void Dispose()
    {
        foreach (Group group in groups) group.Dispose();
        groups = [];
    }

    private static void Dispose((ModelOutput Output, Group Group) made)
    {
        made.Output.Dispose();
        made.Group.Dispose();
    }

    private (Group? Group, int Row) Find(int[] text, int? source)
    {
        foreach (Group group in groups.Where(g => !g.IsFull))
        {
            for (int row = 0; row < group.Texts.Length; row++)
            {
                if (group.Texts[row].Length == text.Length - 1 && (source is null || group.Of![row] == source) && text.AsSpan(0, text.Length - 1).SequenceEqual(group.Texts[row])) return (group, row);
            }
        }
        return (null, -1);
    }

    /// <summary>Reads whole texts, padded on the right.</summary>
    private (ModelOutput Output, Group Group) Begin(int[][] texts, int[]? of)
    {
        Example[] examples = [.. texts.Select((t, i) => sources?.With(of![i], t) ?? new Example(i + 1, t, [], Example.NoValues))];
        int rows = Math.Max(fixedBatch, texts.Length), length = texts.Max(t => t.Length);
        IReadOnlyDictionary<string, Tensor> values = new BatchBuilder(model.Inputs, new DataOptions { Batch = rows }, padId).Build(examples).Values;
        int places = Math.Max(room, length + 1); // of a buffer that is as long as one makes it
        Tensor[] empty = [.. layout.Slots.Select((s, i) => Tensor.Empty(s.Past, model.CacheTypes[i], s.Empty(rows, places)))];
        OrtValue[] past = [.. empty.Select(HostValue.Of)];
        try
        {
            var (output, cache) = model.RunCached(values, past);
            return (output, new(texts, [.. texts.Select(t => Enumerable.Range(0, length).Select(i => i < t.Length ? 1L : 0).ToArray())], cache, of, of?.Max(sources!.LengthOf) ?? 0, layout.Room ?? (layout.Grown ? places : long.MaxValue)));
        }
        finally
        {
            foreach (OrtValue value in past) value.Dispose();
            GC.KeepAlive(empty);
        }
    }

    /// <summary>Reads the last token of each text, whose others the rows of a group remember.</summary>
    private (ModelOutput Output, Group Group) Step(Group group, int[] rows, int[][] texts, int[]? of)
    {
        int count = Math.Max(fixedBatch, texts.Length);
        int[] taken = [.. rows, .. Enumerable.Repeat(rows[0], count - rows.Length)];
        bool same = taken.Length == Math.Max(fixedBatch, group.Texts.Length) && !taken.Where((r, i) => r != i && i < rows.Length).Any();
        OrtValue[] past = same ? group.Cache : model.Selector.Pick(group.Cache, taken);
        try
        {
            long[][] mask = [.. rows.Select(r => (long[])[.. group.Mask[r], 1])];
            int[] lines = [.. taken.Select((_, i) => i < rows.Length ? i : 0)];
            Dictionary<string, Tensor> values = Inputs(texts, mask, lines);
            if (of is not null) foreach (GraphValue input in inputs.All.Where(i => sources!.Gives(i.Name))) values[input.Name] = sources!.Of(input, [.. lines.Select(l => of[l])], group.SourceLength);
            var (output, cache) = model.RunCached(values, past);
            for (int i = 0; i < cache.Length; i++) // what came from the encoder is put out empty by this branch
                if (layout.Slots[i].IsOfEncoder) (cache[i], past[i]) = (past[i], cache[i]);
            return (output, new(texts, mask, cache, of, group.SourceLength, group.Room));
        }
        finally
        {
            if (!same) foreach (OrtValue value in past) value.Dispose();
        }
    }

    /// <param name="of">Which text each row of the batch holds.</param>
    private Dictionary<string, Tensor> Inputs(int[][] texts, long[][] mask, int[] of)
    {
        int slots = mask[0].Length;
        long[][] rows = [.. of.Select(t => layout.Compact ? [.. Enumerable.Repeat(1L, texts[t].Length), .. new long[slots - texts[t].Length]] : mask[t])];
        return inputs.All.Where(i => layout.Slots.All(s => s.Past != i.Name) && sources?.Gives(i.Name) != true).ToDictionary(i => i.Name, i => i.Name switch
        {
            _ when DecoderInputs.IsCounting(i) => WithoutCache.Count(i, slots - 1, 1, [.. of.Select(t => (long)texts[t].Length)]),
            _ when DecoderMasks.Is(i) => DecoderMasks.Make(i, inputs.All, rows, 1),
            ModelInputs.DecoderMask => Make(i, [of.Length, slots], [.. of.SelectMany(t => mask[t])]),
            "position_ids" when i.Type.Rank == 1 => Make(i, [1], [texts[0].Length - 1]),
            "position_ids" when i.Type.Shape![0].Value == 1 => Make(i, [1, 1], [texts[0].Length - 1]),
            "position_ids" or ModelInputs.DecoderPositions => Make(i, [of.Length, 1], [.. of.Select(t => texts[t].Length - 1L)]),
            "cache_position" => Make(i, [1], [slots - 1]),
            "token_type_ids" => Make(i, [of.Length, 1], new long[of.Length]),
            _ when i == inputs.Tokens => Make(i, [of.Length, 1], [.. of.Select(t => (long)texts[t][^1])]),
            _ => EmptyCache.Choice(i, hasPast: true) ?? throw new LiftException($"The model's input '{i.Name}' {i.Type} has no value while a text is written; export the model without it."),
        });
    }

    private static Tensor Make(GraphValue input, long[] dims, long[] values) => input.Type.Element switch
    {
        ElementType.Int32 => Tensor.From<int>(input.Name, Array.ConvertAll(values, v => (int)v), dims),
        ElementType.Bool => Tensor.From<bool>(input.Name, Array.ConvertAll(values, v => v != 0), dims),
        ElementType.Float => Tensor.From<float>(input.Name, Array.ConvertAll(values, v => (float)v), dims),
        _ => Tensor.From<long>(input.Name, values, dims),
    };
}
