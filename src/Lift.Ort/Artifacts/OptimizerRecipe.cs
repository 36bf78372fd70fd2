namespace Lift.Ort.Artifacts;

/// <summary>Which update an optimizer model makes.</summary>
public enum OptimizerKind
{
    /// <summary>com.microsoft.AdamWOptimizer.</summary>
    AdamW,

    /// <summary>com.microsoft.SGDOptimizerV2: w −= rate · g.</summary>
    Sgd,
}

/// <summary>What an <c>optimizer_model.onnx</c> says, whoever made it; attributes that are absent have ONNX Runtime's defaults.</summary>
/// <param name="Beta1">AdamW's alpha: decay of the first moment.</param>
/// <param name="Beta2">AdamW's beta: decay of the second moment.</param>
/// <param name="CorrectBias">False leaves out both bias corrections.</param>
/// <param name="Mode">0: PyTorch's form of AdamW, 1: Hugging Face's.</param>
/// <param name="MaxNorm">Largest global L2 norm of the gradients; null: no clipping.</param>
/// <param name="LearningRate">A rate that the model has built in; null: the host's.</param>
public sealed record OptimizerRecipe(
    OptimizerKind Kind, float Beta1 = 0.9f, float Beta2 = 0.999f, float Epsilon = 1e-8f, float WeightDecay = 0.01f, bool CorrectBias = true, int Mode = 0,
    float? MaxNorm = null, float? LearningRate = null)
{
    /// <summary>The recipe of a folder that another program made; null for folders of ours and where there is no optimizer model.</summary>
    /// <exception cref="LiftException">The folder cannot be opened, or holds another optimizer.</exception>
    public static OptimizerRecipe? OfOthers(string directory)
    {
        if (File.Exists(Path.Combine(directory, ArtifactNames.Record))) return null;
        ArtifactFolder folder = ArtifactFolder.Open(directory);
        return folder.Record.Source is null && folder.OptimizerModel is not null ? Of(folder) : null;
    }

    /// <summary>Reads the folder's optimizer model.</summary>
    /// <exception cref="LiftException">The folder has none, or it holds an optimizer other than AdamWOptimizer and SGDOptimizerV2.</exception>
    public static OptimizerRecipe Of(ArtifactFolder folder) => Of(
        folder.OptimizerModel ?? throw new LiftException($"'{folder.Directory}' holds no {ArtifactNames.OptimizerModel}; choose an optimizer with the options of lift train, or export the artifacts with one."),
        folder.Path(ArtifactNames.OptimizerModel));

    internal static OptimizerRecipe Of(ModelProto model, string path)
    {
        NodeProto[] nodes = [.. model.Graph.Node];
        NodeProto[] optimizers = [.. nodes.Where(n => n.OpType.Contains("Optimizer"))];
        if (optimizers is not [var node] || node.OpType is not ("AdamWOptimizer" or "SGDOptimizerV2"))
            throw new LiftException($"'{path}' holds {(optimizers.Length == 0 ? "no optimizer" : string.Join(", ", optimizers.Select(o => o.OpType)))}; one AdamWOptimizer or SGDOptimizerV2 can be run: export the artifacts with one of them, or choose with lift train --form hf, torch or sgd.");
        NodeProto? clip = nodes.FirstOrDefault(n => n.OpType == "InplaceClipGradNorm");
        float? rate = model.Graph.Initializer.FirstOrDefault(i => i.Name == node.Input[0]) is { } built ? Onnx.Reading.TensorReader.Copy(built, built.Name, $"'{path}'").ToFloats()[0] : null;
        return new(
            node.OpType == "AdamWOptimizer" ? OptimizerKind.AdamW : OptimizerKind.Sgd,
            Float(node, "alpha", 0.9f), Float(node, "beta", 0.999f), Float(node, "epsilon", 1e-8f), Float(node, "weight_decay", 0.01f), Int(node, "correct_bias", 1) != 0, (int)Int(node, "adam_mode", 0),
            clip is null ? null : Float(clip, "max_norm", 1), rate);
    }

    private static float Float(NodeProto node, string name, float otherwise) => node.Attribute.FirstOrDefault(a => a.Name == name)?.F ?? otherwise;

    private static long Int(NodeProto node, string name, long otherwise) => node.Attribute.FirstOrDefault(a => a.Name == name)?.I ?? otherwise;
}
