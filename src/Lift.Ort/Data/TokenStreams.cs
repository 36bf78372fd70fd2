using System.Text.Json;
using System.Text.RegularExpressions;
using Lift.Ort.Onnx;

namespace Lift.Ort.Data;

/// <summary>
/// The texts of a model that reads several apart (two towers, siamese encoders): inputs of token ids, each with its own mask, told apart by what their names have
/// beside <c>input_ids</c>: <c>query_input_ids</c> and <c>query_attention_mask</c>, <c>input_ids_2</c> and <c>attention_mask_2</c>.
/// </summary>
internal sealed partial class TokenStreams
{
    private static readonly string[] masks = ["attention_mask", "input_mask", "mask"], types = ["token_type_ids", "segment_ids", "type_ids"], positions = ["position_ids"];

    private readonly Dictionary<string, (GraphValue Input, GraphValue Stream, string Kind)> companions = [];

    public TokenStreams(IReadOnlyList<GraphValue> inputs)
    {
        GraphValue[] found = [.. inputs.Where(IsTokens)];
        bool one = found.Length < 2 || (found.Any(f => f.Name == "input_ids") && found.Any(f => !f.Name.Contains("input_ids")));
        if (one) return;
        All = found;
        foreach (GraphValue stream in All)
        {
            string place = TokenName().Replace(stream.Name, "\0", 1);
            foreach (GraphValue input in inputs.Where(i => !All.Contains(i) && i.Type.Rank is 2 or null))
            {
                foreach (var (kind, words) in new[] { ("mask", masks), ("type", types), ("position", positions) })
                    if (words.Any(w => input.Name.Contains(w) && input.Name.Replace(w, "\0") == place)) companions.TryAdd(input.Name, (input, stream, kind));
            }
        }
    }

    /// <summary>The inputs of token ids, in the model's order; none where a model reads one text or none.</summary>
    public IReadOnlyList<GraphValue> All { get; } = [];

    /// <summary>True for an input that is tokens of one of the texts, or follows from them.</summary>
    public bool Knows(GraphValue input) => All.Contains(input) || companions.ContainsKey(input.Name);

    public bool IsTokens(string input) => All.Any(s => s.Name == input);

    /// <summary>Tokens of every text, and the masks and positions that go with them.</summary>
    /// <returns>The values, and how many texts were cut.</returns>
    /// <exception cref="LiftException">A text is missing or empty, or there is no tokenizer.</exception>
    public (Dictionary<string, Tensor> Values, int Cut) Read(DataRow row, Func<ITokenizer> tokenizer, DataOptions options)
    {
        var values = new Dictionary<string, Tensor>();
        int cut = 0;
        for (int i = 0; i < All.Count; i++)
        {
            GraphValue stream = All[i];
            int[] ids = Ids(row, i, tokenizer, options, ref cut);
            values[stream.Name] = Typed(stream, ids);
            foreach (var (input, _, kind) in companions.Values.Where(c => c.Stream == stream && !row.Has(c.Input.Name)))
                values[input.Name] = Typed(input, kind == "position" ? [.. Enumerable.Range(0, ids.Length)] : [.. ids.Select(_ => kind == "mask" ? 1 : 0)]);
        }
        return (values, cut);
    }

    private int[] Ids(DataRow row, int index, Func<ITokenizer> tokenizer, DataOptions options, ref int cut)
    {
        GraphValue stream = All[index];
        int[] ids;
        if (row.Has(stream.Name) && row.Json.GetProperty(stream.Name).ValueKind == JsonValueKind.Array) ids = row.Ints(stream.Name);
        else
        {
            string field = FieldOf(row, index, options), text = row.Text(field);
            if (string.IsNullOrWhiteSpace(text)) throw row.Error($"the text in field '{field}' is empty; give one, or leave the row out.");
            ITokenizer words = tokenizer();
            ids = [.. words.EncodeFromStart(text, false)];
            int room = Math.Max(1, options.MaxLength - words.Suffix.Count);
            if (ids.Length > room) (cut, ids) = (cut + 1, ids[..room]);
            ids = [.. ids, .. words.Suffix];
        }
        if (ids.Length == 0) throw row.Error($"field '{stream.Name}' is empty; give at least one token.");
        if (ids.Length > options.MaxLength) (cut, ids) = (cut + 1, ids[..options.MaxLength]);
        return ids;
    }

    /// <summary>The field with a stream's text: its place in --text-field, its own name, the rest of its name, or the names that pairs usually have.</summary>
    private string FieldOf(DataRow row, int index, DataOptions options)
    {
        string name = All[index].Name, rest = TokenName().Replace(name, "", 1).Trim('_', '.', '-');
        if (options.TextFields.Length == All.Count) return row.Has(options.TextFields[index]) ? options.TextFields[index] : throw row.Error($"there is no field '{options.TextFields[index]}' (fields: {row.Fields}), which --text-field names.");
        string? found = row.FirstOf(rest.Length == 0 ? [name, "text", "sentence"] : [name, rest, $"text_{rest}", $"text{rest}", $"sentence_{rest}", $"sentence{rest}", $"{rest}_text"]);
        if (found is null && All.Count is 2 or 3) found = TextFields.Compared(row, All.Count)?[index];
        return found ?? throw row.Error($"there is no text for the model's input '{name}' (fields: {row.Fields}); name its field with --inputs {name}=FIELD, or the texts in the model's order with --text-field.");
    }

    private static Tensor Typed(GraphValue input, int[] values)
    {
        Tensor result = Tensor.Empty(input.Name, input.Type.Element == ElementType.Undefined ? ElementType.Int64 : input.Type.Element, [values.Length]);
        for (int i = 0; i < values.Length; i++) FieldReader.Set(result, i, values[i]);
        return result;
    }

    private static bool IsTokens(GraphValue input) => input.Type is { Element: ElementType.Int64 or ElementType.Int32, Rank: 2 or null } && !ModelInputs.IsScalar(input)
        && TokenName().IsMatch(input.Name) && !OtherName().IsMatch(input.Name);

    [GeneratedRegex(@"input_?ids|token_?ids|tokens|(?<=^|_)ids(?=$|_)", RegexOptions.IgnoreCase)]
    private static partial Regex TokenName();

    [GeneratedRegex("type|segment|position|decoder|mask|lang|special|entity", RegexOptions.IgnoreCase)]
    private static partial Regex OtherName();
}
