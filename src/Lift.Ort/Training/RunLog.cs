using System.Text.Json;
using System.Text.Json.Serialization;

namespace Lift.Ort.Training;

/// <summary>One line of a run's log.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "event")]
[JsonDerivedType(typeof(StepDone), "step")]
[JsonDerivedType(typeof(StepSkipped), "skip")]
[JsonDerivedType(typeof(MaskRefreshed), "refresh")]
[JsonDerivedType(typeof(Validated), "validation")]
public abstract record RunEvent([property: JsonPropertyOrder(-1)] int Step);

/// <summary>
/// A step. <c>Loss</c>: before the update, mean over its micro-batches; <c>Lr</c>: the learning rate used; <c>Tokens</c>: all tokens of the run so far without
/// padding; <c>TokensPerS</c>: of this step; <c>GradNorm</c>: L2 norm of the compact gradient before clipping.
/// </summary>
public sealed record StepDone(int Step, float Loss, double Lr, long Tokens, double TokensPerS, double GradNorm) : RunEvent(Step)
{
    /// <summary>What the loss was multiplied by; null where gradients are computed in float32.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? LossScale { get; init; }
}

/// <summary>A batch after step <c>Step</c> whose gradients overflowed under this scale of the loss: nothing was updated, and the next batch tries a smaller one.</summary>
public sealed record StepSkipped(int Step, float Loss, double LossScale) : RunEvent(Step);

/// <summary>
/// A new choice of entries after a step (step 0: the first one). <c>K</c>: entries chosen over all weights; <c>Overlap</c>: share of them that were chosen before
/// (null at the first choice); <c>Bound</c>: largest proven error of a low-rank score over all weights (null where none is computed); <c>Seconds</c>: time it took.
/// </summary>
public sealed record MaskRefreshed(int Step, long K, double? Overlap, double? Bound, double Seconds) : RunEvent(Step);

/// <summary>The loss on the validation data after a step (step 0: before training), and the metrics that fit the loss, by name (null where there are none).</summary>
public sealed record Validated(int Step, double ValidationLoss, [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyDictionary<string, double>? Metrics = null) : RunEvent(Step);

/// <summary>The log of a run: one JSON object per line, written as it happens.</summary>
public sealed class RunLog : IDisposable
{
    private static readonly JsonSerializerOptions json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
        AllowOutOfOrderMetadataProperties = true,
    };

    private readonly StreamWriter writer;

    private RunLog(StreamWriter writer) => this.writer = writer;

    /// <summary>Opens the log at <paramref name="path"/> for appending, without the lines after step <paramref name="lastStep"/>, which a resumed run writes again (−1, the default: from the first line on).</summary>
    public static RunLog Open(string path, int lastStep = -1)
    {
        if (File.Exists(path))
        {
            string[] kept = [.. Read(path).Where(e => e.Step <= lastStep).Select(ToLine)];
            File.WriteAllLines(path + ".new", kept);
            File.Move(path + ".new", path, overwrite: true);
        }
        return new RunLog(new StreamWriter(path, append: true) { AutoFlush = true });
    }

    public void Write(RunEvent line) => writer.WriteLine(ToLine(line));

    /// <summary>Reads a log; a last line that was cut off by a crash is left out.</summary>
    /// <exception cref="LiftException">A line in the middle is not one of ours.</exception>
    public static IReadOnlyList<RunEvent> Read(string path)
    {
        string[] lines = File.ReadAllLines(path);
        var events = new List<RunEvent>(lines.Length);
        for (int i = 0; i < lines.Length; i++)
        {
            try
            {
                events.Add(JsonSerializer.Deserialize<RunEvent>(lines[i], json)!);
            }
            catch (Exception e) when (e is JsonException or NotSupportedException)
            {
                if (i < lines.Length - 1) throw new LiftException($"Line {i + 1} of '{path}' is no line of a run's log ({e.Message}); remove it, or start a new run folder.", e);
            }
        }
        return events;
    }

    /// <summary>The line as it stands in the file.</summary>
    public static string ToLine(RunEvent line) => JsonSerializer.Serialize(line, json);

    public void Dispose() => writer.Dispose();
}
