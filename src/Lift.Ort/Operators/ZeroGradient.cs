namespace Lift.Ort.Operators;

/// <summary>A gradient of zeros, once <c>reset_signal</c> is there.</summary>
internal sealed partial class ZeroGradient : FloatKernel
{
    public static readonly OperatorSchema Schema = new("ZeroGradient", ["old_gradient: T", "reset_signal: any"], ["zero_gradient: T"], _ => new ZeroGradient()) { InPlace = 0, OnCuda = true };
}

/// <summary>Says true when all inputs have been computed.</summary>
internal sealed partial class Group : OperatorKernel
{
    public static readonly OperatorSchema Schema = new("Group", ["input_tensors*: any"], ["done: bool"], _ => new Group());
}
