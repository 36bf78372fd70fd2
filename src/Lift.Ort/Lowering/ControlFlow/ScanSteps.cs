using Lift.Ort.Onnx;

namespace Lift.Ort.Lowering.ControlFlow;

/// <summary>A Scan over an axis of known, small length, written out step by step.</summary>
/// <param name="take">Puts nodes into the graph.</param>
internal sealed class ScanSteps(Graph graph, Node node, Action<IEnumerable<Node>> take)
{
    /// <summary>False leaves the graph as it was.</summary>
    public bool TryUnfold()
    {
        int scanned = (int)node.Int("num_scan_inputs"), states = node.Inputs.Count - scanned;
        if (node.Attributes.GetValueOrDefault("body")?.G is not { } body || scanned < 1 || states < 0 || body.Input.Count != node.Inputs.Count || body.Output.Count < states || node.Outputs.Count > body.Output.Count) return false;
        string[] over = [.. node.Inputs.Skip(states)];
        long[] axes = All("scan_input_axes", scanned), back = All("scan_input_directions", scanned);
        if (Length(over[0], axes[0]) is not { } steps || steps is < 1 or > Unfolding.MaxSteps || steps * body.Node.Count > Unfolding.MaxNodes) return false;

        int stacks = body.Output.Count - states;
        long[] outputAxes = All("scan_output_axes", stacks), outputBack = All("scan_output_directions", stacks);
        string[] state = [.. node.Inputs.Take(states)];
        var parts = new List<string>[stacks];
        for (int k = 0; k < stacks; k++) parts[k] = [];
        for (int step = 0; step < steps; step++)
        {
            var inputs = new Dictionary<string, string>();
            for (int i = 0; i < states; i++) inputs[body.Input[i].Name] = state[i];
            for (int i = 0; i < scanned; i++) inputs[body.Input[states + i].Name] = Slice(over[i], axes[i], back[i] != 0 ? steps - 1 - step : step);
            var (nodes, outputs) = Subgraph.Inline(graph, node, body, inputs);
            take(nodes);
            state = outputs[..states];
            for (int k = 0; k < stacks; k++) parts[k].Insert(outputBack[k] != 0 ? 0 : parts[k].Count, outputs[states + k]);
        }
        for (int i = 0; i < states; i++)
            if (node.Output(i) is { } output) take([new Node("Identity", "", [state[i]], [output], output)]);
        for (int k = 0; k < stacks; k++)
            if (node.Output(states + k) is { } output) take(Stacked.Nodes(graph, parts[k], outputAxes[k], output));
        return true;
    }

    private long[] All(string attribute, int count) => node.Ints(attribute) is { } given && given.Length >= count ? given : new long[count];

    private long? Length(string name, long axis) => graph.TypeOf(name).Shape is { } s && axis >= -s.Rank && axis < s.Rank ? s[(int)axis].Value : null;

    private string Slice(string name, long axis, long at)
    {
        string? outer = graph.Scope;
        graph.Scope = node.Outputs.First(o => o.Length > 0);
        string index = graph.Constant([at], []).Name, slice = graph.NewName($"{graph.Scope}/{name}");
        graph.Scope = outer;
        take([new Node("Gather", "", [name, index], [slice], slice).With("axis", axis)]);
        return slice;
    }
}
