using System.Text.Json;
using System.Text.Json.Serialization;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;

namespace Lift.Ort.Tests.Gradients;

/// <summary>One loss over concrete scores, with PyTorch's value and gradient; tools/reference/losses writes them.</summary>
internal sealed record LossCase(string Loss, string Note, LossOptions Options, LossTensor Scores, LossTensor? Labels, Dictionary<string, LossTensor> Inputs, double Value, double[] Gradient)
{
    private static readonly JsonSerializerOptions json = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, Converters = { new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower) } };

    public static IReadOnlyList<LossCase> All { get; } =
        JsonSerializer.Deserialize<LossCase[]>(File.ReadAllText(Path.Combine(TestFiles.Root, "tests/Lift.Ort.Tests/Gradients/losses.json")), json)!;

    public override string ToString() => $"{Loss} ({Note})";

    /// <summary>What a batch holds: labels and the inputs beside the scores.</summary>
    public Dictionary<string, Tensor> Batch()
    {
        var batch = Inputs.ToDictionary(i => i.Key, i => Tensor.From<long>(i.Key, i.Value.Longs, i.Value.Shape));
        if (Labels is { } labels) batch["labels"] = labels.Dtype == "int64" ? Tensor.From<long>("labels", labels.Longs, labels.Shape) : Tensor.From<float>("labels", labels.Floats, labels.Shape);
        return batch;
    }
}

internal sealed record LossTensor(long[] Shape, double[] Data, string? Dtype = null)
{
    [JsonIgnore]
    public float[] Floats => [.. Data.Select(v => (float)v)];

    [JsonIgnore]
    public long[] Longs => [.. Data.Select(v => (long)v)];
}
