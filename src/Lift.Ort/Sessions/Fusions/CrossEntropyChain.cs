namespace Lift.Ort.Sessions.Fusions;

/// <summary>SoftmaxCrossEntropyLoss over [N, C] scores, the mean over labels, and its gradient; in a model without gradients the loss alone.</summary>
/// <param name="Gradient">The node that makes the gradient of the scores, or null.</param>
/// <param name="Ignored">The label that is not counted, or null.</param>
internal sealed record CrossEntropyChain(NodeProto Loss, NodeProto? Gradient, long? Ignored)
{
    public string Scores => Loss.Input[0];

    public string Labels => Loss.Input[1];

    /// <summary>The attributes of an operator that takes the chain's place.</summary>
    public IEnumerable<(string Name, object Value)> Attributes => Ignored is { } label ? [("ignore_index", label)] : [];

    /// <summary>The chain that this node begins; null where it is none.</summary>
    public static CrossEntropyChain? Match(FusionGraph graph, NodeProto node)
    {
        if (node.OpType != "SoftmaxCrossEntropyLoss" || node.Domain.Length > 0 || node.Input.Count != 2 || !IsMean(node)) return null;
        long? ignored = node.Attribute.Any(a => a.Name == "ignore_index") ? FusionGraph.Int(node, "ignore_index", 0) : null;
        string logProb = node.Output.Count > 1 ? node.Output[1] : "";
        if (graph.IsOutput(logProb)) return null;
        if (graph.Readers(logProb).Count == 0) return new(node, null, ignored);
        if (graph.Readers(logProb) is not [{ OpType: "SoftmaxCrossEntropyLossInternalGrad" } gradient] || !IsMean(gradient)) return null;
        if (gradient.Input[2] != node.Input[1] || gradient.Input.Count > 5 || (gradient.Input.Count > 3 && gradient.Input[3].Length > 0) || graph.Needs(gradient.Input[0], node)) return null;
        if (ignored is not null != gradient.Input.Count > 4 || (ignored is { } label && (graph.Integers(gradient.Input[4]) is not [var same] || same != label))) return null;
        return new(node, gradient, ignored);
    }

    private static bool IsMean(NodeProto node) => node.Attribute.FirstOrDefault(a => a.Name == "reduction")?.S.ToStringUtf8() is null or "mean";
}
