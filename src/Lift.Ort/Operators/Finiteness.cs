namespace Lift.Ort.Operators;

/// <summary>True for each element that is neither infinite nor NaN.</summary>
internal sealed partial class IsFinite : FloatKernel
{
    public static readonly OperatorSchema Schema = new("IsFinite", ["X: T"], ["Y: bool"], _ => new IsFinite()) { OnCuda = true };
}

/// <summary>True when no element of any input is infinite or NaN; only one of both is looked for where <c>isinf_only</c> or <c>isnan_only</c> is set.</summary>
internal sealed partial class IsAllFinite(bool infinities, bool nans) : FloatKernel
{
    public static readonly OperatorSchema Schema = new(
        "IsAllFinite", ["input*: T"], ["output: bool"], n => new IsAllFinite(n.Int("isnan_only", 0) == 0, n.Int("isinf_only", 0) == 0))
    { OnCuda = true };
}

/// <summary>√Σ x² over all elements of all inputs.</summary>
internal sealed partial class ReduceAllL2 : FloatKernel
{
    public static readonly OperatorSchema Schema = new("ReduceAllL2", ["X*: T"], ["Y: T"], _ => new ReduceAllL2()) { OnCuda = true };
}
