using Lift.Ort.Onnx;
using Lift.Ort.Operators;

namespace Lift.Ort.Sessions.Fusions;

/// <summary>
/// The last linear layer, its cross-entropy and their gradients become one operator that goes over the rows in chunks: logits are never there as a whole. Only where nobody else reads them.
/// </summary>
internal static class LinearCrossEntropyFusion
{
    public static bool Apply(FusionGraph graph, NodeProto node)
    {
        if (CrossEntropyChain.Match(graph, node) is not { } chain || LinearHead.Match(graph, chain.Scores) is not { } head) return false;
        ElementType type = graph.Types.ElementOf(head.Hidden), loss = graph.Types.ElementOf(chain.Scores);
        bool narrow = type is ElementType.Float16 or ElementType.BFloat16;
        if (type != graph.Types.ElementOf(head.Weight) || (head.Bias is not null && type != graph.Types.ElementOf(head.Bias)) || loss != (narrow ? ElementType.Float : type) || !graph.Takes("LinearCrossEntropyStep", type)) return false;
        LinearHeadGradients? gradients = null;
        if (chain.Gradient is { } gradient)
        {
            gradients = LinearHeadGradients.Match(graph, head, gradient.Output[0]);
            if (gradients is null || !graph.IsDead(gradient, [node, .. gradients.All])) return false;
        }
        if (!graph.IsDead(head.Product, [node, .. gradients?.All ?? []])) return false;
        Shape? hidden = gradients?.Hidden is { } made ? graph.Types.ShapeOf(made.Output[0]) : null;
        bool flat = hidden is { Rank: 2 };
        if (gradients?.Hidden is not null && !flat && hidden?.SameAs(graph.Types.ShapeOf(head.Hidden)) != true) return false;
        Replace(graph, chain, head, gradients, narrow ? type : null, flat);
        return true;
    }

    /// <param name="narrow">The 16-bit type of the layer, whose float32 gradients have to become it again where others read them.</param>
    private static void Replace(FusionGraph graph, CrossEntropyChain chain, LinearHead head, LinearHeadGradients? gradients, ElementType? narrow, bool flat)
    {
        var casts = new List<NodeProto>();
        var renamed = new Dictionary<string, string>();
        string weight = Wide(gradients?.Weight), bias = Wide(gradients?.Bias);
        string[] inputs = [head.Hidden, head.Weight, chain.Labels, chain.Gradient?.Input[0] ?? "", head.Bias ?? ""], outputs = [chain.Loss.Output[0], gradients?.Hidden?.Output[0] ?? "", weight, bias];
        NodeProto made = Fusion.Node("LinearCrossEntropyStep", OperatorSchema.OwnDomain, Trimmed(inputs), Trimmed(outputs),
            [.. chain.Attributes, ("turned", head.Turned ? 1 : 0), ("flat", flat ? 1 : 0), ("scale", (float)head.Scale), ("softcap", (float)head.Softcap)]);
        NodeProto[] replaced = [chain.Loss, .. gradients?.All ?? []];
        string[] read = [.. replaced.SelectMany(n => n.Input), .. chain.Gradient?.Output ?? [], .. head.Product.Output];
        graph.Replace(chain.Loss, replaced, made, renamed);
        foreach (NodeProto cast in casts) graph.Insert(chain.Loss, cast);
        graph.RemoveUnread(read);

        string Wide(NodeProto? node)
        {
            if (node is null || narrow is not { } type) return node?.Output[0] ?? "";
            string value = node.Output[0], wide = $"{value}/lift/wide";
            if (!graph.IsOutput(value) && graph.Readers(value).All(r => TakesFloat(graph, r))) renamed[value] = wide;
            else casts.Add(Fusion.Node("Cast", "", [wide], [value], ("to", (long)type)));
            return wide;
        }
    }

    /// <summary>True for readers that make float32 of a 16-bit gradient: a Cast, alone or behind the choice of entries.</summary>
    private static bool TakesFloat(FusionGraph graph, NodeProto reader) => reader.OpType switch
    {
        "Cast" => FusionGraph.Int(reader, "to", 0) == (long)ElementType.Float,
        "Reshape" or "Gather" => !graph.IsOutput(reader.Output[0]) && graph.Readers(reader.Output[0]).All(r => r.OpType is "Gather" or "Cast" && TakesFloat(graph, r)),
        _ => false,
    };

    private static string[] Trimmed(string[] names) => names[..(Array.FindLastIndex(names, n => n.Length > 0) + 1)];
}
