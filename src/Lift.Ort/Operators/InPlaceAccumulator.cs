namespace Lift.Ort.Operators;

/// <summary>Adds a gradient to its buffer, in the buffer's own memory, unless <c>update_signal</c> is false: the accumulator of artifacts before ONNX Runtime 1.15.</summary>
internal sealed partial class InPlaceAccumulator : FloatKernel
{
    public static readonly OperatorSchema Schema = Of("InPlaceAccumulator", "update_signal?: bool");

    /// <summary>The same without a signal.</summary>
    public static readonly OperatorSchema Gradient = Of("GradientAccumulator");

    private static OperatorSchema Of(string name, params string[] more) => new(name, ["old_sum: T", "value: T", .. more], ["new_sum: T"], _ => new InPlaceAccumulator()) { Aliased = true, OnCuda = true };
}
