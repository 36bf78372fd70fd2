namespace Lift.Ort.Operators;

/// <summary>Σ over axes that are an input; without axes over all of them, or over none where <c>noop_with_empty_axes</c> is set.</summary>
internal sealed partial class ReduceSumTraining(bool keepDims, bool noneWhenEmpty) : FloatKernel
{
    public static readonly OperatorSchema Schema = new(
        "ReduceSumTraining", ["data: T", "axes: int64"], ["reduced: T"], n => new ReduceSumTraining(n.Int("keepdims", 1) != 0, n.Int("noop_with_empty_axes", 0) != 0))
    { OnCuda = true, HostInputs = [1] };
}

/// <summary>The axes along which the gradients of two broadcast operands must be summed.</summary>
internal sealed partial class BroadcastGradientArgs : OperatorKernel
{
    public static readonly OperatorSchema Schema = new("BroadcastGradientArgs", ["a_shape: int64", "b_shape: int64"], ["a_axes?: int64", "b_axes?: int64"], _ => new BroadcastGradientArgs());
}
