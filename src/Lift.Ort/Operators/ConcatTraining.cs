namespace Lift.Ort.Operators;

/// <summary>Joins tensors along an axis, and says how long each one was: what SplitTraining needs on the way back.</summary>
internal sealed partial class ConcatTraining(long axis) : OperatorKernel
{
    public static readonly OperatorSchema Schema = new("ConcatTraining", ["inputs*: V"], ["concat_result: V", "per_input_length?: int64"], n => new ConcatTraining(n.Int("axis", 0))) { OnCuda = true };
}

/// <summary>Cuts a tensor along an axis into pieces of the lengths in <c>split</c>.</summary>
internal sealed partial class SplitTraining(long axis) : OperatorKernel
{
    public static readonly OperatorSchema Schema = new("SplitTraining", ["input: V", "split: int64"], ["outputs*: V"], n => new SplitTraining(n.Int("axis", 0))) { OnCuda = true, HostInputs = [1] };
}
