using Lift.Ort.Onnx;

namespace Lift.Ort.Gradients;

/// <summary>
/// Model-local functions that stand in for training operators where neither a training build nor our kernels are there: the same domain and name, a body of
/// standard operators. A function has one body for all uses; <see cref="CanUse"/> says whether that body is right for a node.
/// </summary>
public static partial class FallbackFunctions
{
    private const string Domain = "com.microsoft";

    private static readonly Dictionary<string, FunctionBody> table = bodies.Append(convolution).ToDictionary(b => b.Name);

    /// <summary>Names of the operators that have a fallback; their domain is com.microsoft.</summary>
    public static IReadOnlyCollection<string> Names => table.Keys;

    /// <summary>The function for <paramref name="op"/>, its body in standard operators of version <paramref name="opset"/>; null where it has none.</summary>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="opset"/> is not 17 to 21.</exception>
    public static FunctionProto? For(string op, int opset)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(opset, 17);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(opset, 21);
        return table.TryGetValue(op, out FunctionBody? body) ? body.ToProto(Domain, opset) : null;
    }

    /// <summary>
    /// True when the function's body computes this node: it gives every attribute and input that the body reads, names exactly the function's outputs, and
    /// is the form the body is written for. That is: GatherGrad along axis 0, normalizations over the last axis, the mean cross-entropy of [N, C] scores
    /// with ignore_index and without weights or bias.
    /// </summary>
    public static bool CanUse(Node node) =>
        node.Domain == Domain
        && table.TryGetValue(node.OpType, out FunctionBody? body)
        && node.Outputs.Count == body.Outputs.Length && node.Outputs.All(o => o.Length > 0)
        && body.ReadInputs.All(i => node.Input(i) is not null)
        && node.Inputs.Count <= body.Inputs.Length
        && node.Attributes.Keys.All(body.Attributes.Contains)
        && body.ReadAttributes.All(node.Has)
        && node.OpType switch
        {
            "GatherGrad" => node.Int("axis") == 0,
            "LayerNormalizationGrad" or "SimplifiedLayerNormalizationGrad" => node.Int("axis", -1) == -1,
            "SoftmaxCrossEntropyLossInternalGrad" => node.String("reduction", "mean") == "mean" && node.Input(3) is null,
            _ => true,
        };
}
