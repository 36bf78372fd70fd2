using System.Text.Json;
using Lift.Ort.Onnx;

namespace Lift.Ort.Data;

/// <summary>Reads what a model takes in, without labels: tokens of one text or two, and everything else that its inputs name.</summary>
internal sealed class InputReader(ITokenizer? tokenizer, ModelInputs model, DataOptions options)
{
    private readonly FieldReader fields = new(model, options);

    /// <summary>Rows that were cut at <see cref="DataOptions.MaxLength"/>.</summary>
    public int Truncated { get; set; }

    /// <summary>A row as the model reads it, cut where it is too long.</summary>
    /// <exception cref="LiftException">A needed field is missing or wrong.</exception>
    public Example Read(DataRow row)
    {
        if (model.Streams.All.Count > 0) return Streams(row);
        if (model.Tokens is null) return Filled(row, [], null);
        if (ReadyField(row) is { } ready)
        {
            int[] ids = row.Ints(ready);
            if (ids.Length == 0) throw row.Error($"field '{ready}' is empty; give at least one token.");
            return Cut(Filled(row, ids, ready));
        }
        if (options.TextFields is [var first, var second]) return Pair(row, first, second);
        if (options.TextFields is [var own]) return Text(row, row.Text(own));
        if (TextFields.Pair(row) is { } pair) return Pair(row, pair.First, pair.Second);
        var (text, special) = TextOf(row);
        return Text(row, text, special);
    }

    /// <summary>One text with the tokens that its model expects before and after.</summary>
    public Example Text(DataRow row, string text, bool special = false)
    {
        if (string.IsNullOrWhiteSpace(text)) throw row.Error($"the text is empty (fields: {row.Fields}); give one, or leave the row out.");
        ITokenizer words = Tokenizer(row);
        int[] ids = [.. words.EncodeFromStart(text, special)];
        int room = Math.Max(1, options.MaxLength - words.Suffix.Count);
        if (ids.Length > room) (Truncated, ids) = (Truncated + 1, ids[..room]);
        return Filled(row, [.. ids, .. words.Suffix], null);
    }

    /// <summary>The field of ready tokens, or null.</summary>
    public string? ReadyField(DataRow row) => model.Tokens is null ? null : row.FirstOf(model.Tokens.Name, "input_ids");

    /// <exception cref="LiftException">There is none.</exception>
    public ITokenizer Tokenizer(DataRow row) => tokenizer
        ?? throw row.Error($"there is no field '{model.Tokens?.Name ?? "labels"}' (fields: {row.Fields}); give ready tokens, or choose a tokenizer with --tokenizer.");

    /// <summary>The first tokens of a row that is too long.</summary>
    public Example Cut(Example example)
    {
        if (example.Ids.Length <= options.MaxLength) return example;
        Truncated++;
        return example with
        {
            Ids = example.Ids[..options.MaxLength],
            Labels = example.Labels.Length == example.Ids.Length ? example.Labels[..options.MaxLength] : example.Labels,
            Values = example.Values.ToDictionary(v => v.Key, v => FieldReader.Cut(v.Value, example.Ids.Length, options.MaxLength)),
        };
    }

    /// <summary>Tokens with the row's other inputs beside them.</summary>
    public Example Filled(DataRow row, int[] ids, string? except)
    {
        CheckIds(row, ids, except ?? "token");
        var (values, files) = fields.Read(row, except);
        return new Example(row.Row, ids, [], values) { Files = files };
    }

    /// <summary>Several texts that are read apart.</summary>
    private Example Streams(DataRow row)
    {
        var (values, cut) = model.Streams.Read(row, () => tokenizer ?? throw row.Error($"there are no ready tokens in '{model.Streams.All[0].Name}' (fields: {row.Fields}); give them, or choose a tokenizer with --tokenizer."), options);
        if (cut > 0) Truncated++;
        Example example = Filled(row, [], null);
        foreach (var (name, value) in example.Values) values.TryAdd(name, value);
        return example with { Values = values };
    }

    private (string Text, bool Special) TextOf(DataRow row)
    {
        if (Prompt.From(row, Tokenizer(row), options.Template) is { } prompt) return (prompt.Text + prompt.Target, prompt.Special);
        return TextFields.Single(row) is { } field ? (row.Text(field), false)
            : throw row.Error($"none of the known fields is there (fields: {row.Fields}); use text, prompt and completion, instruction and output, messages, or input_ids.");
    }

    /// <summary>Both texts in one row of tokens; the longer one is cut until they fit.</summary>
    private Example Pair(DataRow row, string first, string second)
    {
        ITokenizer words = Tokenizer(row);
        int[] a = words.Encode(row.Text(first)), b = words.Encode(row.Text(second));
        int room = Math.Max(2, options.MaxLength - words.Pair([], []).Ids.Length);
        if (a.Length + b.Length > room)
        {
            Truncated++;
            int keepA = Math.Min(a.Length, Math.Max(room / 2, room - b.Length));
            (a, b) = (a[..keepA], b[..Math.Min(b.Length, room - keepA)]);
        }
        var (ids, types) = words.Pair(a, b);
        Example example = Filled(row, ids, null);
        if (model.All.FirstOrDefault(i => i.Name == "token_type_ids") is not { } input || example.Values.ContainsKey(input.Name)) return example;
        Tensor segment = input.Type.Element == ElementType.Int32 ? Tensor.From<int>(input.Name, types, types.Length) : Tensor.From<long>(input.Name, [.. types.Select(t => (long)t)], types.Length);
        return example with { Values = new Dictionary<string, Tensor>(example.Values) { [input.Name] = segment } };
    }

    private void CheckIds(DataRow row, int[] ids, string field)
    {
        int limit = options.VocabularySize ?? int.MaxValue;
        int wrong = ids.AsSpan().IndexOfAnyExceptInRange(0, limit - 1);
        if (wrong >= 0) throw row.Error($"{field} {ids[wrong]} at position {wrong} is out of the model's vocabulary of {limit}; use the model's own tokenizer.");
    }
}
