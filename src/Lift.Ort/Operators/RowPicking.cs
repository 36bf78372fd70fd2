namespace Lift.Ort.Operators;

/// <summary>y = x[indices], indices a vector: Gather under the name that ONNX Runtime's removal of padding gives it.</summary>
internal sealed partial class ShrunkenGather(long axis) : OperatorKernel
{
    public static readonly OperatorSchema Schema = new("ShrunkenGather", ["data: V", "indices: L"], ["output: V"], n => new ShrunkenGather(n.Int("axis", 0))) { OnCuda = true };
}

/// <summary>Rows of x put to their places among rows of zeros; the first axis becomes the two of <c>unflatten_dims</c>.</summary>
internal sealed partial class PadAndUnflatten : FloatKernel
{
    public static readonly OperatorSchema Schema = new("PadAndUnflatten", ["input: T", "indices: int64", "unflatten_dims: int64"], ["output: T"], _ => new PadAndUnflatten())
    { OnCuda = true, HostInputs = [2] };
}

/// <summary>The rows of x at the indices, counted over its first two axes, and the lengths of these axes.</summary>
internal sealed partial class FlattenAndUnpad : OperatorKernel
{
    public static readonly OperatorSchema Schema = new("FlattenAndUnpad", ["input: V", "indices: int64"], ["output: V", "unflatten_dims?: int64"], _ => new FlattenAndUnpad())
    { OnCuda = true };
}

/// <summary>y = slices of x at index tuples below <c>batch_dims</c> axes ⇒ dx is zero but for dy, added at the tuples; <c>shape</c> is the shape of x.</summary>
internal sealed partial class GatherNDGrad(int batch) : FloatKernel
{
    public static readonly OperatorSchema Schema = new("GatherNDGrad", ["shape: int64", "indices: L", "update: T"], ["output: T"], n => new GatherNDGrad((int)n.Int("batch_dims", 0)))
    { OnCuda = true, HostInputs = [0] };

    protected override int TypedInput => 2;
}

/// <summary>A vector cut into tensors of the given shapes, in order.</summary>
internal sealed partial class View : OperatorKernel
{
    public static readonly OperatorSchema Schema = new("View", ["input: V", "shapes*: int64"], ["outputs*: V"], _ => new View()) { OnCuda = true, HostInputs = [1] };
}

/// <summary>Hands its inputs on, once all are there.</summary>
internal sealed partial class PassThrough : OperatorKernel
{
    public static readonly OperatorSchema Schema = new("PassThrough", ["inputs*: V"], ["outputs*: V"], _ => new PassThrough()) { OnCuda = true };
}
