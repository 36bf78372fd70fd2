using Lift.Ort.Lowering;
using Lift.Ort.Onnx;

namespace Lift.Ort.Gradients;

/// <summary>What a model says about training it: <c>lift inspect</c> shows it.</summary>
/// <param name="Scored">The output that would be scored; null where no output holds floats.</param>
/// <param name="Weights">Every float initializer in use.</param>
/// <param name="Lacking">Nodes between a weight and the scored output whose operator has no gradient rule, each with the weights that wait for it.</param>
public sealed record ModelSurvey(Graph Graph, string? Scored, IReadOnlyList<SurveyedWeight> Weights, IReadOnlyList<LackingRule> Lacking)
{
    /// <summary>Matrices that the file stores in few bits, in the order of its nodes.</summary>
    public IReadOnlyList<QuantizedLayer> Quantized { get; } = QuantizedLayer.Find(Graph);

    /// <summary>Looks at a model.</summary>
    /// <param name="output">The output to score; null chooses as <c>lift prepare</c> does.</param>
    /// <exception cref="LiftException">There is no output of this name.</exception>
    public static ModelSurvey Of(Graph graph, string? output)
    {
        string? scored = ScoredValue.Find(graph, output, null);
        Graph lowered = LoweredGraph.Of(graph);
        var catalog = WeightCatalog.Find(lowered, scored);
        var reaching = scored is null ? [] : BackwardPass.Reaching(lowered, scored);
        var lacking = new List<LackingRule>();
        foreach (Node node in lowered.Nodes.Where(n => n.Outputs.Any(reaching.Contains) && !GradientRules.Has(n.Operator) && !GradientRules.IsConstant(n.Operator)).ToArray())
        {
            string? reason = node.Operator == "If" ? BranchGradients.WhyNot(lowered, node) : LoweredGraph.WhyNot(lowered, node);
            if (node.Operator == "If" && reason is null) continue;
            var above = node.Outputs.Where(reaching.Contains).SelectMany(o => BackwardPass.Reaching(lowered, o)).ToHashSet();
            string[] waiting = [.. catalog.Where(w => w.Kind != WeightKind.Statistics && above.Contains(w.Name)).Select(w => w.Name)];
            if (waiting.Length > 0) lacking.Add(new(node.Name.Length > 0 ? node.Name : node.Outputs[0], node.Operator, waiting, reason?.TrimEnd('.')));
        }
        var blocked = lacking.SelectMany(l => l.Weights).ToHashSet();
        return new(graph, scored,
            [.. catalog.Select(w => new SurveyedWeight(w, w.Kind != WeightKind.Statistics && reaching.Contains(w.Name) && !blocked.Contains(w.Name)))], lacking);
    }
}

/// <summary>A weight of the model.</summary>
/// <param name="Trainable">True where a gradient can flow from the scored output to this weight.</param>
public sealed record SurveyedWeight(CatalogWeight Weight, bool Trainable);

/// <summary>A node whose operator has no gradient rule.</summary>
/// <param name="Node">The node's name, or its first output's where it has none.</param>
/// <param name="Weights">Names of the weights whose gradient would have to pass through it.</param>
/// <param name="Reason">Why the node could not be written out in operators that have one, where that was tried.</param>
public sealed record LackingRule(string Node, string Operator, string[] Weights, string? Reason = null);
