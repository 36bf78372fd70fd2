namespace Lift.Ort.Operators;

/// <summary>
/// y = x ∗ᵀ w + b (any number of spatial axes, groups, strides, dilations, pads) ⇒ with the patches of dy as columns: dx = w · patches, dw = x · patchesᵀ,
/// db = Σ dy over images and positions. The weight is [input channels, output channels of a group, kernel …].
/// </summary>
internal sealed partial class ConvTransposeGrad(long groups, WindowAttributes window) : FloatKernel
{
    public static readonly OperatorSchema Schema = new(
        "ConvTransposeGrad",
        ["dY: T", "X: T", "W: T"],
        ["dX?: T", "dW?: T", "dB?: T"],
        n => new ConvTransposeGrad(n.Int("group", 1), WindowAttributes.Of(n)))
    { OnCuda = true };
}
