namespace Lift.Ort.Onnx.Opsets;

/// <summary>One node on its way to another opset: a rule changes it in place, or replaces it by several.</summary>
internal sealed class NodeRewrite(Graph graph, Node node, string path)
{
    public Graph Graph => graph;

    public Node Node => node;

    /// <summary>What stands in the node's place afterwards, in order.</summary>
    public List<Node> Result { get; private set; } = [node];

    public int? Rank => node.Input(0) is { } name ? graph.TypeOf(name).Rank : null;

    public void ReplaceBy(params Node[] nodes) => Result = [.. nodes];

    /// <summary>A new value name near this node's output.</summary>
    public string NewName(string suffix) => graph.NewName($"{node.Outputs[0]}_{suffix}");

    /// <summary>Moves an attribute of integers to input <paramref name="index"/>.</summary>
    public void ToInput(string attribute, int index)
    {
        if (node.Ints(attribute) is not { } values) return;
        node.Attributes.Remove(attribute);
        SetInput(index, graph.Longs(values).Name);
    }

    public void SetInput(int index, string name)
    {
        while (node.Inputs.Count <= index) node.Inputs.Add("");
        node.Inputs[index] = name;
    }

    public LiftException Refuse(string why) => new($"{node} of '{path}' (opset {graph.Opset}) cannot be brought to opset {OpsetConverter.Lowest} to {OpsetConverter.Highest}: {why}.");
}
