using Lift.Ort.Onnx.Reading;

namespace Lift.Ort.Onnx.Inference;

/// <summary>Operators with subgraphs: what is certain whichever branch is taken.</summary>
internal static class ControlFlow
{
    [Infers("If")]
    static void If(Inferred n)
    {
        TensorType[] then = Branch(n, "then_branch"), otherwise = Branch(n, "else_branch");
        for (int i = 0; i < n.Node.Outputs.Count; i++)
        {
            TensorType a = then.ElementAtOrDefault(i) ?? TensorType.Unknown, b = otherwise.ElementAtOrDefault(i) ?? TensorType.Unknown;
            Shape? shape = a.Rank is { } rank && rank == b.Rank ? new([.. a.Shape!.Dims.Zip(b.Shape!.Dims).Select(d => d.First.SameAs(d.Second) ? d.First : Dim.Unknown)]) : null;
            n.Y(a.Element == b.Element ? a.Element : ElementType.Undefined, shape, i);
        }
    }

    /// <summary>The types of a branch's outputs: inferred from what it takes from outside; where that is not enough, their declared element types and ranks.</summary>
    private static TensorType[] Branch(Inferred n, string name)
    {
        if (n.Node.Attributes.GetValueOrDefault(name)?.G is not { } branch) return [];
        var inner = new Graph { Opset = n.Graph.Opset };
        foreach (string outer in SubgraphNames.Captured(branch))
        {
            inner.Types[outer] = n.Graph.TypeOf(outer);
            if (n.Graph.ContentOf(outer) is { } content) inner.Contents[outer] = content;
        }
        foreach (TensorProto tensor in branch.Initializer) inner.Types[tensor.Name] = new((ElementType)tensor.DataType, Shape.Of(tensor.Dims));
        foreach (NodeProto node in branch.Node) ShapeInference.Infer(inner, Node.Of(node));
        return [.. branch.Output.Select(o => Merge(inner.TypeOf(o.Name), GraphReader.TypeOf(o)))];
    }

    private static TensorType Merge(TensorType inferred, TensorType declared) => new(
        inferred.Element != ElementType.Undefined ? inferred.Element : declared.Element,
        inferred.Shape ?? (declared.Rank is { } rank ? new Shape([.. new Dim[rank]]) : null));
}
