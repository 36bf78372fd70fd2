using Lift.Ort.Operators;

namespace Lift.Ort.Sessions;

/// <summary>
/// Says whether a model's run can be recorded and replayed: a replay repeats the device's work with the numbers that the host gave when it was recorded. Sizes and shapes
/// that the host computes are the same as long as the batch's shape is; whatever else the host decides, draws or reads forbids it. Whether every other node runs on the
/// device, with nothing copied to the host and back, is ONNX Runtime's to say: it refuses the session otherwise.
/// </summary>
internal static class RecordableModel
{
    private static readonly HashSet<string> random = ["RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli"];
    private static readonly HashSet<string> sizedByValues = ["NonZero", "Compress", "Unique", "NonMaxSuppression"];

    /// <summary>Where a dropout's inputs say how much it leaves out, and whether it does at all.</summary>
    private static readonly Dictionary<string, (int Ratio, int Training)> dropouts = new()
    {
        ["Dropout"] = (1, 2),
        ["BitmaskDropout"] = (1, 2),
        ["BiasDropout"] = (3, 4),
        ["BitmaskBiasDropout"] = (3, 4),
    };

    /// <summary>The first thing that forbids it, by name; null where nothing does.</summary>
    /// <param name="readBack">Outputs that the host reads after each run.</param>
    public static string? WhyNot(ModelProto model, IReadOnlyCollection<string> readBack)
    {
        if (readBack.FirstOrDefault() is { } output) return $"output '{output}' is read back after each run";
        var ours = TrainingOperators.Table.Select(s => (s.Domain, s.Name)).ToHashSet();
        var constants = model.Graph.Initializer.ToDictionary(t => t.Name);
        IEnumerable<NodeProto> called = model.Functions.Where(f => !ours.Contains((f.Domain, f.Name))).SelectMany(f => f.Node);
        return model.Graph.Node.Concat(called).Select(n => WhyNot(n, constants)).FirstOrDefault(why => why is not null);
    }

    private static string? WhyNot(NodeProto node, Dictionary<string, TensorProto> constants)
    {
        string what = $"{node.OpType} '{(node.Name.Length > 0 ? node.Name : node.Output.FirstOrDefault())}'";
        if (node.Attribute.Any(a => a.G is not null || a.Graphs.Count > 0)) return $"{what} decides on the host what runs";
        if (random.Contains(node.OpType)) return $"{what} draws new numbers in every run";
        if (dropouts.TryGetValue(node.OpType, out var places) && !IsZero(places.Training, absent: true) && !IsZero(places.Ratio, absent: false)) return $"{what} draws new numbers in every run";
        if (sizedByValues.Contains(node.OpType)) return $"{what} has a result whose size follows from values";
        if (node.OpType == "View" && node.Domain == "com.microsoft" && node.Input.Count > 2) return $"{what} reads several shapes on the host";
        return null;

        bool IsZero(int input, bool absent)
        {
            if (node.Input.Count <= input || node.Input[input].Length == 0) return absent;
            return constants.TryGetValue(node.Input[input], out TensorProto? t) && t.RawData.Span.IndexOfAnyExcept((byte)0) < 0 && t.FloatData.All(v => v == 0) && t.Int32Data.All(v => v == 0);
        }
    }
}
