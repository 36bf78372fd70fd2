using Lift.Ort.Operators;

namespace Lift.Ort.Sessions.Fusions;

/// <summary>
/// SoftmaxCrossEntropyLoss and its gradient become one pass over the logits, in the logits' own memory: two tensors of their size are never made.
/// Only where nobody else reads the logits.
/// </summary>
internal static class CrossEntropyFusion
{
    public static bool Apply(FusionGraph graph, NodeProto node)
    {
        if (node.OpType != "SoftmaxCrossEntropyLoss" || node.Input.Count != 2 || node.Output.Count != 2 || !IsMean(node)) return false;
        string scores = node.Input[0], labels = node.Input[1], logProb = node.Output[1];
        if (graph.Readers(logProb) is not [{ OpType: "SoftmaxCrossEntropyLossInternalGrad" } gradient] || graph.IsOutput(logProb) || !IsMean(gradient)) return false;
        if (gradient.Input[2] != labels || gradient.Input.Count > 5 || (gradient.Input.Count > 3 && gradient.Input[3].Length > 0) || !graph.IsGiven(gradient.Input[0])) return false;
        bool ignores = node.Attribute.Any(a => a.Name == "ignore_index");
        long ignored = FusionGraph.Int(node, "ignore_index", 0);
        if (ignores != gradient.Input.Count > 4 || (ignores && (graph.Integers(gradient.Input[4]) is not [var same] || same != ignored))) return false;
        if (!IsPrivate(graph, scores, node)) return false;
        NodeProto made = Fusion.Node("CrossEntropyStep", OperatorSchema.OwnDomain, [scores, labels, gradient.Input[0]], [gradient.Output[0], node.Output[0]],
            ignores ? [("ignore_index", ignored)] : []);
        graph.Replace(node, [node, gradient], made);
        return true;
    }

    private static bool IsMean(NodeProto node) => node.Attribute.FirstOrDefault(a => a.Name == "reduction")?.S.ToStringUtf8() is null or "mean";

    /// <summary>True when the value, and every value whose memory it may share, is read by this node alone (shapes aside) and made in the graph.</summary>
    private static bool IsPrivate(FusionGraph graph, string value, NodeProto reader)
    {
        if (graph.IsOutput(value) || graph.Readers(value).Any(n => !ReferenceEquals(n, reader) && n.OpType != "Shape")) return false;
        return graph.Maker(value) is { } maker && (Passed(graph, maker) is not { } input || IsPrivate(graph, input, maker));
    }

    /// <summary>What a node passes on in the same memory, or may pass on where ONNX Runtime takes it out of the graph as doing nothing; null for nodes that compute.</summary>
    private static string? Passed(FusionGraph graph, NodeProto node) => node.OpType switch
    {
        "Reshape" or "Flatten" or "Squeeze" or "Unsqueeze" or "Identity" or "Cast" or "Dropout" or "Expand" or "Slice" or "Pad" or "Transpose" or "Tile" or "Concat" => node.Input[0],
        "Add" or "Sub" when graph.Number(node.Input[1]) == 0 => node.Input[0],
        "Add" when graph.Number(node.Input[0]) == 0 => node.Input[1],
        "Mul" or "Div" when graph.Number(node.Input[1]) == 1 => node.Input[0],
        "Mul" when graph.Number(node.Input[0]) == 1 => node.Input[1],
        _ => null,
    };
}
