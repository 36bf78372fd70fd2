namespace Lift.Ort.Operators;

/// <summary>y = x[starts : ends : steps] ⇒ dx is zero but for the slice, which is dy; <c>shape</c> is the shape of x.</summary>
internal sealed partial class SliceGrad : FloatKernel
{
    public static readonly OperatorSchema Schema = new("SliceGrad", ["dY: T", "shape: int64", "starts: L", "ends: L", "axes?: L", "steps?: L"], ["dX: T"], _ => new SliceGrad()) { OnCuda = true, HostInputs = [1, 2, 3, 4, 5] };
}
