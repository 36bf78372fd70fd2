using System.Text.Json;
using System.Text.Json.Serialization;
using Lift.Ort.Data;
using Lift.Ort.Onnx.Writing;
using Lift.Ort.Sparse;

namespace Lift.Ort.Training;

/// <summary>What a run was asked to do: all that is needed to go on with it.</summary>
/// <param name="Artifacts">Folder that <c>lift prepare</c> made, full path.</param>
/// <param name="Data">File with the training rows, full path.</param>
/// <param name="Tokenizer">As given to <c>--tokenizer</c>.</param>
/// <param name="Validation">File with rows whose loss is measured during the run, or null.</param>
public sealed record RunSettings(string Artifacts, string Data, string Tokenizer, string? Validation, DataOptions Rows, TrainingOptions Training)
{
    /// <summary>File of the encoder of a decoder that reads <c>encoder_hidden_states</c>, full path; null where there is none.</summary>
    public string? Encoder { get; init; }
}

/// <summary>
/// The folder of a run: <c>run.json</c> (what was asked), <c>log.jsonl</c> (what happened) and <c>checkpoint.safetensors</c> (the latest saved
/// state, replaced as a whole). Together with the prepared folder it is all that resuming and exporting need.
/// </summary>
public sealed class RunFolder
{
    public const string SettingsName = "run.json", LogName = "log.jsonl", CheckpointName = "checkpoint.safetensors";

    private static readonly JsonSerializerOptions json = new()
    {
        WriteIndented = true,
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        Converters = { new BudgetConverter(), new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower) },
    };

    private RunFolder(string path, RunSettings settings) => (FullPath, Settings) = (path, settings);

    public string FullPath { get; }

    public RunSettings Settings { get; }

    public string LogPath => Path.Combine(FullPath, LogName);

    public string CheckpointPath => Path.Combine(FullPath, CheckpointName);

    /// <summary>Checks that a run may begin in this folder: it is new or empty, or holds a run that <paramref name="force"/> gives up.</summary>
    /// <exception cref="LiftException">It may not; nothing was changed.</exception>
    public static void CheckFree(string path, bool force)
    {
        path = Path.GetFullPath(path);
        if (File.Exists(path)) throw new LiftException($"'{path}' is a file; name a folder for the run.");
        if (!Directory.Exists(path) || !Directory.EnumerateFileSystemEntries(path).Any()) return;
        if (!File.Exists(Path.Combine(path, SettingsName))) throw new LiftException($"'{path}' is not empty and holds no run; name a new folder, so that nothing in it is lost.");
        if (!force) throw new LiftException($"'{path}' holds a run already; go on with it (--resume), replace it (--force) or name another folder.");
    }

    /// <summary>Begins a run.</summary>
    /// <param name="force">True replaces a run that is there.</param>
    /// <exception cref="LiftException">The folder may not be used, see <see cref="CheckFree"/>, or cannot be written.</exception>
    public static RunFolder Create(string path, RunSettings settings, bool force = false)
    {
        CheckFree(path, force);
        path = Path.GetFullPath(path);
        try
        {
            Directory.CreateDirectory(path);
            foreach (string old in new[] { CheckpointName, LogName }) File.Delete(Path.Combine(path, old));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new LiftException($"The run folder '{path}' cannot be written ({e.Message}); name another place.", e);
        }
        SafeFile.Write([Path.Combine(path, SettingsName)], streams => JsonSerializer.Serialize(streams[0], settings, json));
        return new RunFolder(path, settings);
    }

    /// <summary>Opens the folder of a run that was begun before.</summary>
    /// <exception cref="LiftException">It is no run folder, or its settings cannot be read.</exception>
    public static RunFolder Open(string path)
    {
        path = Path.GetFullPath(path);
        string file = Path.Combine(path, SettingsName);
        if (!File.Exists(file)) throw new LiftException($"'{path}' is no run folder: it has no {SettingsName}; give a folder that `lift train` wrote.");
        try
        {
            return new RunFolder(path, JsonSerializer.Deserialize<RunSettings>(File.ReadAllBytes(file), json) ?? throw new JsonException("it is empty"));
        }
        catch (JsonException e)
        {
            throw new LiftException($"'{file}' cannot be read ({e.Message}); start the run again in a new folder.", e);
        }
    }

    /// <summary>{"rank": 8} or {"density": 0.05}.</summary>
    private sealed class BudgetConverter : JsonConverter<Budget>
    {
        public override Budget Read(ref Utf8JsonReader reader, Type type, JsonSerializerOptions options)
        {
            JsonElement budget = JsonElement.ParseValue(ref reader);
            return budget.TryGetProperty("rank", out JsonElement rank) ? Budget.RankMatched(rank.GetInt32()) : Budget.Density(budget.GetProperty("density").GetDouble());
        }

        public override void Write(Utf8JsonWriter writer, Budget value, JsonSerializerOptions options)
        {
            writer.WriteStartObject();
            if (value.Rank is { } rank) writer.WriteNumber("rank", rank);
            else writer.WriteNumber("density", value.Fraction!.Value);
            writer.WriteEndObject();
        }
    }
}
