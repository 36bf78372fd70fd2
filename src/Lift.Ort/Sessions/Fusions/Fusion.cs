using Lift.Ort.Devices;
using Lift.Ort.Onnx;
using Lift.Ort.Operators;

namespace Lift.Ort.Sessions.Fusions;

/// <summary>
/// Chains of a training graph that one operator of ours computes faster and with fewer stored values. They are put in when a session opens, never into a file:
/// the numbers are those of the chain, up to rounding.
/// </summary>
internal static class Fusion
{
    private static readonly (string Name, string[] Operators, Func<FusionGraph, NodeProto, bool> Apply)[] table =
    [
        ("attention", ["Attention", "AttentionGrad"], AttentionFusion.Apply),
        ("linear cross-entropy", ["LinearCrossEntropyStep"], LinearCrossEntropyFusion.Apply), // before the next, which takes what this leaves
        ("cross-entropy", ["CrossEntropyStep"], CrossEntropyFusion.Apply),
        ("gated unit", ["GatedUnit", "GatedUnitGrad"], GatedUnitFusion.Apply),
        ("RMS normalization", ["SimplifiedLayerNormalizationGrad"], RmsNormalizationFusion.Apply),
        ("rotary embedding", ["Rotary"], RotaryFusion.Apply),
    ];

    /// <summary>The kinds: "attention", …</summary>
    public static IReadOnlyList<string> Kinds { get; } = [.. table.Select(f => f.Name)];

    /// <summary>Replaces every chain that is found; answers how many of each kind.</summary>
    /// <param name="device">Where the model will run: chains whose operators have no half for it stay. Null: the CPU.</param>
    /// <param name="without">Kinds that are left out.</param>
    /// <param name="frozen">Inputs of the model that are constants: parameters that are not trained.</param>
    public static IReadOnlyDictionary<string, int> Apply(ModelProto model, IDevice? device = null, IReadOnlyCollection<string>? without = null, IEnumerable<Tensor>? frozen = null)
    {
        var graph = new FusionGraph(model, frozen, device);
        var counts = table.ToDictionary(f => f.Name, _ => 0);
        foreach (var (name, operators, apply) in table)
        {
            if (without?.Contains(name) == true || (device is not null && !operators.All(o => TrainingOperators.RunOn(device, o)))) continue;
            foreach (NodeProto node in graph.Nodes)
                if (graph.Contains(node) && Applies(node)) counts[name]++;

            bool Applies(NodeProto node)
            {
                try
                {
                    return apply(graph, node);
                }
                catch (ArgumentOutOfRangeException)
                {
                    return false; // inputs that contradict the operator: ONNX Runtime will say so
                }
            }
        }
        graph.Commit();
        foreach (string domain in new[] { OperatorSchema.OwnDomain, "com.microsoft" })
        {
            if (counts.Values.Any(c => c > 0) && model.OpsetImport.All(o => o.Domain != domain)) model.OpsetImport.Add(new OperatorSetIdProto { Domain = domain, Version = 1 });
        }
        return counts;
    }

    /// <summary>A node of ours; its name is that of its first output.</summary>
    public static NodeProto Node(string op, string domain, string[] inputs, string[] outputs, params (string Name, object Value)[] attributes)
    {
        var node = new Node(op, domain, [], []);
        foreach (var (name, value) in attributes) _ = value switch { float f => node.With(name, f), long[] all => node.With(name, all), _ => node.With(name, Convert.ToInt64(value)) };
        return new NodeProto { OpType = op, Domain = domain, Name = outputs.First(o => o.Length > 0), Input = { inputs }, Output = { outputs }, Attribute = { node.Attributes.Values } };
    }
}
