using System.Text.Json;

namespace Lift.Ort.Data;

/// <summary>What Hugging Face's files beside an exported model say about its data.</summary>
/// <param name="ClassNames">Names of the classes (<c>id2label</c>), null where there are none worth the name.</param>
/// <param name="DecoderStart">The token that a decoder begins with.</param>
/// <param name="Preprocessor">Path of <c>preprocessor_config.json</c>.</param>
public sealed record ModelNotes(IReadOnlyList<string>? ClassNames, int? DecoderStart, string? Preprocessor)
{
    /// <summary>Reads the files beside a model, or in the folder above it (exports often lie in <c>onnx/</c>); what is absent or unreadable stays null.</summary>
    public static ModelNotes Beside(string? model)
    {
        string? folder = model is null ? null : Path.GetDirectoryName(Path.GetFullPath(model));
        string? config = folder is null ? null : new[] { folder, Path.GetDirectoryName(folder) ?? folder }.Select(f => Path.Combine(f, "config.json")).FirstOrDefault(File.Exists);
        string? preprocessor = Data.Preprocessor.Beside(folder);
        if (config is null) return new(null, null, preprocessor);
        try
        {
            using JsonDocument json = JsonDocument.Parse(File.ReadAllBytes(config));
            int? start = json.RootElement.TryGetProperty("decoder_start_token_id", out JsonElement id) && id.ValueKind == JsonValueKind.Number ? id.GetInt32() : null;
            return new(Names(json.RootElement), start, preprocessor);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or IOException)
        {
            return new(null, null, preprocessor);
        }
    }

    private static List<string>? Names(JsonElement config)
    {
        if (!config.TryGetProperty("id2label", out JsonElement map) || map.ValueKind != JsonValueKind.Object) return null;
        var names = new List<string>();
        while (map.TryGetProperty(names.Count.ToString(), out JsonElement name) && name.ValueKind == JsonValueKind.String) names.Add(name.GetString()!);
        bool made = names.Select((n, i) => n == $"LABEL_{i}").All(x => x);
        return names.Count == 0 || made ? null : names;
    }
}
