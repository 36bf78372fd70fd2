using System.Text.Json;

namespace Lift.Ort.Data;

/// <summary>Rows of words with a label each (names, parts of speech): the first piece of a word carries its label, all others −100.</summary>
internal sealed class LabelledWords(InputReader inputs, LabelReader labels)
{
    private static readonly string[] wordFields = ["tokens", "words"], tagFields = ["ner_tags", "tags", "pos_tags", "chunk_tags", "labels", "label"];

    /// <summary>The field of words, or null where the row has none.</summary>
    public static string? WordField(DataRow row, DataOptions options) => (options.TextFields is [var own] ? [own] : wordFields).FirstOrDefault(f => row.Has(f) && row.Json.GetProperty(f) is { ValueKind: JsonValueKind.Array } words
        && words.EnumerateArray().All(w => w.ValueKind == JsonValueKind.String));

    /// <summary>The field of labels, or null.</summary>
    public static string? TagField(DataRow row, DataOptions options) => options.LabelFields.FirstOrDefault() ?? row.FirstOf(tagFields);

    /// <exception cref="LiftException">There is not one label per word, or one is no class.</exception>
    public Example Make(DataRow row, string field, DataOptions options)
    {
        string tags = TagField(row, options) ?? throw row.Error($"there is no field with a label per word (fields: {row.Fields}); add ner_tags, or name the field with --label-field.");
        JsonElement words = row.Json.GetProperty(field), classes = row.Json.GetProperty(tags);
        if (classes.ValueKind != JsonValueKind.Array) throw row.Wrong(tags, classes, "a list with a label per word");
        if (words.GetArrayLength() != classes.GetArrayLength()) throw row.Error($"field '{field}' has {words.GetArrayLength()} words and '{tags}' has {classes.GetArrayLength()} labels; give one label per word.");
        if (words.GetArrayLength() == 0) throw row.Error($"field '{field}' is empty; give at least one word.");

        ITokenizer tokenizer = inputs.Tokenizer(row);
        List<int> ids = [.. tokenizer.Prefix], marks = [.. tokenizer.Prefix.Select(_ => Example.Ignored)];
        for (int i = 0; i < words.GetArrayLength(); i++)
        {
            int[] pieces = tokenizer.Encode(i == 0 ? words[i].GetString()! : $" {words[i].GetString()}");
            int label = labels.ClassOf(row, tags, classes[i]);
            ids.AddRange(pieces);
            marks.AddRange(pieces.Select((_, p) => p == 0 ? label : Example.Ignored));
        }
        int room = Math.Max(1, options.MaxLength - tokenizer.Suffix.Count);
        if (ids.Count > room)
        {
            inputs.Truncated++;
            ids.RemoveRange(room, ids.Count - room);
            marks.RemoveRange(room, marks.Count - room);
        }
        Example example = inputs.Filled(row, [.. ids, .. tokenizer.Suffix], field);
        return example with { Labels = [.. marks, .. tokenizer.Suffix.Select(_ => Example.Ignored)] };
    }
}
