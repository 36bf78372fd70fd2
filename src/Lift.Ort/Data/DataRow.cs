using System.Text.Json;

namespace Lift.Ort.Data;

/// <summary>One JSON object of a data file, and where it stands.</summary>
/// <param name="Unit">"line" in JSONL, "entry" in an array.</param>
/// <param name="Row">From 1.</param>
internal sealed record DataRow(string Path, string Unit, int Row, JsonElement Json)
{
    /// <summary>"data.jsonl: line 7"</summary>
    public string Where => $"{Path}: {Unit} {Row}";

    /// <summary>The folder that names of files in this row are relative to.</summary>
    public string Folder => Directory.Exists(Path) ? Path : System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(Path))!;

    /// <summary>The first of <paramref name="fields"/> that is there, or null.</summary>
    public string? FirstOf(params IEnumerable<string> fields) => fields.FirstOrDefault(Has);

    /// <summary>This row with other fields; errors still name its place.</summary>
    public DataRow With(IReadOnlyDictionary<string, JsonElement> fields) => this with { Json = JsonSerializer.SerializeToElement(fields) };

    public bool Has(string field) => Json.TryGetProperty(field, out var value) && value.ValueKind != JsonValueKind.Null;

    /// <summary>The field's text; "" where it is absent or null. Numbers and truth values are taken as they are written.</summary>
    /// <exception cref="LiftException">The field is an array or an object.</exception>
    public string Text(string field)
    {
        if (!Json.TryGetProperty(field, out var value)) return "";
        return value.ValueKind switch
        {
            JsonValueKind.String => value.GetString()!,
            JsonValueKind.Null => "",
            JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False => value.GetRawText(),
            _ => throw Wrong(field, value, "a text"),
        };
    }

    /// <summary>The first of <paramref name="fields"/> that is there and not blank, or null.</summary>
    public string? FirstText(params ReadOnlySpan<string> fields)
    {
        foreach (string field in fields)
        {
            if (Text(field) is { } text && !string.IsNullOrWhiteSpace(text)) return text;
        }
        return null;
    }

    /// <summary>The field as a list of whole numbers.</summary>
    public int[] Ints(string field)
    {
        var list = Json.GetProperty(field);
        if (list.ValueKind != JsonValueKind.Array) throw Wrong(field, list, "a list of whole numbers");
        var result = new int[list.GetArrayLength()];
        int i = 0;
        foreach (var item in list.EnumerateArray()) result[i++] = item.ValueKind == JsonValueKind.Number && item.TryGetInt32(out int v) ? v : throw Wrong(field, item, "a list of whole numbers");
        return result;
    }

    public LiftException Wrong(string field, JsonElement value, string wanted) =>
        new($"{Where}: field '{field}' holds {Kind(value)} ({Short(value)}) where {wanted} is expected.");

    public LiftException Error(string problem) => new($"{Where}: {problem}");

    public string Fields => string.Join(", ", Json.EnumerateObject().Select(p => p.Name));

    public static string Kind(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => "a list",
        JsonValueKind.String => "a text",
        JsonValueKind.Number => "a number",
        JsonValueKind.Null => "null",
        _ => "a truth value",
    };

    public static string Short(JsonElement value) => value.GetRawText() is { Length: > 40 } raw ? raw[..40] + "…" : value.GetRawText();
}
