namespace Lift.Ort.Operators;

/// <summary>y = x[indices] along an axis ⇒ dx is zero but for dx[indices[i]] += dy[i]; <c>shape</c> is the shape of x.</summary>
internal sealed partial class GatherGrad(long axis) : FloatKernel
{
    public static readonly OperatorSchema Schema = new("GatherGrad", ["shape: I", "indices: L", "dY: T"], ["dX: T"], n => new GatherGrad(n.Int("axis", 0))) { OnCuda = true, HostInputs = [0] };

    protected override int TypedInput => 2;
}

/// <summary>y = x.GatherElements(indices) ⇒ dx is zero but for dx[… indices[i] …] += dy[i]; indices and dy have one shape.</summary>
internal sealed partial class GatherElementsGrad(long axis) : FloatKernel
{
    public static readonly OperatorSchema Schema = new("GatherElementsGrad", ["dY: T", "shape: int64", "indices: L"], ["dX: T"], n => new GatherElementsGrad(n.Int("axis", 0))) { OnCuda = true, HostInputs = [1] };
}
