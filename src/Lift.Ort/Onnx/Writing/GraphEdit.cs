namespace Lift.Ort.Onnx.Writing;

/// <summary>What changes in a file's graph, branches included, beside the values of its tensors.</summary>
/// <param name="Nodes">Nodes that take the place of the one with this first output; none removes it.</param>
/// <param name="Removed">Initializers that nobody reads any more.</param>
/// <param name="Added">New initializers, by name.</param>
internal sealed record GraphEdit(IReadOnlyDictionary<string, IReadOnlyList<Node>> Nodes, IReadOnlySet<string> Removed, IReadOnlyDictionary<string, NewContent> Added)
{
    public static readonly GraphEdit None = new(new Dictionary<string, IReadOnlyList<Node>>(), new HashSet<string>(), new Dictionary<string, NewContent>());

    public long AddedBytes => Added.Values.Sum(c => c.ByteLength);
}
