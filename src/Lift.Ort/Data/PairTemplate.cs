using System.Text.Json;

namespace Lift.Ort.Data;

/// <summary>How a tokenizer puts two texts into one row: a sequence of special tokens and the places of both texts, each with its segment.</summary>
/// <param name="Pieces">A special token's id with <c>Text</c> 0, or the place of text 1 or 2.</param>
internal sealed record PairTemplate(IReadOnlyList<(int Text, int[] Ids, int Segment)> Pieces)
{
    /// <summary>prefix first suffix second suffix; the second half is segment 1.</summary>
    public static PairTemplate Plain(int[] prefix, int[] suffix) => new([(0, prefix, 0), (1, [], 0), (0, suffix, 0), (2, [], 1), (0, suffix, 1)]);

    /// <summary>What the post-processor in tokenizer.json says of pairs, or null where it says nothing.</summary>
    public static PairTemplate? Of(JsonElement tokenizer)
    {
        if (!tokenizer.TryGetProperty("post_processor", out JsonElement processor) || processor.ValueKind != JsonValueKind.Object) return null;
        IEnumerable<JsonElement> steps = processor.TryGetProperty("processors", out JsonElement list) && list.ValueKind == JsonValueKind.Array ? list.EnumerateArray() : [processor];
        foreach (JsonElement step in steps)
        {
            switch (step.TryGetProperty("type", out JsonElement type) ? type.GetString() : null)
            {
                case "TemplateProcessing" when step.TryGetProperty("pair", out JsonElement pair): return Template(step, pair);
                case "BertProcessing": return Plain([Special(step, "cls")], [Special(step, "sep")]);
                case "RobertaProcessing":
                    int begin = Special(step, "cls"), end = Special(step, "sep");
                    return new([(0, [begin], 0), (1, [], 0), (0, [end, end], 0), (2, [], 0), (0, [end], 0)]);
            }
        }
        return null;
    }

    public (int[] Ids, int[] Segments) Apply(int[] first, int[] second)
    {
        var parts = Pieces.Select(p => (Ids: p.Text == 0 ? p.Ids : p.Text == 1 ? first : second, p.Segment)).ToList();
        return ([.. parts.SelectMany(p => p.Ids)], [.. parts.SelectMany(p => Enumerable.Repeat(p.Segment, p.Ids.Length))]);
    }

    private static int Special(JsonElement step, string name) => step.GetProperty(name)[1].GetInt32();

    private static PairTemplate Template(JsonElement step, JsonElement pair)
    {
        var pieces = new List<(int, int[], int)>();
        foreach (JsonProperty piece in pair.EnumerateArray().SelectMany(p => p.EnumerateObject()))
        {
            string id = piece.Value.GetProperty("id").GetString()!;
            int segment = piece.Value.TryGetProperty("type_id", out JsonElement t) ? t.GetInt32() : 0;
            if (piece.Name == "Sequence") pieces.Add((id == "A" ? 1 : 2, [], segment));
            else pieces.Add((0, [.. step.GetProperty("special_tokens").GetProperty(id).GetProperty("ids").EnumerateArray().Select(i => i.GetInt32())], segment));
        }
        return new(pieces);
    }
}
