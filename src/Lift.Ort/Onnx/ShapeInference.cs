using System.Collections.Frozen;
using System.Reflection;
using Lift.Ort.Onnx.Inference;

namespace Lift.Ort.Onnx;

/// <summary>
/// Infers element types and symbolic shapes of a graph's values, without any <c>value_info</c> in the file. What it says holds in every run
/// that does not fail; what it cannot tell gets a name of its own (<c>dim(VALUE,AXIS)</c>) or stays unknown.
/// </summary>
public static class ShapeInference
{
    private static readonly FrozenDictionary<string, Action<Inferred>> rules = Collect();

    /// <summary>The operators that have a rule, as <see cref="Node.Operator"/> spells them.</summary>
    public static IEnumerable<string> Operators => rules.Keys;

    /// <summary>Infers the types of all values in <paramref name="graph"/> in node order and records them in <see cref="Graph.Types"/>.</summary>
    public static void Infer(Graph graph)
    {
        InferInputs(graph);
        foreach (Node node in graph.Nodes) Infer(graph, node);
    }

    /// <summary>Records what the graph declares of its inputs.</summary>
    internal static void InferInputs(Graph graph)
    {
        foreach (GraphValue input in graph.Inputs)
        {
            Shape? shape = input.Type.Shape is { } s ? new Shape([.. s.Dims.Select(DimMath.Canonical)]) : null;
            graph.Types[input.Name] = input.Type with { Shape = Inferred.Named(input.Name, shape) };
        }
    }

    /// <summary>Infers the outputs of one node whose inputs were inferred before. An operator it does not know leaves its outputs unknown.</summary>
    public static void Infer(Graph graph, Node node)
    {
        var inferred = new Inferred(graph, node);
        foreach (string output in node.Outputs) graph.Contents.Remove(output);
        try
        {
            if (rules.TryGetValue(node.Operator, out var rule)) rule(inferred);
            else for (int i = 0; i < node.Outputs.Count; i++) inferred.Y(TensorType.Unknown, i);
        }
        catch (Exception e) when (e is IndexOutOfRangeException or ArgumentException or InvalidOperationException or OverflowException)
        {
            // A node whose ranks or attributes contradict its operator: ONNX Runtime will refuse it; here it is merely unknown.
        }
    }

    private static FrozenDictionary<string, Action<Inferred>> Collect() =>
        (from type in typeof(ShapeInference).Assembly.GetTypes()
         where type.Namespace == typeof(Inferred).Namespace
         from method in type.GetMethods(BindingFlags.Static | BindingFlags.NonPublic | BindingFlags.Public)
         let attribute = method.GetCustomAttribute<InfersAttribute>()
         where attribute is not null
         from name in attribute.Operators
         select KeyValuePair.Create(name, method.CreateDelegate<Action<Inferred>>())).ToFrozenDictionary();
}
