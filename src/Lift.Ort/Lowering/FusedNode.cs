using Lift.Ort.Onnx;

namespace Lift.Ort.Lowering;

/// <summary>What a lowering sees of one node: its inputs X as values of the graph to which it appends.</summary>
internal sealed class FusedNode(Graph graph, Node node)
{
    public Graph Graph => graph;

    public Node Node => node;

    public Var X(int index = 0) => graph.Var(node.Input(index) ?? throw Refuse($"its input {index} is missing"));

    public Var? Maybe(int index) => node.Input(index) is { } name ? graph.Var(name) : null;

    public bool Has(int index) => node.Input(index) is not null;

    /// <summary>True when somebody may read output <paramref name="index"/>.</summary>
    public bool Wants(int index) => node.Output(index) is not null;

    public long Int(string attribute, long otherwise = 0) => node.Int(attribute, otherwise);

    public float Float(string attribute, float otherwise = 0) => node.Float(attribute, otherwise);

    /// <summary>The rank of a value that a lowering cannot do without.</summary>
    public int RankOf(Var value) => value.Rank ?? throw Refuse($"the rank of '{value.Name}' could not be inferred");

    /// <summary>The elements of a small integer input that is a constant of the file or folds to one; null otherwise.</summary>
    public long[]? Longs(int index) => node.Input(index) is { } name && graph.TryGetLongs(name, out long[] values) ? values : null;

    /// <summary>Zeros of the shape and type of <paramref name="x"/>: a constant where the shape is known.</summary>
    public Var ZerosLike(Var x) => x.Shape is { IsStatic: true, Count: <= 1 << 20 } s && x.Element == ElementType.Float
        ? graph.Constant<float>(new float[s.Count!.Value], [.. s.Dims.Select(d => d.Value!.Value)])
        : x * 0;

    public LiftException Refuse(string why) => new($"{node} cannot be written out in standard operators: {why}.");
}
