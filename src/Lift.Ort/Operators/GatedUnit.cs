namespace Lift.Ort.Operators;

/// <summary>y = gate · σ(gate) · up: the gated unit (SwiGLU) between two linear layers.</summary>
internal sealed partial class GatedUnit : FloatKernel
{
    public static readonly OperatorSchema Schema = new("GatedUnit", ["gate: T", "up: T"], ["y: T"], _ => new GatedUnit()) { Domain = OperatorSchema.OwnDomain, OnCuda = true };
}

/// <summary>With s = σ(gate): dgate = dy · up · s · (1 + gate · (1 − s)), dup = dy · gate · s.</summary>
internal sealed partial class GatedUnitGrad : FloatKernel
{
    public static readonly OperatorSchema Schema = new("GatedUnitGrad", ["dY: T", "gate: T", "up: T"], ["d_gate: T", "d_up: T"], _ => new GatedUnitGrad())
    {
        Domain = OperatorSchema.OwnDomain,
        InPlace = 0,
        OnCuda = true,
    };
}
