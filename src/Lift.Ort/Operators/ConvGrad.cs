namespace Lift.Ort.Operators;

/// <summary>
/// y = x ∗ w + b (any number of spatial axes, groups, strides, dilations, pads) ⇒ with the patches of x as columns: dw = dy · patchesᵀ,
/// dx = the patches of wᵀ · dy added where they came from, db = Σ dy over images and positions.
/// </summary>
internal sealed partial class ConvGrad(long groups, WindowAttributes window) : FloatKernel
{
    public static readonly OperatorSchema Schema = new(
        "ConvGrad",
        ["dY: T", "X: T", "W: T"],
        ["dX?: T", "dW?: T", "dB?: T"],
        n => new ConvGrad(n.Int("group", 1), WindowAttributes.Of(n)))
    { OnCuda = true };
}
