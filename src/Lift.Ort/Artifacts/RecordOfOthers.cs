using Lift.Ort.Onnx;

namespace Lift.Ort.Artifacts;

/// <summary>Derives the record of a folder that another program made.</summary>
internal static class RecordOfOthers
{
    private static readonly string[] usual = [ArtifactNames.Labels, "target", "label", "targets"];

    public static ArtifactRecord Derive(ModelProto model, CheckpointFile checkpoint)
    {
        TrainingInputs inputs = TrainingInputs.Of(model, checkpoint);
        GraphValue[] visible = [.. model.Graph.Output.Select(TrainingInputs.Value).Where(o => !ArtifactNames.IsGradient(o.Name))];
        string labels = LabelsOf(inputs.User);
        var types = checkpoint.Parameters.ToDictionary(p => p.Name, p => p.Type);
        return new()
        {
            LossOutput = visible.FirstOrDefault()?.Name ?? "",
            Scored = visible.ElementAtOrDefault(1)?.Name,
            Labels = labels,
            Classes = ClassesOf(model.Graph, labels),
            Inputs = [.. inputs.User.Select(v => v.Name)],
            Weights = [.. inputs.Parameters.Where(p => inputs.Trained.Contains(p.Name)).Select(p => new WeightRecord(p.Name, LayerOf(p.Name),
                [.. (p.Type.Shape?.Dims ?? []).Select(d => d.Value ?? -1)], types[p.Name]))],
        };
    }

    /// <summary>The input that the loss compares with: the names that ONNX Runtime's losses give it, else the last one, as losses add theirs behind the model's own.</summary>
    private static string LabelsOf(IReadOnlyList<GraphValue> user) => usual.FirstOrDefault(n => user.Any(i => i.Name == n)) ?? user.Skip(1).LastOrDefault()?.Name ?? ArtifactNames.Labels;

    /// <summary>How many classes a cross-entropy over the labels themselves scores; null where it is another loss or the files do not tell.</summary>
    private static long? ClassesOf(GraphProto graph, string labels)
    {
        NodeProto? loss = graph.Node.FirstOrDefault(n => n.OpType is "SoftmaxCrossEntropyLoss" or "SoftmaxCrossEntropyLossInternal" && n.Input[1] == labels);
        if (loss is null || loss.Attribute.Any(a => a.Name == "ignore_index" && a.I != -100)) return null;
        ValueInfoProto? scores = graph.ValueInfo.Concat(graph.Output).FirstOrDefault(v => v.Name == loss.Input[0]);
        return scores is null ? null : TrainingInputs.Value(scores).Type.Shape is { Rank: > 1 } shape ? shape[1].Value : null;
    }

    /// <summary>The module a PyTorch parameter name belongs to: <c>layers.0.fc.weight</c> is of <c>layers.0.fc</c>.</summary>
    private static string LayerOf(string parameter) => parameter.LastIndexOf('.') is > 0 and var dot ? parameter[..dot] : parameter;
}
