using Lift.Ort.Gradients;
using Lift.Ort.Onnx;

namespace Lift.Ort.Data;

/// <summary>Lays examples under each other: right padding, masked out by attention_mask where the model has it and by −100 in the labels always.</summary>
internal sealed class BatchBuilder(IReadOnlyList<GraphValue> inputs, DataOptions options, int padId)
{
    private readonly ModelInputs model = new(SeveralLabels.Without(inputs, options));
    private readonly string? tokenLabels = options.Several.FirstOrDefault(c => SeveralLabels.IsPerToken(inputs, c))?.Input; // the one of several labels that stands under the tokens

    public Batch Build(IReadOnlyList<Example> examples)
    {
        Example[] rows = [.. examples.SelectMany(e => e.Parts.Count > 0 ? e.Parts : [e]).Select(e => e.Loaded())];
        int count = BatchDim(rows), length = LengthDim(rows.Max(r => r.Ids.Length), rows);
        var values = new Dictionary<string, Tensor>();
        foreach (var input in model.All.Where(i => i.Name != Batch.LabelsName)) values[input.Name] = Make(input, rows, count, length);
        bool compared = rows.Length > examples.Count;
        if (options.Several.Count == 0) AddLabels(values, model.Labels, compared ? examples : rows, compared ? examples.Count : count, length);
        foreach (LabelColumn column in options.Several) AddLabels(values, inputs.First(i => i.Name == column.Input), rows, count, length);
        if (options.Several.Count > 0) return new Batch(values, examples.Count, length > 0 ? rows.Sum(r => (long)r.Ids.Length) : rows.Length, examples.Count) { Rows = [.. examples.Select(r => r.Row)] };

        if (options.LabelsInput != Batch.LabelsName && values.TryGetValue(Batch.LabelsName, out Tensor? labels)) values[options.LabelsInput] = labels.Rename(options.LabelsInput);
        bool text = length > 0;
        return new Batch(values, examples.Count, text ? rows.Sum(r => (long)r.Ids.Length) : rows.Length, compared ? examples.Count : rows.Sum(r => (long)r.CountLabels(options.Shifted)))
        {
            Rows = [.. examples.Select(r => r.Row)],
        };
    }

    private Tensor Make(GraphValue input, IReadOnlyList<Example> rows, int count, int length)
    {
        if (rows[0].Values.ContainsKey(input.Name)) return Stack(input.Name, rows, count, length, input.Type);
        if (ModelInputs.IsPast(input)) return WithoutCache.Value(input, model.All, [.. Enumerable.Range(0, count).Select(b => Math.Max(1, b < rows.Count ? rows[b].Ids.Length : 0))], length);
        if (model.Tokens is not null && (input.Name == "attention_mask" ? input.Type.Shape is { Rank: > 1 } s && (s.Rank > 2 || s[1].IsKnown) || model.HasWindow : DecoderMasks.IsOfQueries(input)))
            return DecoderMasks.Make(input, model.All, [.. Enumerable.Range(0, count).Select(b => Enumerable.Range(0, length).Select(t => b < rows.Count && t < rows[b].Ids.Length ? 1L : 0).ToArray())], length);
        var type = input.Type.Element is ElementType.Undefined ? ElementType.Int64 : input.Type.Element;
        return input.Name switch
        {
            _ when input == model.Tokens => Fill(input.Name, type, rows, count, length, padId, r => r.Ids.Length, (r, t) => r.Ids[t]),
            "attention_mask" when model.Tokens is null && Sounding(rows[0]) is { } sound => Fill(input.Name, type, rows, count, rows.Max(r => (int)r.Values[sound].Dims[^1]), 0, r => (int)r.Values[sound].Dims[^1], (_, _) => 1),
            "attention_mask" or ModelInputs.DecoderMask when input.Name == "attention_mask" || model.ReadsEncoder => Fill(input.Name, type, rows, count, length, 0, r => r.Ids.Length, (_, _) => 1),
            "position_ids" when IsOneRow(input) => WithoutCache.Range(input, 0, length),
            "position_ids" or ModelInputs.DecoderPositions when input.Name == "position_ids" || model.ReadsEncoder => Positions(input.Name, type, count, length),
            "token_type_ids" => Fill(input.Name, type, rows, count, length, 0, r => r.Ids.Length, (_, _) => 0),
            ModelInputs.DecoderIds => Fill(input.Name, type, rows, count, TargetDim(rows), padId, r => r.Labels.Length, DecoderId),
            ModelInputs.EncoderMask when rows[0].Values.ContainsKey(ModelInputs.EncoderStates) => Fill(input.Name, type, rows, count, rows.Max(StatesOf), 0, StatesOf, (_, _) => 1),
            ModelInputs.DecoderPositions => Positions(input.Name, type, count, TargetDim(rows)),
            ModelInputs.DecoderMask => Fill(input.Name, type, rows, count, TargetDim(rows), 0, r => r.Labels.Length, (_, _) => 1),
            _ => throw new LiftException($"The model's input '{input.Name}' {input.Type} has no value in row {rows[0].Row}; add a field '{input.Name}' to every row."),
        };
    }

