using Lift.Ort.Artifacts;
using Lift.Ort.Lowering;
using Lift.Ort.Lowering.Raising;
using Lift.Ort.Onnx;
using Lift.Ort.Onnx.Writing;

namespace Lift.Ort.Sessions.Fusions;

/// <summary>What is found in a model's forward pass by the recognisers with which artifacts are written and sessions open; <c>lift inspect</c> shows it.</summary>
/// <param name="Attentions">Scaled dot-product attentions that one operator can compute.</param>
/// <param name="Grouped">Those of them in which several query heads share a key and value head that is repeated for them.</param>
/// <param name="Gelus">GELUs of every kind: by the error function, by tanh, and x σ(αx).</param>
public sealed record Recognition(int Attentions, int Grouped, int RotaryEmbeddings, int LayerNormalizations, int RmsNormalizations, int Gelus)
{
    /// <summary>Looks at a model.</summary>
    public static Recognition Of(Graph source)
    {
        Graph raised = RaisedGraph.Of(LoweredGraph.Of(source));
        var nodes = raised.Nodes.CountBy(n => n.OpType).ToDictionary();
        int Count(params string[] operators) => operators.Sum(o => nodes.GetValueOrDefault(o));
        ModelProto model = GraphWriter.ToModel(ArtifactWriter.WithInputs(raised, raised.Initializers.Values.Where(ArtifactWriter.IsParameter).ToArray()));
        var graph = new FusionGraph(model);
        FoundAttention[] attentions = [.. Found(graph, AttentionFusion.Match)];
        return new(attentions.Length, attentions.Count(a => a.IsGrouped), Found(graph, RotaryChain.Match).Count(),
            Count("LayerNormalization", "SkipLayerNormalization"), Count("SimplifiedLayerNormalization", "SkipSimplifiedLayerNormalization", "RMSNormalization"),
            Count("Gelu", "FastGelu", "QuickGelu", "BiasGelu"));
    }

    /// <summary>"2 attentions (grouped-query), 4 rotary embeddings, 5 RMS normalisations"; "nothing" where there is nothing.</summary>
    public override string ToString()
    {
        static string Some(int count, string one) => $"{count} {one}{(count == 1 ? "" : "s")}";
        string grouped = Grouped == 0 ? "" : Grouped == Attentions ? " (grouped-query)" : $" ({Grouped} grouped-query)";
        var parts = new List<string>();
        if (Attentions > 0) parts.Add(Some(Attentions, "attention") + grouped);
        if (RotaryEmbeddings > 0) parts.Add(Some(RotaryEmbeddings, "rotary embedding"));
        if (LayerNormalizations > 0) parts.Add(Some(LayerNormalizations, "layer normalisation"));
        if (RmsNormalizations > 0) parts.Add(Some(RmsNormalizations, "RMS normalisation"));
        if (Gelus > 0) parts.Add(Some(Gelus, "GELU"));
        return parts.Count == 0 ? "nothing" : string.Join(", ", parts);
    }

    /// <summary>What a recogniser finds; a node whose inputs contradict its operator is nothing.</summary>
    private static IEnumerable<T> Found<T>(FusionGraph graph, Func<FusionGraph, NodeProto, T?> match) where T : class
    {
        foreach (NodeProto node in graph.Nodes)
        {
            T? found = null;
            try
            {
                found = match(graph, node);
            }
            catch (ArgumentOutOfRangeException)
            {
            }
            if (found is not null) yield return found;
        }
    }
}
