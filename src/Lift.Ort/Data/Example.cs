using Lift.Ort.Onnx;

namespace Lift.Ort.Data;

/// <summary>One row of data, ready to stand in a batch.</summary>
/// <param name="Row">Where it came from: line of a JSONL file, entry of a JSON array, from 1.</param>
/// <param name="Ids">Token ids, unpadded; empty where the model reads no text.</param>
/// <param name="Labels">One label per token, <see cref="Ignored"/> where none counts (the prompt); empty where the row's labels are not per token (then <paramref name="Values"/> holds them).</param>
/// <param name="Values">Everything else by model input name, without the batch axis, in the model's element type: pixels, features, a class.</param>
public sealed record Example(int Row, int[] Ids, int[] Labels, IReadOnlyDictionary<string, Tensor> Values)
{
    /// <summary>The label that no loss counts.</summary>
    public const int Ignored = -100;

    /// <summary>What <see cref="Values"/> is for rows that are text only.</summary>
    public static readonly IReadOnlyDictionary<string, Tensor> NoValues = new Dictionary<string, Tensor>();

    /// <summary>Values that lie in files of their own, by model input name; read when a batch needs them.</summary>
    public IReadOnlyDictionary<string, FileTensor> Files { get; init; } = new Dictionary<string, FileTensor>();

    /// <summary>The rows of the batch that this row makes where losses compare rows (anchor, positive, …); empty for a row that stands for itself.</summary>
    public IReadOnlyList<Example> Parts { get; init; } = [];

    /// <summary>Number of tokens (of the longest part), 1 for a row without tokens.</summary>
    public int Length => Parts.Count > 0 ? Parts.Max(p => p.Length) : Math.Max(Ids.Length, 1);

    /// <summary>Labels that count.</summary>
    /// <param name="shifted">True when position t is scored against label t + 1 (causal language models): the first label is then never reached.</param>
    public int CountLabels(bool shifted)
    {
        if (Labels.Length > 0) return Labels.AsSpan(shifted ? 1 : 0).Length - Labels.AsSpan(shifted ? 1 : 0).Count(Ignored);
        return Values.GetValueOrDefault(Batch.LabelsName) is { Type: ElementType.Int64 } labels ? labels.AsSpan<long>().Length - labels.AsSpan<long>().Count(Ignored) : 1;
    }

    /// <summary>This row with everything in memory.</summary>
    internal Example Loaded()
    {
        if (Files.Count == 0) return this;
        var values = new Dictionary<string, Tensor>(Values);
        foreach (var (name, file) in Files) values[name] = file.Read();
        return this with { Values = values, Files = new Dictionary<string, FileTensor>() };
    }
}
