using Lift.Ort.Onnx;

namespace Lift.Ort.Artifacts;

/// <summary>Derives the record of a folder that another program made.</summary>
internal static class RecordOfOthers
{
    public static ArtifactRecord Derive(ModelProto model, CheckpointFile checkpoint)
    {
        TrainingInputs inputs = TrainingInputs.Of(model, checkpoint);
        GraphValue[] visible = [.. model.Graph.Output.Select(TrainingInputs.Value).Where(o => !ArtifactNames.IsGradient(o.Name))];
        var types = checkpoint.Parameters.ToDictionary(p => p.Name, p => p.Type);
        return new()
        {
            LossOutput = visible.FirstOrDefault()?.Name ?? "",
            Scored = visible.ElementAtOrDefault(1)?.Name,
            Inputs = [.. inputs.User.Select(v => v.Name)],
            Weights = [.. inputs.Parameters.Where(p => inputs.Trained.Contains(p.Name)).Select(p => new WeightRecord(p.Name, LayerOf(p.Name),
                [.. (p.Type.Shape?.Dims ?? []).Select(d => d.Value ?? -1)], types[p.Name]))],
        };
    }

    /// <summary>The module a PyTorch parameter name belongs to: <c>layers.0.fc.weight</c> is of <c>layers.0.fc</c>.</summary>
    private static string LayerOf(string parameter) => parameter.LastIndexOf('.') is > 0 and var dot ? parameter[..dot] : parameter;
}
