namespace Lift.Ort.Operators;

/// <summary>
/// y = x̂ ⊙ scale + bias, x̂ = (x − mean) · inv_std ⇒ with g = dy ⊙ scale: dx = inv_std · (g − mean(g) − x̂ · mean(g ⊙ x̂)),
/// dscale = Σ dy ⊙ x̂, dbias = Σ dy over all rows. The simplified form (RMS) has no mean: dx = inv_std · (g − x̂ · mean(g ⊙ x̂)).
/// The invertible form is given y instead of x, and finds x̂ = (y − bias) / scale.
/// </summary>
internal sealed partial class LayerNormalizationGrad(long axis, NormalizationForm form) : FloatKernel
{
    public static readonly OperatorSchema Schema = new(
        "LayerNormalizationGrad",
        ["Y_grad: T", "X: T", "scale: T", "mean: U", "inv_std_dev: U"],
        ["X_grad: T", "scale_grad?: T", "bias_grad?: T"],
        n => new LayerNormalizationGrad(n.Int("axis", -1), NormalizationForm.Full))
    { InPlace = 0, OnCuda = true };

    public static readonly OperatorSchema Simplified = new(
        "SimplifiedLayerNormalizationGrad",
        ["Y_grad: T", "X: T", "scale: T", "inv_std_var: U"],
        ["X_grad: T", "scale_grad?: T"],
        n => new LayerNormalizationGrad(n.Int("axis", -1), NormalizationForm.Simplified))
    { InPlace = 0, OnCuda = true };

    public static readonly OperatorSchema Invertible = new(
        "InvertibleLayerNormalizationGrad",
        ["Y_grad: T", "Y: T", "scale: T", "bias: T", "inv_std_var: U"],
        ["X_grad: T", "scale_grad?: T", "bias_grad?: T"],
        n => new LayerNormalizationGrad(n.Int("axis", -1), NormalizationForm.Invertible))
    { InPlace = 0, OnCuda = true };
}

/// <summary>What the backward pass of a normalization is given.</summary>
internal enum NormalizationForm
{
    Full,
    Simplified,
    Invertible,
}
