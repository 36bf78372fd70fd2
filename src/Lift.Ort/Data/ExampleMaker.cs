using System.Text.Json;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;

namespace Lift.Ort.Data;

/// <summary>Makes examples of rows: tokens and labels of texts, ready tokens as they are, fields and files that a model reads directly.</summary>
internal sealed class ExampleMaker
{
    private readonly ITokenizer? tokenizer;
    private readonly ModelInputs model;
    private readonly DataOptions options;
    private readonly InputReader inputs;
    private readonly LabelReader labels;
    private readonly SeveralLabels? several;

    public ExampleMaker(ITokenizer? tokenizer, ModelInputs model, DataOptions options)
    {
        (this.tokenizer, this.model, this.options) = (tokenizer, model, options);
        inputs = new InputReader(tokenizer, model, options);
        labels = new LabelReader(model, options);
        if (options.Several.Count > 0) several = new SeveralLabels(tokenizer, model.All, options);
    }

    public int Truncated => several?.Truncated ?? inputs.Truncated;

    public int Skipped { get; private set; }

    /// <returns>Null when no label is left that the loss could count.</returns>
    public Example? Make(DataRow row)
    {
        if (options.InputFields is { } named) row = Renamed(row, named);
        Example example = Form(row);
        if (several is not null || example.CountLabels(options.Shifted) > 0) return example;
        Skipped++;
        return null;
    }

    /// <summary>The row with the fields that inputs are read from under the inputs' names.</summary>
    internal static DataRow Renamed(DataRow row, IReadOnlyDictionary<string, string> inputFields)
    {
        var fields = new Dictionary<string, JsonElement>();
        foreach (JsonProperty field in row.Json.EnumerateObject()) fields[field.Name] = field.Value; // of a name that stands twice the last counts, as everywhere
        foreach (var (input, field) in inputFields)
        {
            if (!row.Has(field)) throw row.Error($"there is no field '{field}' (fields: {row.Fields}), which --inputs names for the model's input '{input}'.");
            fields[input] = row.Json.GetProperty(field);
        }
        foreach (string moved in inputFields.Values.Where(f => !inputFields.ContainsKey(f))) fields.Remove(moved);
        return row.With(fields);
    }

    /// <summary>A row as an example, whether or not any of its labels counts.</summary>
    internal Example Form(DataRow row)
    {
        if (several is not null) return several.Make(row);
        if (options.Kind == LabelKind.None && options.Group == 1) return inputs.Read(row);
        if (options.Group > 1) return new ComparedRows(inputs, labels, model, options).Make(row);
        if (model.HasDecoder && options.Kind == LabelKind.NextTokens)
            throw row.Error("the model writes about a source, and the causal-lm loss compares a text with itself; prepare it with --loss seq2seq.");
        if (options.Kind == LabelKind.Sequence || model.HasDecoder) return new SequenceRows(inputs, model, options).Make(row);
        if (model.Tokens is null) return WithLabel(row, inputs.Read(row));
        if (model.WholeRowLabels) return WithLabel(row, inputs.Read(row));
        if (!options.Shifted && inputs.ReadyField(row) is null && LabelledWords.WordField(row, options) is { } words) return new LabelledWords(inputs, labels).Make(row, words, options);
        if (inputs.ReadyField(row) is { } ids) return Ready(row, ids);

        if (tokenizer is null) throw row.Error($"there is no field '{model.Tokens.Name}' (fields: {row.Fields}); give ready tokens, or choose a tokenizer with --tokenizer.");
        var prompt = Prompt.From(row, tokenizer, options.Template)
            ?? throw row.Error($"none of the known fields is there (fields: {row.Fields}); use text, prompt and completion, instruction and output, messages, or input_ids.");
        return Text(row, prompt, tokenizer);
    }

    private Example Text(DataRow row, Prompt prompt, ITokenizer words)
    {
        string target = prompt.Target ?? throw row.Error($"the target is empty (fields: {row.Fields}); give what the model shall write, in output, completion or text.");
        int masked = prompt.Text.Length == 0 ? 0 : words.EncodeFromStart(prompt.Text, prompt.Special).Length;
        int[] whole = words.EncodeFromStart(prompt.Text + target, prompt.Special);
        if (!prompt.EndsItself && words.EndId is { } end) whole = [.. whole, end];

        int[] marks = [.. whole];
        marks.AsSpan(0, Math.Min(masked, marks.Length)).Fill(Example.Ignored);
        return inputs.Cut(inputs.Filled(row, whole, null) with { Labels = marks });
    }

    /// <summary>A row with one label for all of it: in a field, or in a file (pixels' classes) that the field names.</summary>
    internal Example WithLabel(DataRow row, Example example)
    {
        if (labels.FieldOf(row) is { } field && row.Json.GetProperty(field) is { ValueKind: JsonValueKind.String } name && model.Labels?.Type.Rank >= 2 && MediaFile.IsKnown(name.GetString()!))
        {
            FileTensor file = MediaFile.Of(row, field, name.GetString()!, new(Batch.LabelsName, model.Labels.Type), options);
            return example with { Files = new Dictionary<string, FileTensor>(example.Files) { [Batch.LabelsName] = file } };
        }
        return example with { Values = new Dictionary<string, Tensor>(example.Values) { [Batch.LabelsName] = labels.Read(row) } };
    }

    private Example Ready(DataRow row, string field)
    {
        string? tags = options.LabelFields is [var named] ? named : row.FirstOf(options.Kind == LabelKind.Classes ? [Batch.LabelsName, "ner_tags", "tags", "label"] : [Batch.LabelsName]);
        if (tags is not null && !row.Has(tags)) throw row.Error($"there is no field '{tags}' (fields: {row.Fields}), which --label-field names.");
        if (tags is null && options.Kind == LabelKind.Classes) throw row.Error($"there is no field 'labels' with a class per token (fields: {row.Fields}); add it, or name the field with --label-field.");
        if (tags is not null && row.Json.GetProperty(tags).ValueKind != JsonValueKind.Array) return WithLabel(row, inputs.Read(row));
        int[] ids = row.Ints(field);
        if (ids.Length == 0) throw row.Error($"field '{field}' is empty; give at least one token.");

        Example example = inputs.Filled(row, ids, field);
        int[] marks = tags is not null ? [.. row.Json.GetProperty(tags).EnumerateArray().Select(v => Mark(row, tags, v))] : [.. ids];
        if (marks.Length != ids.Length) throw row.Error($"field '{tags}' has {marks.Length} entries and '{field}' has {ids.Length}; give one label per token, -100 where none counts.");
        foreach (int label in marks)
        {
            if (label != Example.Ignored && (label < 0 || label >= (options.Classes ?? options.VocabularySize ?? int.MaxValue)))
                throw row.Error($"label {label} in field '{tags ?? field}' is out of range: the model scores classes 0 to {(options.Classes ?? options.VocabularySize) - 1}, and -100 is ignored.");
        }
        return inputs.Cut(example with { Labels = marks });
    }

    private int Mark(DataRow row, string field, JsonElement value) => value.ValueKind == JsonValueKind.String ? labels.ClassOf(row, field, value)
        : value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int mark) ? mark : throw row.Wrong(field, value, "a list of whole numbers");
}
