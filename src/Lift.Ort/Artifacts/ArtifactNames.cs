namespace Lift.Ort.Artifacts;

/// <summary>The names by which ONNX Runtime's training API recognises files and values.</summary>
public static class ArtifactNames
{
    public const string TrainingModel = "training_model.onnx";
    public const string EvalModel = "eval_model.onnx";
    public const string OptimizerModel = "optimizer_model.onnx";
    public const string Checkpoint = "checkpoint";
    public const string Record = "lift.json";

    public const string Loss = "loss";
    public const string Labels = "labels";
    public const string ResetFlag = "lazy_reset_grad";
    public const string Accumulator = "InPlaceAccumulatorV2";
    public const string OptimizerGroup = "group0";

    private const string BufferSuffix = "_grad.accumulation.buffer";
    private const string UpdatedSuffix = "_grad.accumulation.out";
    private const string GradientSuffix = "_grad";

    /// <summary>True for the operators that add a gradient to its buffer: today's, and those of older artifacts.</summary>
    public static bool IsAccumulator(string opType) => opType is Accumulator or "InPlaceAccumulator" or "GradientAccumulator";

    public static string Buffer(string parameter) => parameter + BufferSuffix;

    public static string Updated(string parameter) => parameter + UpdatedSuffix;

    public static string Gradient(string parameter) => parameter + GradientSuffix;

    /// <summary>True for names that the runtime takes for a gradient buffer, or hides as an output.</summary>
    public static bool IsGradient(string name) => name.EndsWith(GradientSuffix) || name.EndsWith(BufferSuffix) || name.EndsWith(UpdatedSuffix);

    /// <summary>The parameter whose accumulation buffer has this name, or null.</summary>
    public static string? ParameterOfBuffer(string name) => name.EndsWith(BufferSuffix) ? name[..^BufferSuffix.Length] : null;
}
