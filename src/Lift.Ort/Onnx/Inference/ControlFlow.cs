using Lift.Ort.Onnx.Reading;

namespace Lift.Ort.Onnx.Inference;

/// <summary>Operators with subgraphs: what the subgraphs declare of their outputs, where both branches declare the same.</summary>
internal static class ControlFlow
{
    [Infers("If")]
    static void If(Inferred n)
    {
        GraphProto? then = Branch(n, "then_branch"), otherwise = Branch(n, "else_branch");
        for (int i = 0; i < n.Node.Outputs.Count; i++)
        {
            TensorType a = Output(then, i), b = Output(otherwise, i);
            n.Y(a.Element == b.Element ? a.Element : ElementType.Undefined, a.Rank is { } rank && rank == b.Rank ? new Shape([.. new Dim[rank]]) : null, i);
        }
    }

    private static GraphProto? Branch(Inferred n, string name) => n.Node.Attributes.GetValueOrDefault(name)?.G;

    private static TensorType Output(GraphProto? graph, int i) => i < graph?.Output.Count ? GraphReader.TypeOf(graph.Output[i]) : TensorType.Unknown;
}
