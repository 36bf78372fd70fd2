using Lift.Ort.Lowering;
using Lift.Ort.Onnx;

namespace Lift.Ort.Gradients;

/// <summary>Reverse-mode differentiation: walks the nodes backwards from the loss and lets each operator's rule append the nodes of its gradient.</summary>
internal sealed class BackwardPass
{
    private readonly Graph graph;
    private readonly HashSet<string> active, quantized;
    private readonly Dictionary<string, List<Var>> gradients = [];

    private BackwardPass(Graph graph, IEnumerable<string> weights)
    {
        this.graph = graph;
        active = [.. weights];
        quantized = Quantized(graph);
        foreach (Node node in graph.Nodes)
        {
            if (GradientRules.IsConstant(node.Operator) || !node.Reads.Any(active.Contains)) continue;
            active.UnionWith(node.Outputs.Where(o => o.Length > 0 && MayPass(o) && !graph.Detached.Contains(o)));
        }
    }

    /// <summary>Values on which <paramref name="output"/> depends through operators that let a gradient pass (those without a rule included).</summary>
    public static HashSet<string> Reaching(Graph graph, params IEnumerable<string> output)
    {
        var reaching = new HashSet<string>(output);
        var quantized = Quantized(graph);
        foreach (Node node in graph.Nodes.AsEnumerable().Reverse())
            if (!GradientRules.IsConstant(node.Operator) && node.Outputs.Any(o => reaching.Contains(o) && !graph.Detached.Contains(o)))
                reaching.UnionWith(node.Reads.Where(i => i.Length > 0 && (MayBeFloat(graph.TypeOf(i).Element) || quantized.Contains(i))));
        return reaching;
    }

    /// <summary>Integers that stand for activations: what a quantizing operator makes, and what others make of that. Their "gradient" is a float, that of the number they stand for.</summary>
    private static HashSet<string> Quantized(Graph graph)
    {
        var quantized = new HashSet<string>();
        foreach (Node node in graph.Nodes)
        {
            bool begins = node.OpType is "QuantizeLinear" or "DynamicQuantizeLinear";
            if (begins) quantized.Add(node.Outputs[0]);
            else if (quantized.Count > 0 && !GradientRules.IsConstant(node.Operator) && node.Inputs.Any(quantized.Contains))
                quantized.UnionWith(node.Outputs.Where(o => o.Length > 0 && !MayBeFloat(graph.TypeOf(o).Element)));
        }
        return quantized;
    }

    private bool MayPass(string value) => MayBeFloat(graph.TypeOf(value).Element) || quantized.Contains(value);

    /// <summary>Appends to <paramref name="graph"/> the gradient of scalar <paramref name="loss"/> for each of <paramref name="weights"/>; a weight the loss does not depend on is absent from the result.</summary>
    /// <exception cref="LiftException">An operator between a weight and the loss has no rule; the message names the node, the operator and the weight.</exception>
    public static Dictionary<string, Var> Run(Graph graph, string loss, IReadOnlyCollection<string> weights)
    {
        var pass = new BackwardPass(graph, weights);
        pass.gradients[loss] = [graph.Constant<float>([1], [], TrainingGraph.Seed)];
        foreach (Node node in graph.Nodes.AsEnumerable().Reverse().ToArray()) pass.Visit(node, weights);
        return weights.Where(pass.gradients.ContainsKey).ToDictionary(w => w, w => pass.Sum(w)!);
    }

    /// <summary>The same from any number of values whose gradients are known (<paramref name="seeds"/>), for values of any kind.</summary>
    public static Dictionary<string, Var> Through(Graph graph, IReadOnlyDictionary<string, List<Var>> seeds, IReadOnlyCollection<string> values)
    {
        var pass = new BackwardPass(graph, values);
        foreach (var (name, gradients) in seeds) pass.gradients[name] = gradients;
        foreach (Node node in graph.Nodes.AsEnumerable().Reverse().ToArray()) pass.Visit(node, values);
        return values.Where(pass.gradients.ContainsKey).ToDictionary(v => v, v => pass.Sum(v)!);
    }

    private static bool MayBeFloat(ElementType type) => type == ElementType.Undefined || type.IsFloat();

    private void Visit(Node node, IReadOnlyCollection<string> weights)
    {
        if (!node.Outputs.Any(gradients.ContainsKey) || !node.Reads.Any(active.Contains) || GradientRules.IsConstant(node.Operator)) return;
        if (node.Operator == "If")
        {
            foreach (var (name, gradient) in BranchGradients.Of(graph, node, [.. node.Outputs.Select(Sum)], n => active.Contains(n) && MayPass(n)))
                (gradients.TryGetValue(name, out var parts) ? parts : gradients[name] = []).Add(gradient);
            return;
        }
        var rule = GradientRules.Find(node.Operator) ?? throw NoRule(node, weights);
        Var?[] dys = [.. node.Outputs.Select(Sum)];
        Var?[] dxs = rule.Formula(new Backward(graph, node, dys, active.Contains));
        for (int i = 0; i < Math.Min(dxs.Length, node.Inputs.Count); i++)
        {
            string input = node.Inputs[i];
            if (dxs[i] is not { } dx || input.Length == 0 || !active.Contains(input)) continue;
            TensorType type = graph.TypeOf(input);
            if (rule.Broadcasts) dx = Broadcasting.SumTo(dx, graph.Var(input));
            else if (dx.Shape?.SameAs(type.Shape) != true && type.Shape is not null)
                graph.Types[dx.Name] = new(dx.Element == ElementType.Undefined ? type.Element : dx.Element, type.Shape); // a gradient has its value's shape
            if (type.Element != ElementType.Undefined && !quantized.Contains(input)) dx = dx.Cast(type.Element);
            if (!gradients.TryGetValue(input, out var list)) gradients[input] = list = [];
            list.Add(dx);
        }
    }

    private Var? Sum(string value)
    {
        if (value.Length == 0 || !gradients.TryGetValue(value, out var parts)) return null;
        if (parts.Count > 1) gradients[value] = parts = [parts.Aggregate((a, b) => a + b)];
        return parts[0];
    }

    private LiftException NoRule(Node node, IReadOnlyCollection<string> weights)
    {
        string weight = weights.FirstOrDefault(w => new BackwardPass(graph, [w]).active.Overlaps(node.Reads)) ?? weights.First();
        if (LoweredGraph.WhyNot(graph, node) is { } reason) return new($"{reason} Weight '{weight}' needs its gradient: freeze that weight (--freeze '{weight}'), or export the model without this operator.");
        return new($"No gradient rule for {node}, which weight '{weight}' needs. Freeze that weight (--freeze '{weight}'), or export the model without this operator. "
            + "docs/operators.md lists the operators that have one; lift inspect names every node that stands in the way.");
    }
}
