using Lift.Ort.Lowering.ControlFlow;
using Lift.Ort.Onnx;

namespace Lift.Ort.Gradients;

/// <summary>What a gradient rule sees of one node: its inputs X, outputs Y and the gradients Dy of the loss with respect to those outputs.</summary>
internal sealed class Backward(Graph graph, Node node, IReadOnlyList<Var?> dys, Func<string, bool> needs)
{
    public Graph Graph => graph;

    public Node Node => node;

    /// <summary>Number of inputs the node lists, absent ones included.</summary>
    public int InputCount => node.Inputs.Count;

    public int OutputCount => node.Outputs.Count;

    /// <summary>Output 0.</summary>
    public Var Y => Out(0);

    /// <summary>Gradient of output 0.</summary>
    public Var Dy => dys[0] ?? Y.ShapeOf().Filled(0).Cast(Rules.RuleOps.ElementOfGradient(Y));

    public Var X(int index = 0) => graph.Var(node.Input(index) ?? throw Refuse($"it has no input {index}"));

    public bool HasX(int index) => node.Input(index) is not null;

    /// <summary>Output <paramref name="index"/>; one that the node does not list yet is added to it (LayerNormalization's mean, MaxPool's indices).</summary>
    public Var Out(int index)
    {
        while (node.Outputs.Count <= index) node.Outputs.Add("");
        if (node.Outputs[index].Length == 0)
        {
            node.Outputs[index] = graph.NewName($"{node.Outputs[0]}.{index}");
            ShapeInference.Infer(graph, node);
        }
        return graph.Var(node.Outputs[index]);
    }

    /// <summary>Gradient of output <paramref name="index"/>, or null when the loss does not depend on it.</summary>
    public Var? DyOf(int index) => index < dys.Count ? dys[index] : null;

    /// <summary>True when some trained weight lies behind input <paramref name="index"/>.</summary>
    public bool Needs(int index) => HasX(index) && needs(node.Inputs[index]);

    /// <summary>The rank of a value that a rule cannot do without.</summary>
    public int RankOf(Var value) => value.Rank ?? throw Refuse($"the rank of '{value.Name}' could not be inferred{OpenDims.Undecided(graph, value.Name)}");

    /// <summary>The axis attribute, counted from the front.</summary>
    /// <exception cref="LiftException">A value of this rank has no such axis.</exception>
    public int Axis(int rank, int otherwise) => AxisAt(rank, node.Int("axis", otherwise));

    /// <summary>An axis, counted from the front.</summary>
    /// <exception cref="LiftException">A value of this rank has no such axis.</exception>
    public int AxisAt(int rank, long axis) => axis >= -rank && axis < rank ? (int)(axis < 0 ? axis + rank : axis) : throw Refuse($"its axis {axis} is none of a value with {rank} axes");

    /// <summary>A constant list of integers given as input <paramref name="index"/> or, in older opsets, as an attribute; null when it is absent.</summary>
    public long[]? Constants(int index, string attribute) =>
        node.Ints(attribute) ?? (HasX(index) ? Longs(node.Inputs[index]) ?? throw Refuse($"its '{attribute}' is not a constant") : null);

    /// <summary>The integers of a value that is known before the graph runs, or null.</summary>
    public long[]? Longs(string value) => graph.TryGetLongs(value, out long[] values) ? values : null;

    public LiftException Refuse(string why) =>
        new($"No gradient for {node}: {why}. Freeze the weights before it (--freeze), or export the model with that part in simpler operators.");
}
