using System.Text.Json;

namespace Lift.Ort.Data;

/// <summary>Hugging Face's <c>preprocessor_config.json</c>: how a model wants images or sounds.</summary>
internal static class Preprocessor
{
    public const string FileName = "preprocessor_config.json";

    /// <summary>The file in a folder or the folder above it (exports often lie in <c>onnx/</c>), or null.</summary>
    public static string? Beside(string? folder) => folder is null ? null
        : new[] { folder, Path.GetDirectoryName(folder) ?? folder }.Select(f => Path.Combine(f, FileName)).FirstOrDefault(File.Exists);

    /// <summary>True for images, false for sounds.</summary>
    public static bool IsImage(string path) => Read(path, json => json.TryGetProperty("image_mean", out _) || json.TryGetProperty("do_resize", out _) || json.TryGetProperty("image_processor_type", out _));

    /// <exception cref="LiftException">The file is no JSON, or an entry has another form.</exception>
    public static T Read<T>(string path, Func<JsonElement, T> read)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(path));
            return read(document.RootElement);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException or FormatException or IndexOutOfRangeException)
        {
            throw new LiftException($"'{path}' cannot be read ({e.Message.TrimEnd('.')}); give another {FileName} with --preprocessor.", e);
        }
    }

    public static bool Flag(JsonElement json, string name, bool otherwise) => json.TryGetProperty(name, out JsonElement value) && value.ValueKind is JsonValueKind.True or JsonValueKind.False ? value.GetBoolean() : otherwise;

    public static double? Number(JsonElement json, string name) => json.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.Number ? value.GetDouble() : null;

    public static IReadOnlyList<double> Numbers(JsonElement json, string name) => !json.TryGetProperty(name, out JsonElement value) ? []
        : value.ValueKind == JsonValueKind.Number ? [value.GetDouble()] : value.ValueKind == JsonValueKind.Array ? [.. value.EnumerateArray().Select(v => v.GetDouble())] : [];
}
