using Lift.Ort.Onnx;
using Lift.Ort.Operators;

namespace Lift.Ort.Sessions.Fusions;

/// <summary>
/// SoftmaxCrossEntropyLoss and its gradient become one pass over the logits, in the logits' own memory: two tensors of their size are never made.
/// Only where nobody else reads the logits. In a model without gradients the loss is computed without the logarithms of the probabilities.
/// </summary>
internal static class CrossEntropyFusion
{
    public static bool Apply(FusionGraph graph, NodeProto node)
    {
        if (CrossEntropyChain.Match(graph, node) is not { } chain) return false;
        if (chain.Gradient is not { } gradient) return graph.Takes("SoftmaxCrossEntropyLossInternal", graph.Types.ElementOf(chain.Scores)) && LossAlone(graph, chain);
        if (!IsPrivate(graph, chain.Scores, node)) return false;
        NodeProto made = Fusion.Node("CrossEntropyStep", OperatorSchema.OwnDomain, [chain.Scores, chain.Labels, gradient.Input[0]], [gradient.Output[0], node.Output[0]], [.. chain.Attributes]);
        NodeProto[] casts = Casts(graph, chain.Scores, gradient.Output[0]);
        graph.Replace(node, [node, gradient, .. casts], made, casts.ToDictionary(c => c.Output[0], c => c.Input[0]));
        return true;
    }

    /// <summary>
    /// The Cast to float32 before the chain and the Cast back to 16 bits behind it, views between or not: without them the operator reads and writes 16 bits, and no float32 copy of the
    /// logits is made. None where they are not both there.
    /// </summary>
    private static NodeProto[] Casts(FusionGraph graph, string scores, string gradient)
    {
        var between = new List<string> { scores };
        while (graph.Maker(between[^1]) is { } maker && LinearHead.Before(graph, maker, casts: false) is { } before) between.Add(before);
        if (graph.Maker(between[^1], "Cast") is not { } up || graph.Types.ElementOf(up.Input[0]) is not (ElementType.Float16 or ElementType.BFloat16) || !graph.Takes("CrossEntropyStep", graph.Types.ElementOf(up.Input[0]))) return [];
        while (!graph.IsOutput(gradient) && graph.Readers(gradient) is [var reader] && reader.Input[0] == gradient)
        {
            between.Add(gradient);
            if (reader.OpType == "Cast" && reader.Domain.Length == 0)
            {
                if (FusionGraph.Int(reader, "to", 0) != (long)graph.Types.ElementOf(up.Input[0]) || graph.IsOutput(reader.Output[0])) return [];
                graph.Undeclare(between);
                return [up, reader];
            }
            if (LinearHead.Before(graph, reader, casts: false) is null) return [];
            gradient = reader.Output[0];
        }
        return [];
    }

    /// <summary>ONNX Runtime's operator makes room for the logarithms of all probabilities even where nobody reads them; ours does not.</summary>
    private static bool LossAlone(FusionGraph graph, CrossEntropyChain chain)
    {
        string ignored = chain.Ignored is null ? "" : $"{chain.Loss.Output[0]}/lift/ignored";
        NodeProto made = Fusion.Node("SoftmaxCrossEntropyLossInternal", "com.microsoft", ignored.Length > 0 ? [chain.Scores, chain.Labels, "", ignored] : [chain.Scores, chain.Labels], [chain.Loss.Output[0]]);
        if (chain.Ignored is { } label) graph.Insert(chain.Loss, Fusion.Node("Constant", "", [], [ignored], ("value_int", label)));
        graph.Replace(chain.Loss, [chain.Loss], made);
        return true;
    }

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
