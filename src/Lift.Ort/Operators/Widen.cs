namespace Lift.Ort.Operators;

/// <summary>
/// float16 or bfloat16 x as float32. Every use of a weight has a node of its own, which the attribute <c>use</c> tells from the others: ONNX Runtime
/// merges equal nodes, and a copy that forward and backward pass share would live through the whole step, one per weight of the model.
/// </summary>
internal sealed partial class Widen : OperatorKernel
{
    public static readonly OperatorSchema Schema = new("Widen", ["x: N"], ["y: float"], _ => new Widen()) { Domain = OperatorSchema.OwnDomain, OnCuda = true };
}
