using System.Text.Json;

namespace Lift.Ort.Data;

/// <summary>The names under which published data sets keep their texts.</summary>
internal static class TextFields
{
    private static readonly string[] single = ["sentence", "caption", "content", "review", "document", "headline", "title"];

    private static readonly (string First, string Second)[] pairs =
    [
        ("sentence1", "sentence2"), ("premise", "hypothesis"), ("question1", "question2"), ("text1", "text2"), ("text", "text_pair"), ("question", "sentence"), ("question", "context"),
        ("query", "passage"), ("query", "document"),
    ];

    private static readonly (string First, string Second)[] alike =
    [
        ("anchor", "positive"), ("query", "positive"), ("query", "passage"), ("query", "answer"), ("question", "answer"), ("sentence", "paraphrase"), ("title", "body"), .. pairs,
    ];

    private static readonly (string First, string Second)[] translated =
    [
        ("source", "target"), ("src", "tgt"), ("article", "highlights"), ("article", "summary"), ("document", "summary"), ("dialogue", "summary"), ("text", "summary"), ("text", "target"), ("input", "target"),
        ("prompt", "completion"), ("instruction", "output"), ("question", "answer"), ("input", "output"),
    ];

    private static readonly string[] targets = [.. translated.Select(t => t.Second).Append("transcription").Append("transcript").Append("sentence").Append("text").Distinct()];

    /// <summary>Fields of a text that stands alone and is no prompt.</summary>
    public static string? Single(DataRow row) => row.FirstOf(single);

    /// <summary>Two texts that are read together, or null.</summary>
    public static (string First, string Second)? Pair(DataRow row) => Find(row, pairs);

    /// <summary>The texts of an example whose rows are compared: anchor, positive and for <paramref name="group"/> 3 a negative.</summary>
    /// <returns>Null where the row has no such fields.</returns>
    public static string[]? Compared(DataRow row, int group)
    {
        if (Find(row, alike) is not { } found) return null;
        if (group == 2) return [found.First, found.Second];
        string third = row.FirstOf("negative", "hard_negative", "sentence3") ?? throw row.Error($"there is no field 'negative' (fields: {row.Fields}); add it, or use pairs (--group 2).");
        return [found.First, found.Second, third];
    }

    /// <summary>What is read and what shall be written; <c>translation</c> holds both in this order.</summary>
    public static (string Source, string Target)? Translation(DataRow row)
    {
        if (row.Has("translation") && row.Json.GetProperty("translation") is { ValueKind: JsonValueKind.Object } both)
        {
            string[] texts = [.. both.EnumerateObject().Select(p => p.Value.ValueKind == JsonValueKind.String ? p.Value.GetString()! : throw row.Wrong($"translation.{p.Name}", p.Value, "a text"))];
            return texts is [var source, var target] ? (source, target) : throw row.Error($"field 'translation' holds {texts.Length} texts; give source and target, in this order.");
        }
        return Find(row, translated) is { } found ? (row.Text(found.First), row.Text(found.Second)) : null;
    }

    /// <summary>The text that shall be written where the model reads no text (speech, images), or null.</summary>
    public static string? Target(DataRow row) => row.FirstOf(targets) is { } field ? row.Text(field) : null;

    private static (string First, string Second)? Find(DataRow row, (string First, string Second)[] fields)
    {
        foreach (var pair in fields)
        {
            if (row.Has(pair.First) && row.Has(pair.Second)) return pair;
        }
        return null;
    }
}
