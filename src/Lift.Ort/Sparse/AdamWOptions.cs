using Lift.Ort.Artifacts;

namespace Lift.Ort.Sparse;

/// <summary>The two ways in which AdamW is written down, and gradient descent.</summary>
public enum AdamWForm
{
    /// <summary>Hugging Face: ε is added to √v before the bias correction, weight decay after the step. LIFT's published form.</summary>
    Hf,

    /// <summary>PyTorch: weight decay before the step, v divided by its correction before ε is added.</summary>
    Torch,

    /// <summary>Gradient descent: w −= lr · g, then the weight decay; no moments, so that β and ε have no meaning.</summary>
    Sgd,
}

/// <summary>Numbers of AdamW that stay the same through a run. Defaults: the paper's settings for LIFT.</summary>
public sealed record AdamWOptions
{
    /// <summary>Default <see cref="AdamWForm.Hf"/>.</summary>
    public AdamWForm Form { get; init; } = AdamWForm.Hf;

    /// <summary>Decay of the first moment; default 0.9.</summary>
    public double Beta1 { get; init; } = 0.9;

    /// <summary>Decay of the second moment; default 0.95.</summary>
    public double Beta2 { get; init; } = 0.95;

    /// <summary>Default 1e-6.</summary>
    public double Epsilon { get; init; } = 1e-6;

    /// <summary>Decoupled weight decay on trained entries, per step times the learning rate; default 0.</summary>
    public double WeightDecay { get; init; }

    /// <summary>False leaves out both bias corrections; default true.</summary>
    public bool BiasCorrection { get; init; } = true;

    /// <summary>Largest global L2 norm of the averaged gradient; a longer one is scaled down to it. Default 0: no clipping.</summary>
    public double ClipNorm { get; init; }

    /// <summary>Largest magnitude of one gradient entry, applied after the norm; default 0: no clipping.</summary>
    public double ClipValue { get; init; }

    /// <summary>What an artifact folder's optimizer model says: AdamWOptimizer in both modes, or SGDOptimizerV2, with InplaceClipGradNorm before it where it is there.</summary>
    public static AdamWOptions Of(OptimizerRecipe recipe) => recipe.Kind == OptimizerKind.Sgd
        ? new() { Form = AdamWForm.Sgd, ClipNorm = recipe.MaxNorm ?? 0 }
        : new()
        {
            Form = recipe.Mode == 0 ? AdamWForm.Torch : AdamWForm.Hf,
            Beta1 = recipe.Beta1,
            Beta2 = recipe.Beta2,
            Epsilon = recipe.Epsilon,
            WeightDecay = recipe.WeightDecay,
            BiasCorrection = recipe.CorrectBias,
            ClipNorm = recipe.MaxNorm ?? 0,
        };

    /// <summary>The numbers as the kernels take them: gradient descent is the step m / (√v + ε) with m = g, v = 0 and ε = 1.</summary>
    internal AdamWOptions ForKernel() => Form != AdamWForm.Sgd ? this : this with { Form = AdamWForm.Hf, Beta1 = 0, Beta2 = 1, Epsilon = 1, BiasCorrection = false };

    /// <summary>Checks the numbers, before work starts.</summary>
    /// <exception cref="LiftException">A number lies outside its range; the message names it, its value and the range.</exception>
    public AdamWOptions Check()
    {
        Require(Beta1 is >= 0 and < 1, "beta1", Beta1, "0 up to, not including, 1");
        Require(Beta2 is >= 0 and < 1, "beta2", Beta2, "0 up to, not including, 1");
        Require(Epsilon > 0 && double.IsFinite(Epsilon), "epsilon", Epsilon, "larger than 0");
        Require(WeightDecay >= 0 && double.IsFinite(WeightDecay), "weight decay", WeightDecay, "0 or larger");
        Require(ClipNorm >= 0 && double.IsFinite(ClipNorm), "clip norm", ClipNorm, "0 (off) or larger");
        Require(ClipValue >= 0 && double.IsFinite(ClipValue), "clip value", ClipValue, "0 (off) or larger");
        return this;
    }

    private static void Require(bool good, string name, double value, string range)
    {
        if (!good) throw new LiftException(FormattableString.Invariant($"The optimizer's {name} is {value}; give {range}."));
    }
}
