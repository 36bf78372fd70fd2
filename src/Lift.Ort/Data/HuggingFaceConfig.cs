using System.Text.Json;

namespace Lift.Ort.Data;

/// <summary>What a Hugging Face tokenizer's files say about ids, as far as the library that runs it does not tell.</summary>
internal sealed record HuggingFaceConfig(int VocabularySize, int? BeginId, int? EndId, int? PadId, IReadOnlySet<int> SpecialIds, bool HasChatTemplate, PairTemplate? Pair)
{
    /// <exception cref="LiftException">tokenizer.json is missing or no JSON.</exception>
    public static HuggingFaceConfig Read(string folder)
    {
        using var tokenizer = Open(folder, "tokenizer.json") ?? throw new LiftException($"There is no tokenizer.json in '{folder}'; give the folder that holds it, or a SentencePiece .model file.");
        using var settings = Open(folder, "tokenizer_config.json");
        using var special = Open(folder, "special_tokens_map.json");

        var added = tokenizer.RootElement.TryGetProperty("added_tokens", out var list) && list.ValueKind == JsonValueKind.Array
            ? list.EnumerateArray().Select(t => (Text: t.GetProperty("content").GetString()!, Id: t.GetProperty("id").GetInt32(), Special: t.TryGetProperty("special", out var s) && s.GetBoolean())).ToList()
            : [];
        if (!tokenizer.RootElement.TryGetProperty("model", out var model) || !model.TryGetProperty("vocab", out var vocab))
            throw new LiftException($"{Path.Combine(folder, "tokenizer.json")} has no model.vocab; give a tokenizer that Hugging Face's tokenizers wrote.");
        int size = vocab.ValueKind == JsonValueKind.Array ? vocab.GetArrayLength() : vocab.EnumerateObject().Select(p => p.Value.GetInt32() + 1).DefaultIfEmpty(0).Max();

        return new(Math.Max(size, added.Select(t => t.Id + 1).DefaultIfEmpty(0).Max()), Id("bos_token"), Id("eos_token"), Id("pad_token"),
            added.Where(t => t.Special).Select(t => t.Id).ToHashSet(),
            (settings?.RootElement.TryGetProperty("chat_template", out var template) ?? false) && template.ValueKind != JsonValueKind.Null || File.Exists(Path.Combine(folder, "chat_template.jinja")),
            PairTemplate.Of(tokenizer.RootElement));

        int? Id(string name)
        {
            string? text = Token(settings, name) ?? Token(special, name);
            if (text is null) return null;
            if (added.Find(t => t.Text == text) is { Text: not null } token) return token.Id;
            return vocab.ValueKind == JsonValueKind.Object && vocab.TryGetProperty(text, out var id) ? id.GetInt32() : null;
        }
    }

    private static string? Token(JsonDocument? json, string name)
    {
        if (json is null || !json.RootElement.TryGetProperty(name, out var token)) return null;
        return token.ValueKind switch
        {
            JsonValueKind.String => token.GetString(),
            JsonValueKind.Object when token.TryGetProperty("content", out var content) => content.GetString(),
            _ => null,
        };
    }

    private static JsonDocument? Open(string folder, string name)
    {
        string path = Path.Combine(folder, name);
        if (!File.Exists(path)) return null;
        try
        {
            return JsonDocument.Parse(File.ReadAllBytes(path));
        }
        catch (JsonException e)
        {
            throw new LiftException($"{path} is not JSON (line {e.LineNumber + 1}); get the tokenizer's file again.", e);
        }
    }
}