    /// <summary>A row's labels stand under its tokens; those of a text of their own (a target) have a length of their own.</summary>
    private void AddLabels(Dictionary<string, Tensor> values, GraphValue? input, IReadOnlyList<Example> rows, int count, int length)
    {
        string name = input?.Name ?? Batch.LabelsName;
        if (rows[0].Values.ContainsKey(name)) values[name] = Stack(name, rows, count, length, input?.Type ?? TensorType.Unknown);
        else if (rows[0].Labels.Length > 0 && (tokenLabels ?? name) == name)
        {
            var type = input?.Type.Element is ElementType.Int32 ? ElementType.Int32 : ElementType.Int64;
            bool own = model.HasDecoder || options.Kind == LabelKind.Sequence || options.Several.Any(c => c.Input == name && c.Kind == LabelKind.Sequence);
            values[name] = Fill(name, type, rows, count, own ? TargetDim(rows) : length, Example.Ignored, r => r.Labels.Length, (r, t) => r.Labels[t]);
        }
        else if (input is not null) throw new LiftException($"Row {rows[0].Row} has no label, which the loss reads as {input.Type}; add a field 'label'.");
    }

    /// <summary>What a decoder reads: the target, one place later, behind the token that it begins with.</summary>
    private int DecoderId(Example row, int t)
    {
        int id = t == 0 ? options.DecoderStart ?? padId : row.Labels[t - 1];
        return id == Example.Ignored ? padId : id;
    }

    /// <summary>Length of the longest target; a model of fixed decoder length gets targets filled up to it.</summary>
    private int TargetDim(IReadOnlyList<Example> rows)
    {
        int longest = rows.Max(r => r.Labels.Length);
        GraphValue? decoder = model.All.FirstOrDefault(i => i.Name == ModelInputs.DecoderIds);
        if (decoder?.Type.Shape is not { Rank: 2 } shape || shape[1].Value is not { } fixedLength) return longest;
        return longest <= fixedLength ? (int)fixedLength
            : throw new LiftException($"Row {rows.First(r => r.Labels.Length == longest).Row} has a target of {longest} tokens, but the model's '{decoder.Name}' is fixed at {fixedLength}; use --max-length {fixedLength}.");
    }

    /// <summary>Places of a row's encoded source.</summary>
    private static int StatesOf(Example row) => (int)row.Values[ModelInputs.EncoderStates].Dims[0];

    /// <summary>The input of a row that has samples over time, or null.</summary>
    private string? Sounding(Example row) => model.All.FirstOrDefault(i => i.Type.Element.IsFloat() && row.Values.TryGetValue(i.Name, out Tensor? v) && v.Dims.Length is 1 or 2)?.Name;

