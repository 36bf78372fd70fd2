using Lift.Ort.Onnx;

namespace Lift.Ort.Lowering.ControlFlow;

/// <summary>A Loop whose count and conditions are known beforehand, written out step by step.</summary>
/// <param name="take">Puts nodes into the graph.</param>
internal sealed class LoopSteps(Graph graph, Node node, KnownNumbers numbers, Action<IEnumerable<Node>> take)
{
    /// <summary>False leaves the graph as it was.</summary>
    public bool TryUnfold()
    {
        if (node.Attributes.GetValueOrDefault("body")?.G is not { } body) return false;
        double most = double.PositiveInfinity;
        if (node.Input(0) is { } count)
        {
            if (numbers.Of(count) is not [var times]) return false;
            most = times;
        }
        int states = node.Inputs.Count - 2;
        if (states < 0 || body.Input.Count != states + 2 || body.Output.Count < states + 1 || node.Outputs.Count > body.Output.Count - 1) return false;
        if (most < double.PositiveInfinity && (most > Unfolding.MaxSteps || most * body.Node.Count > Unfolding.MaxNodes)) return false;

        int first = graph.Nodes.Count;
        string condition = node.Input(1) ?? Scalar(true);
        string[] state = [.. node.Inputs.Skip(2)];
        var scans = new List<string>[body.Output.Count - 1 - states];
        for (int k = 0; k < scans.Length; k++) scans[k] = [];
        for (int step = 0; step < most; step++)
        {
            bool? goes = numbers.Of(condition) is [var c] ? c != 0 : null;
            if (goes is null || step > Unfolding.MaxSteps || graph.Nodes.Count - first > Unfolding.MaxNodes)
            {
                graph.Nodes.RemoveRange(first, graph.Nodes.Count - first);
                return false;
            }
            if (goes == false) break;
            var inputs = new Dictionary<string, string> { [body.Input[0].Name] = Scalar((long)step), [body.Input[1].Name] = condition };
            for (int i = 0; i < states; i++) inputs[body.Input[i + 2].Name] = state[i];
            var (nodes, outputs) = Subgraph.Inline(graph, node, body, inputs);
            take(nodes);
            condition = outputs[0];
            state = outputs[1..(states + 1)];
            for (int k = 0; k < scans.Length; k++) scans[k].Add(outputs[1 + states + k]);
        }
        if (Enumerable.Range(0, scans.Length).Any(k => scans[k].Count == 0 && node.Output(states + k) is not null))
        {
            graph.Nodes.RemoveRange(first, graph.Nodes.Count - first);
            return false; // an empty stack, whose shape nobody knows
        }
        for (int i = 0; i < states; i++)
            if (node.Output(i) is { } output) take([new Node("Identity", "", [state[i]], [output], output)]);
        for (int k = 0; k < scans.Length; k++)
            if (node.Output(states + k) is { } output) take(Stacked.Nodes(graph, scans[k], 0, output));
        return true;
    }

    private string Scalar<T>(T value) where T : unmanaged
    {
        string? outer = graph.Scope;
        graph.Scope = node.Outputs.First(o => o.Length > 0);
        Var constant = graph.Constant([value], []);
        graph.Scope = outer;
        return constant.Name;
    }
}

/// <summary>Values of successive steps, laid one behind the other along a new axis.</summary>
internal static class Stacked
{
    public static List<Node> Nodes(Graph graph, IReadOnlyList<string> parts, long axis, string output)
    {
        string? outer = graph.Scope;
        graph.Scope = output;
        string axes = graph.Longs(axis).Name;
        graph.Scope = outer;
        if (parts.Count == 1) return [new Node("Unsqueeze", "", [parts[0], axes], [output], output)];
        var nodes = parts.Select(p => new Node("Unsqueeze", "", [p, axes], [graph.NewName($"{output}/step")])).ToList();
        nodes.Add(new Node("Concat", "", nodes.Select(n => n.Outputs[0]).ToArray(), [output], output).With("axis", axis));
        return nodes;
    }
}
