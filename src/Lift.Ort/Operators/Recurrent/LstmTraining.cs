namespace Lift.Ort.Operators.Recurrent;

/// <summary>
/// LSTM that keeps what its gradient needs. Gates i, o, f, c of each step: i, o, f = σ(x Wᵀ + h Rᵀ + b (+ p ⊙ cell)), c = tanh(x Wᵀ + h Rᵀ + b),
/// cell = f ⊙ cell + i ⊙ c, h = o ⊙ tanh(cell). <c>all_cell_states</c> [steps, directions, batch, hidden], <c>iofc</c> [steps, directions, batch, 4 · hidden].
/// </summary>
internal sealed partial class LstmTraining(RecurrentLayer layer) : FloatKernel
{
    public const string Functions = "Sigmoid Tanh Tanh";

    public static readonly OperatorSchema Schema = new(
        "LSTMTraining",
        ["X: T", "W: T", "R: T", "B?: T", "SL?: int32", "Ht0?: T", "Ct0?: T", "P?: T"],
        ["HAll?: T", "HFinal?: T", "CFinal?: T", "CAll?: T", "iofc?: T"],
        n => new LstmTraining(RecurrentLayer.Of(n, Functions)))
    { OnCuda = true };
}

/// <summary>
/// The gradient of LSTM, step by step from the last: dcell += dh ⊙ o ⊙ tanh′, di = dcell ⊙ c ⊙ σ′, do = dh ⊙ tanh(cell) ⊙ σ′, df = dcell ⊙ cellₜ₋₁ ⊙ σ′, dc = dcell ⊙ i ⊙ tanh′;
/// then dhₜ₋₁ = dgates · R, dcellₜ₋₁ = dcell ⊙ f, and over all steps dx = dgates · W, dW = dgatesᵀ · x, dR = dgatesᵀ · hₜ₋₁, dB = Σ dgates twice. The peephole weights P are a
/// further input of ours.
/// </summary>
internal sealed partial class LstmGrad(RecurrentLayer layer) : FloatKernel
{
    public static readonly OperatorSchema Schema = new(
        "LSTMGrad",
        ["X: T", "W: T", "R: T", "SL?: int32", "Ht0?: T", "Ct0?: T", "HAll: T", "CAll: T", "iofc: T", "dHAll?: T", "dHFinal?: T", "dCFinal?: T", "P?: T"],
        ["dX?: T", "dW?: T", "dR?: T", "dB?: T", "dH0?: T", "dC0?: T", "dP?: T"],
        n => new LstmGrad(RecurrentLayer.Of(n, LstmTraining.Functions)))
    { OnCuda = true };
}