    private static Tensor Fill(string name, ElementType type, IReadOnlyList<Example> rows, int count, int length, int padding, Func<Example, int> filledTo, Func<Example, int, int> value)
    {
        var tensor = Tensor.Empty(name, type, [count, length]);
        for (int b = 0; b < count; b++)
        {
            int filled = b < rows.Count ? filledTo(rows[b]) : 0;
            if (type == ElementType.Int64)
            {
                var line = tensor.AsSpan<long>().Slice(b * length, length);
                for (int t = 0; t < filled; t++) line[t] = value(rows[b], t);
                line[filled..].Fill(padding);
            }
            else
            {
                for (int t = 0; t < length; t++) FieldReader.Set(tensor, (b * length) + t, t < filled ? value(rows[b], t) : padding);
            }
        }
        return tensor;
    }

    private static Tensor Positions(string name, ElementType type, int count, int length)
    {
        var tensor = Tensor.Empty(name, type, [count, length]);
        for (int i = 0; i < count * length; i++) FieldReader.Set(tensor, i, i % length);
        return tensor;
    }

    /// <summary>Values of the rows under each other; a dimension in which they differ is padded to the longest (labels with −100, everything else with 0).</summary>
    private Tensor Stack(string name, IReadOnlyList<Example> rows, int count, int length, TensorType wanted)
    {
        var first = rows[0].Values[name];
        int rank = first.Dims.Length;
        long[] dims = [.. Enumerable.Range(0, rank).Select(d => rows.Max(r => Of(r).Dims.Length == rank ? Of(r).Dims[d] : 0))];
        bool labels = name == Batch.LabelsName || options.Several.Any(c => c.Input == name);
        if (rank == 1 && !labels && rows.All(r => r.Ids.Length > 0 && Of(r).Dims is [var n] && n == r.Ids.Length)) dims[0] = length; // a value per token

        bool stream = model.Streams.All.Count > 0 && rank == 1 && model.Streams.Knows(model.All.FirstOrDefault(i => i.Name == name) ?? new(name, wanted));
        if (stream && wanted.Shape is { Rank: 2 } fixedShape && fixedShape[1].Value is { } places)
        {
            if (rows.FirstOrDefault(r => Of(r).Count > places) is { } longer) throw new LiftException($"Row {longer.Row} has {Of(longer).Count} tokens, but the model's input '{name}' is fixed at {places}; use --max-length {places}.");
            dims[0] = places;
        }

        bool lines = options.Kind == LabelKind.Sequence && rows.All(r => Of(r).Dims is [var c, var h, _] && c == first.Dims[0] && h == first.Dims[1]); // images of written lines, filled up on the right
        if (rank == 3 && !lines && rows.FirstOrDefault(r => !Of(r).Dims.SequenceEqual(first.Dims)) is { } other)
            throw new LiftException($"Row {other.Row}: field '{name}' has shape {Shape.Of(Of(other).Dims)} and row {rows[0].Row} has {Shape.Of(first.Dims)}, but images of one batch have one size; give it with --image-size.");
        var result = Tensor.Empty(name, first.Type, [count, .. dims]);
        if (labels && first.Type is ElementType.Int64) result.AsSpan<long>().Fill(Example.Ignored);
        if (labels && first.Type is ElementType.Int32) result.AsSpan<int>().Fill(Example.Ignored);
        if (labels && first.Type is ElementType.Float && count > rows.Count) result.AsSpan<float>().Fill(Example.Ignored);
        if (model.Streams.IsTokens(name) && first.Type is ElementType.Int64) result.AsSpan<long>().Fill(padId);
        if (model.Streams.IsTokens(name) && first.Type is ElementType.Int32) result.AsSpan<int>().Fill(padId);

        int bytes = first.Type.Bits() / 8;
        long block = dims.Aggregate(1L, (n, d) => n * d) * bytes;
        for (int b = 0; b < rows.Count; b++)
        {
            var value = Of(rows[b]);
            bool fits = value.Dims.Length == rank && (stream || Agrees(value.Dims, wanted));
            if (!fits) throw new LiftException($"Row {rows[b].Row}: field '{name}' has shape {Shape.Of(value.Dims)}, but the model's input is {wanted} and row {rows[0].Row} has {Shape.Of(first.Dims)}; give every row the shape that the model reads.");
            if (value.Type != first.Type) throw new LiftException($"Row {rows[b].Row}: field '{name}' holds {value.Type} and that of row {rows[0].Row} {first.Type}; give every row the same kind of numbers.");
            CopyBlock(value, result.AsSpan<byte>().Slice((int)(b * block), (int)block), dims, bytes);
        }
        return result;

        Tensor Of(Example row) => row.Values.TryGetValue(name, out var v) ? v
            : throw new LiftException($"Row {row.Row} has no field '{name}', which row {rows[0].Row} has; give it in every row.");
    }

