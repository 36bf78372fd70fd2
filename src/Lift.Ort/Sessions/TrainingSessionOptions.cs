using Lift.Ort.Sessions.Fusions;
using Microsoft.ML.OnnxRuntime;

namespace Lift.Ort.Sessions;

/// <summary>What a training session does beyond the ordinary.</summary>
public sealed record TrainingSessionOptions
{
    /// <summary>Names of the weights to train; null (the default) takes every trainable weight of the folder. The others stay in the mapped file.</summary>
    public IReadOnlyCollection<string>? Trained { get; init; }

    /// <summary>Further outputs to read back after a step, for example the logits; none by default, so that nothing is computed for them.</summary>
    public IReadOnlyCollection<string> Outputs { get; init; } = [];

    /// <summary>False runs the model without our training operators, on the fallback functions that the file brings; slower, for builds and checks without custom operators.</summary>
    public bool TrainingOperators { get; init; } = true;

    /// <summary>False runs the file's chains node by node instead of putting single operators of ours in their place; needs <see cref="TrainingOperators"/> to have a meaning.</summary>
    public bool Fusions { get; init; } = true;

    /// <summary>The kinds of fusions that <see cref="FusionsLeftOut"/> may name.</summary>
    public static IReadOnlyList<string> FusionKinds => Fusion.Kinds;

    /// <summary>Kinds of fusions that are not put in, for measurements and comparisons: "attention", …; none by default.</summary>
    public IReadOnlyCollection<string> FusionsLeftOut { get; init; } = [];

    /// <summary>Whether <see cref="TrainingSession.LossScale"/> has an effect; null (the default): where a gradient passes through float16 values, be the weights themselves float32, on a device that computes with them.</summary>
    public bool? ScaleLoss { get; init; }

    /// <summary>What the backward pass computes again instead of keeping it; default nothing.</summary>
    public Recompute Recompute { get; init; }

    /// <summary>Changes to ONNX Runtime's session options, after the device's own.</summary>
    public Action<SessionOptions>? Configure { get; init; }
}
