using System.Text.Json;
using Lift.Ort.Onnx;

namespace Lift.Ort.Data;

/// <summary>Makes examples of rows: tokens and labels of texts, ready tokens as they are, fields that a model reads directly.</summary>
internal sealed class ExampleMaker(ITokenizer? tokenizer, ModelInputs model, DataOptions options)
{
    public int Truncated { get; private set; }

    public int Skipped { get; private set; }

    /// <returns>Null when no label is left that the loss could count.</returns>
    public Example? Make(DataRow row)
    {
        string? ids = model.Tokens?.Name;
        if (ids is null) return new Example(row.Row, [], [], FieldReader.Read(row, model, options));
        if (row.Has(ids)) return Cut(row, Ready(row, ids));
        if (ids != "input_ids" && row.Has("input_ids")) return Cut(row, Ready(row, "input_ids"));
        if (tokenizer is null) throw row.Error($"there is no field '{ids}' (fields: {row.Fields}); give ready tokens, or choose a tokenizer with --tokenizer.");

        var prompt = Prompt.From(row, tokenizer, options.Template)
            ?? throw row.Error($"none of the known fields is there (fields: {row.Fields}); use text, prompt and completion, instruction and output, messages, or input_ids.");
        return Cut(row, model.WholeRowLabels ? Classified(row, prompt, tokenizer) : Text(row, prompt, tokenizer));
    }

    private Example Text(DataRow row, Prompt prompt, ITokenizer tokenizer)
    {
        string target = prompt.Target ?? throw row.Error($"the target is empty (fields: {row.Fields}); give what the model shall write, in output, completion or text.");
        int masked = prompt.Text.Length == 0 ? 0 : tokenizer.EncodeFromStart(prompt.Text, prompt.Special).Length;
        int[] whole = tokenizer.EncodeFromStart(prompt.Text + target, prompt.Special);
        if (!prompt.EndsItself && tokenizer.EndId is { } end) whole = [.. whole, end];

        int[] labels = [.. whole];
        labels.AsSpan(0, Math.Min(masked, labels.Length)).Fill(Example.Ignored);
        CheckIds(row, whole, "token");
        return new Example(row.Row, whole, labels, Example.NoValues);
    }

    private Example Classified(DataRow row, Prompt prompt, ITokenizer tokenizer)
    {
        string? field = row.Has("label") ? "label" : row.Has(Batch.LabelsName) ? Batch.LabelsName : null;
        if (field is null) throw row.Error($"the model scores whole rows, but there is no field 'label' (fields: {row.Fields}); add it.");
        int[] ids = [.. tokenizer.EncodeFromStart(prompt.Text + prompt.Target, prompt.Special), .. tokenizer.Suffix];
        CheckIds(row, ids, "token");
        return new Example(row.Row, ids, [], FieldReader.Labels(row, field, model, options));
    }

    private Example Ready(DataRow row, string field)
    {
        int[] ids = row.Ints(field);
        if (ids.Length == 0) throw row.Error($"field '{field}' is empty; give at least one token.");
        CheckIds(row, ids, field);
        var values = FieldReader.Read(row, model, options, except: field);

        bool own = row.Has(Batch.LabelsName) && (model.WholeRowLabels || row.Json.GetProperty(Batch.LabelsName).ValueKind != JsonValueKind.Array);
        if (own) return new Example(row.Row, ids, [], values);
        if (model.WholeRowLabels) throw row.Error($"the model scores whole rows, but there is no field '{Batch.LabelsName}'; add it.");

        int[] labels = row.Has(Batch.LabelsName) ? row.Ints(Batch.LabelsName) : [.. ids];
        if (labels.Length != ids.Length) throw row.Error($"field 'labels' has {labels.Length} entries and '{field}' has {ids.Length}; give one label per token, -100 where none counts.");
        foreach (int label in labels)
        {
            if (label != Example.Ignored && (label < 0 || label >= (options.Classes ?? options.VocabularySize ?? int.MaxValue)))
                throw row.Error($"label {label} in field 'labels' is out of range: the model scores classes 0 to {(options.Classes ?? options.VocabularySize) - 1}, and -100 is ignored.");
        }
        return new Example(row.Row, ids, labels, values);
    }

    private void CheckIds(DataRow row, int[] ids, string field)
    {
        int limit = options.VocabularySize ?? int.MaxValue;
        int wrong = ids.AsSpan().IndexOfAnyExceptInRange(0, limit - 1);
        if (wrong >= 0) throw row.Error($"{field} {ids[wrong]} at position {wrong} is out of the model's vocabulary of {limit}; use the model's own tokenizer.");
    }

    private Example? Cut(DataRow row, Example example)
    {
        if (example.Ids.Length > options.MaxLength)
        {
            Truncated++;
            var values = example.Values.ToDictionary(v => v.Key, v => FieldReader.Cut(v.Value, example.Ids.Length, options.MaxLength));
            example = new Example(row.Row, example.Ids[..options.MaxLength], example.Labels.Length > 0 ? example.Labels[..options.MaxLength] : [], values);
        }
        if (example.CountLabels(options.Shifted) > 0) return example;
        Skipped++;
        return null;
    }
}
