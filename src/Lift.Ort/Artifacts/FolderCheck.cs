using Lift.Ort.Onnx;

namespace Lift.Ort.Artifacts;

/// <summary>Checks that the files of a folder belong together, so that nothing fails later, or silently computes something else.</summary>
internal static class FolderCheck
{
    public static void Check(ArtifactFolder folder)
    {
        TrainingInputs inputs = TrainingInputs.Of(folder.TrainingModel, folder.Checkpoint);
        var declared = folder.TrainingModel.Graph.Input.Select(i => i.Name).ToHashSet();
        string model = folder.Path(ArtifactNames.TrainingModel);
        if (folder.TrainingModel.Graph.Output.All(o => o.Name != folder.Record.LossOutput))
            throw new LiftException($"'{model}' has no output '{folder.Record.LossOutput}' for the loss; prepare the model again.");
        ValueInfoProto loss = folder.TrainingModel.Graph.Output.First(o => o.Name == folder.Record.LossOutput);
        var free = inputs.User.SelectMany(v => v.Type.Shape?.Dims ?? []).Select(d => d.Symbol).ToHashSet();
        if (TrainingInputs.Value(loss).Type is { Shape: { } many } && many.Dims.Any(d => d.Value > 1 || (d.Symbol is { } symbol && free.Contains(symbol))))
            throw new LiftException($"The loss '{loss.Name}' of '{model}' has the shape {many}, but a step of training needs one number: generate the artifacts with a loss of reduction mean or sum.");
        if (folder.Record.Inputs.FirstOrDefault(i => !declared.Contains(i)) is { } lost)
            throw new LiftException($"'{model}' has no input '{lost}', which {ArtifactNames.Record} names; the files are not of one folder: prepare the model again.");

        // An input that nobody feeds would silently count as the user's, so parameters missing in the checkpoint show here.
        if (inputs.User.FirstOrDefault(v => !folder.Record.Inputs.Contains(v.Name)) is { } unknown)
            throw new LiftException($"'{model}' has the input '{unknown.Name}', which is neither a parameter of the checkpoint nor an input that {ArtifactNames.Record} names; the files are not of one folder: prepare the model again.");
        foreach (Tensor parameter in folder.Checkpoint.Trainable)
        {
            if (!declared.Contains(parameter.Name) || !declared.Contains(ArtifactNames.Buffer(parameter.Name)))
                throw new LiftException($"'{model}' does not take the trainable parameter '{parameter.Name}' of the checkpoint with a gradient buffer; the files are not of one folder: prepare the model again.");
        }
        if (folder.Checkpoint.IsNominal) return;
        var tensors = folder.Checkpoint.Parameters.ToDictionary(p => p.Name);
        foreach (GraphValue input in inputs.Parameters)
        {
            Tensor tensor = tensors[input.Name];
            bool fits = input.Type.Element == tensor.Type && (input.Type.Shape is not { IsStatic: true } shape || shape.SameAs(tensor.TensorType.Shape));
            if (!fits) throw new LiftException($"Parameter '{input.Name}' is {tensor.TensorType} in the checkpoint and {input.Type} in '{model}'; the files are not of one folder: prepare the model again.");
        }
    }
}
