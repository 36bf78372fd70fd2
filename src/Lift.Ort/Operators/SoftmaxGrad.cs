namespace Lift.Ort.Operators;

/// <summary>y = softmax(x) ⇒ dx = y ⊙ (dy − Σ dy ⊙ y), the sum along the softmax's axis.</summary>
internal sealed partial class SoftmaxGrad(long axis, bool flatten) : FloatKernel
{
    public static readonly OperatorSchema Schema = new("SoftmaxGrad_13", ["dY: T", "Y: T"], ["dX: T"], n => new SoftmaxGrad(n.Int("axis", -1), false)) { InPlace = 0, OnCuda = true };

    /// <summary>The form before opset 13: all axes from <c>axis</c> on are one.</summary>
    public static readonly OperatorSchema Flattened = new("SoftmaxGrad", ["dY: T", "Y: T"], ["dX: T"], n => new SoftmaxGrad(n.Int("axis", 1), true)) { InPlace = 0, OnCuda = true };
}
