using Lift.Ort.Onnx;

namespace Lift.Ort.Artifacts;

/// <summary>The inputs of a training model, sorted by name as ONNX Runtime's training API sorts them.</summary>
public sealed record TrainingInputs(IReadOnlyList<GraphValue> User, IReadOnlyList<GraphValue> Parameters, IReadOnlyList<string> Trained)
{
    /// <summary>Parameters are what the checkpoint lists; buffers and the reset flag are known by their names; everything else is the user's.</summary>
    public static TrainingInputs Of(ModelProto model, CheckpointFile checkpoint)
    {
        var parameters = checkpoint.Parameters.Select(p => p.Name).ToHashSet();
        var trainable = checkpoint.Trainable.Select(p => p.Name).ToHashSet();
        List<GraphValue> values = [.. model.Graph.Input.Select(Value)];
        return new(
            [.. values.Where(v => !parameters.Contains(v.Name) && v.Name != ArtifactNames.ResetFlag && !ArtifactNames.IsGradient(v.Name))],
            [.. values.Where(v => parameters.Contains(v.Name))],
            [.. values.Select(v => v.Name).Where(trainable.Contains)]);
    }

    /// <summary>A declared input or output as name and tensor type.</summary>
    public static GraphValue Value(ValueInfoProto info)
    {
        TypeProto.Types.Tensor? type = info.Type?.TensorType;
        if (type is null) return new(info.Name, TensorType.Unknown);
        Shape? shape = type.Shape is null ? null : new([.. type.Shape.Dim.Select(d => d.ValueCase switch
        {
            TensorShapeProto.Types.Dimension.ValueOneofCase.DimValue => (Dim)d.DimValue,
            TensorShapeProto.Types.Dimension.ValueOneofCase.DimParam => (Dim)d.DimParam,
            _ => Dim.Unknown,
        })]);
        return new(info.Name, new TensorType((ElementType)type.ElemType, shape));
    }
}
