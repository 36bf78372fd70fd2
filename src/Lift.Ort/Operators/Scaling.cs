namespace Lift.Ort.Operators;

/// <summary>y = s₀ x₀ + s₁ x₁ (+ s₂ x₂); all of one shape.</summary>
internal sealed partial class ScaledSum(float[] scales) : FloatKernel
{
    public static readonly OperatorSchema Schema = new(
        "ScaledSum", ["input_0: T", "input_1: T", "input_2?: T"], ["output: T"], n => new ScaledSum(Scales(n)))
    { InPlace = 0, OnCuda = true };

    public static float[] Scales(NodeAttributes n) => [n.Float("scale_0", 0), n.Float("scale_1", 0), n.Float("scale_2", 0)];
}

/// <summary>yᵢ = sᵢ x for two or three outputs.</summary>
internal sealed partial class BatchScale(float[] scales) : FloatKernel
{
    public static readonly OperatorSchema Schema = new(
        "BatchScale", ["input: T"], ["output_0: T", "output_1: T", "output_2?: T"], n => new BatchScale(ScaledSum.Scales(n)))
    { OnCuda = true };
}

/// <summary>y = x · s, or x / s where <c>scale_down</c> is set; s is a scalar.</summary>
internal sealed partial class Scale(bool down) : FloatKernel
{
    public static readonly OperatorSchema Schema = new("Scale", ["input: T", "scale: S"], ["output: T"], n => new Scale(n.Int("scale_down", 0) != 0)) { InPlace = 0, OnCuda = true };
}

/// <summary>yᵢ = s xᵢ, in the element type of the inputs; with <c>fuse_outputs</c> one vector of all.</summary>
internal sealed partial class MixedPrecisionScale(bool fused, long to) : FloatKernel
{
    public static readonly OperatorSchema Schema = new(
        "MixedPrecisionScale", ["S: T", "X*: T"], ["Y*: T"], n => new MixedPrecisionScale(n.Int("fuse_outputs", 0) != 0, n.Int("to", 0)))
    { OnCuda = true };
}
