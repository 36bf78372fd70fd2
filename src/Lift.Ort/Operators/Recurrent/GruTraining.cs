namespace Lift.Ort.Operators.Recurrent;

/// <summary>
/// GRU that keeps what its gradient needs. z, r = σ(x Wᵀ + h Rᵀ + b); the candidate n = tanh(x Wᵀ + (r ⊙ h) Rᵀ + b), or with <c>linear_before_reset</c>
/// tanh(x Wᵀ + b + r ⊙ (h Rᵀ + b′)); h = z ⊙ h + (1 − z) ⊙ n. <c>zrh</c> [steps, directions, batch, 3 · hidden] holds z, r, n.
/// </summary>
internal sealed partial class GruTraining(RecurrentLayer layer) : FloatKernel
{
    public const string Functions = "Sigmoid Tanh";

    public static readonly OperatorSchema Schema = new(
        "GRUTraining",
        ["X: T", "W: T", "R: T", "B?: T", "SL?: int32", "H0?: T"],
        ["HAll?: T", "HFinal?: T", "zrh?: T"],
        n => new GruTraining(RecurrentLayer.Of(n, Functions)))
    { OnCuda = true };
}

/// <summary>
/// The gradient of GRU, step by step from the last: dz = dh ⊙ (hₜ₋₁ − n) ⊙ σ′, dn = dh ⊙ (1 − z) ⊙ tanh′; dr = (dn · R) ⊙ hₜ₋₁ ⊙ σ′, or with <c>linear_before_reset</c>
/// dn ⊙ (hₜ₋₁ Rᵀ + b′) ⊙ σ′; then dhₜ₋₁ = dh ⊙ z and what comes back through R; weights and x over all steps as in LSTM.
/// </summary>
internal sealed partial class GruGrad(RecurrentLayer layer) : FloatKernel
{
    public static readonly OperatorSchema Schema = new(
        "GRUGrad",
        ["X: T", "W: T", "R: T", "B?: T", "SL?: int32", "H0?: T", "HAll: T", "zrh: T", "dHAll?: T", "dHFinal?: T"],
        ["dX?: T", "dW?: T", "dR?: T", "dB?: T", "dH0?: T"],
        n => new GruGrad(RecurrentLayer.Of(n, GruTraining.Functions)))
    { OnCuda = true };
}