    private static bool Agrees(long[] dims, TensorType wanted) =>
        wanted.Shape is not { } shape || (shape.Rank == dims.Length + 1 && dims.Select((d, i) => shape[i + 1].Value is not { } v || v == d).All(x => x));

    private static void CopyBlock(Tensor value, Span<byte> target, long[] dims, int bytes)
    {
        var source = value.AsSpan<byte>();
        if (value.Dims.SequenceEqual(dims)) { source.CopyTo(target); return; }

        int line = (int)value.Dims[^1] * bytes, stride = (int)dims[^1] * bytes;
        long lines = value.Dims[..^1].Aggregate(1L, (n, d) => n * d);
        for (long i = 0; i < lines; i++)
        {
            long at = 0, rest = i, unit = 1; // row-major index of line i inside the padded block
            for (int d = value.Dims.Length - 2; d >= 0; d--)
            {
                at += rest % value.Dims[d] * unit;
                rest /= value.Dims[d];
                unit *= dims[d];
            }
            source.Slice((int)i * line, line).CopyTo(target[((int)at * stride)..]);
        }
    }

    /// <summary>Positions that all rows share.</summary>
    private static bool IsOneRow(GraphValue input) => input.Name == "position_ids" && (input.Type.Rank == 1 || (input.Type.Rank == 2 && input.Type.Shape![0].Value == 1));

    /// <summary>The batch size that a model is fixed at, 0 where it is free.</summary>
    public static long FixedBatch(IReadOnlyList<GraphValue> inputs) =>
        inputs.Where(i => i.Type.Rank > 0 && !ModelInputs.IsPast(i) && !IsOneRow(i)).Select(i => i.Type.Shape![0].Value ?? 0).FirstOrDefault(d => d > 0);

    /// <summary>A model of fixed batch size gets rows of padding under a last, shorter batch, where its loss does not count them.</summary>
    private int BatchDim(Example[] rows)
    {
        long fixedSize = FixedBatch(model.All);
        if (fixedSize == 0 || fixedSize == rows.Length) return rows.Length;
        bool fills = model.Tokens is not null && LeavesPaddingOut(rows[0]);
        return fills && rows.Length < fixedSize && options.Batch == fixedSize ? (int)fixedSize
            : throw new LiftException($"The model's batch size is fixed at {fixedSize}, but this batch has {rows.Length} rows; use --batch {fixedSize}{(fills ? "" : " and a number of rows that it divides")}.");
    }

    /// <summary>False where rows of padding would be scored: numbers have none that a loss leaves out, and rows that are compared with each other are all compared.</summary>
    private bool LeavesPaddingOut(Example row) => options.Kind != LabelKind.None && options.Group == 1
        && (options.LabelsMayBeEmpty || row.Values.GetValueOrDefault(Batch.LabelsName)?.Type.IsFloat() != true)
        && options.Several.All(c => c.MayBeEmpty);

    private int LengthDim(int longest, IReadOnlyList<Example> rows)
    {
        if (model.Tokens?.Type.Shape is not { Rank: 2 } shape || shape[1].Value is not { } fixedLength || longest == 0) return longest;
        var tooLong = rows.FirstOrDefault(r => r.Ids.Length > fixedLength);
        return tooLong is null ? (int)fixedLength
            : throw new LiftException($"Row {tooLong.Row} has {tooLong.Ids.Length} tokens, but the model's input '{model.Tokens.Name}' is fixed at {fixedLength}; use --max-length {fixedLength}.");
    }
}
