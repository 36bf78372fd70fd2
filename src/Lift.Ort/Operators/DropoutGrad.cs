namespace Lift.Ort.Operators;

/// <summary>y = x ⊙ mask / (1 − ratio) ⇒ dx = dy ⊙ mask / (1 − ratio); dx = dy where <c>training_mode</c> is false. ratio is 0.5 where it is left out.</summary>
internal sealed partial class DropoutGrad : FloatKernel
{
    public static readonly OperatorSchema Schema = new("DropoutGrad", ["dy: T", "mask: bool", "ratio?: T", "training_mode?: bool"], ["dx: T"], _ => new DropoutGrad()) { InPlace = 0, OnCuda = true, HostInputs = [2, 3] };
}
