namespace Lift.Ort.Operators;

/// <summary>
/// BatchNormalization with the batch's statistics: per channel, y = (x − mean) · inv_std · scale + b, mean and variance over batch and space (the variance divided by
/// their count). The running statistics that come out are momentum · given + (1 − momentum) · the batch's, as ONNX defines them.
/// </summary>
internal sealed partial class BatchNormInternal(float epsilon, float momentum, bool training) : FloatKernel
{
    public static readonly OperatorSchema Schema = new(
        "BatchNormInternal",
        ["X: T", "scale: T", "B: T", "input_mean: T", "input_var: T"],
        ["Y: T", "running_mean?: T", "running_var?: T", "saved_mean?: T", "saved_inv_std?: T"],
        n => new BatchNormInternal(n.Float("epsilon", 1e-5f), n.Float("momentum", 0.9f), n.Int("training_mode", 1) != 0))
    { OnCuda = true };
}

/// <summary>Its gradient: with x̂ = (x − mean) · inv_std, dx = scale · inv_std · (dy − mean(dy) − x̂ · mean(dy ⊙ x̂)), dscale = Σ dy ⊙ x̂, db = Σ dy.</summary>
internal sealed partial class BatchNormalizationGrad : FloatKernel
{
    public static readonly OperatorSchema Schema = new(
        "BatchNormalizationGrad",
        ["dY: T", "X: T", "scale: T", "mean: T", "inv_std: T"],
        ["X_grad?: T", "scale_grad?: T", "bias_grad?: T"],
        _ => new BatchNormalizationGrad())
    { OnCuda = true };
}
