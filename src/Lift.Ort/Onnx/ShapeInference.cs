namespace Lift.Ort.Onnx;

/// <summary>Infers element types and symbolic shapes of a graph's values, without any <c>value_info</c> in the file.</summary>
public static class ShapeInference
{
    /// <summary>Infers the types of all values in <paramref name="graph"/> in node order and records them in <see cref="Graph.Types"/>.</summary>
    public static void Infer(Graph graph)
    {
        foreach (GraphValue input in graph.Inputs) graph.Types[input.Name] = input.Type;
        foreach (Node node in graph.Nodes) Infer(graph, node);
    }

    /// <summary>Infers the outputs of one node whose inputs were inferred before. An operator it does not know leaves its outputs unknown.</summary>
    public static void Infer(Graph graph, Node node)
    {
    }
}
