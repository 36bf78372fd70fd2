namespace Lift.Ort.Operators;

/// <summary>
/// Rotary embedding of x [… , T, D], with the tables cos and sin [T, D]: y = x · cos + turned(x) · sin, turned(x) = (−x₂, x₁) of the halves of the last axis.
/// With <c>backward</c> it is the transpose: dx = dy · cos + (dy · sin)₂ before −(dy · sin)₁.
/// </summary>
internal sealed partial class Rotary(bool backward) : FloatKernel
{
    public static readonly OperatorSchema Schema = new("Rotary", ["x: T", "cos: T", "sin: T"], ["y: T"], n => new Rotary(n.Int("backward", 0) != 0)) { Domain = OperatorSchema.OwnDomain, InPlace = 0, OnCuda = true };
}
