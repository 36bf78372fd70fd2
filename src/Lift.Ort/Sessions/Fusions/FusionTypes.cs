using Lift.Ort.Onnx;
using Lift.Ort.Onnx.Reading;

namespace Lift.Ort.Sessions.Fusions;

/// <summary>Types and numbers of a model's values, inferred once, before anything is replaced.</summary>
internal sealed class FusionTypes
{
    /// <summary>Larger constants are no numbers of a computation.</summary>
    private const long LargestConstant = 1 << 16;

    private readonly Graph graph = new();
    private readonly Dictionary<string, Node> makers = [];

    /// <param name="constants">Inputs of the model that never change.</param>
    public FusionTypes(ModelProto model, IEnumerable<Tensor> constants)
    {
        foreach (OperatorSetIdProto import in model.OpsetImport)
            if (import.Domain is "" or "ai.onnx") graph.Opset = (int)import.Version;
        foreach (TensorProto tensor in model.Graph.Initializer)
        {
            long count = tensor.Dims.Aggregate(1L, (n, d) => n * d);
            graph.Types[tensor.Name] = new((ElementType)tensor.DataType, Shape.Of(tensor.Dims));
            if (count <= LargestConstant && tensor.DataLocation != TensorProto.Types.DataLocation.External && tensor.DataType != (int)ElementType.String)
                graph.Initializers.TryAdd(tensor.Name, TensorReader.Copy(tensor, tensor.Name, "the session's model"));
        }
        foreach (Tensor tensor in constants.Where(t => t.Count <= LargestConstant)) graph.Initializers.TryAdd(tensor.Name, tensor);
        graph.Inputs.AddRange(model.Graph.Input.Where(i => !graph.Types.ContainsKey(i.Name)).Select(i => new GraphValue(i.Name, GraphReader.TypeOf(i))));
        graph.Nodes.AddRange(model.Graph.Node.Select(Node.Of));
        foreach (Node node in graph.Nodes)
            foreach (string output in node.Outputs) makers[output] = node;
        ShapeInference.Infer(graph);
    }

    public Shape? ShapeOf(string value) => graph.TypeOf(value).Shape;

    public ElementType ElementOf(string value) => graph.TypeOf(value).Element;

    /// <summary>The elements of an integer value as far as they are known.</summary>
    public long[]? Longs(string value) => graph.TryGetLongs(value, out long[] values) ? values : null;

    /// <summary>The one number that a value of any size holds in every run: a constant, or what is computed from constants and known dimensions; null where there is none.</summary>
    public double? Uniform(string value) => Uniform(value, 12);

    /// <summary>The same for a value of one element, which changes no other value's shape.</summary>
    public double? Scalar(string value) => ShapeOf(value) is { } shape && shape.Dims.All(d => d.Value == 1) ? Uniform(value) : null;

    private double? Uniform(string value, int depth)
    {
        if (graph.Initializers.TryGetValue(value, out Tensor? tensor))
        {
            if (tensor.Count == 0 || !(tensor.Type.IsFloat() || tensor.Type is ElementType.Int64 or ElementType.Int32)) return null;
            float[] all = tensor.ToFloats();
            return all.All(v => v.Equals(all[0])) ? all[0] : null;
        }
        if (graph.ContentOf(value) is [{ Value: { } known }]) return known;
        if (depth == 0 || !makers.TryGetValue(value, out Node? node) || node.Domain.Length > 0) return null;
        double? X(int i) => node.Input(i) is { } input ? Uniform(input, depth - 1) : null;
        return node.OpType switch
        {
            "Identity" or "Reshape" or "Unsqueeze" or "Squeeze" or "Expand" => X(0),
            "Cast" => ((ElementType)node.Int("to")).IsFloat() ? X(0) : X(0) is { } v ? Math.Truncate(v) : null,
            "Sqrt" => X(0) is { } v ? Math.Sqrt(v) : null,
            "Reciprocal" => 1 / X(0),
            "Neg" => -X(0),
            "Mul" => X(0) * X(1),
            "Div" => node.Inputs.Any(i => !ElementOf(i).IsFloat()) ? null : X(0) / X(1),
            "Add" => X(0) + X(1),
            "Sub" => X(0) - X(1),
            "Pow" => X(0) is { } a && X(1) is { } b ? Math.Pow(a, b) : null,
            "ConstantOfShape" => node.Attributes.TryGetValue("value", out AttributeProto? a) && a.T is { } t ? TensorReader.Copy(t, value, "the session's model").ToFloats()[0] : 0,
            _ => null,
        };
    }
}
