using Lift.Ort.Onnx;

namespace Lift.Ort.Lowering.Raising;

/// <summary>
/// Chains of older exports as the one operator they stand for: its gradient is one training operator, where the chain's would be a dozen nodes that keep every
/// value between. Only where both compute the same in float32, up to rounding.
/// </summary>
public static class RaisedGraph
{
    private static readonly (string Name, Func<Chains, Node, Node?> Match)[] table =
    [
        ("layer normalization", LayerNormalizations.Match),
        ("layer normalization, scaled first", LayerNormalizations.MatchScaledFirst),
        ("RMS normalization", LayerNormalizations.MatchRms),
        ("activation", Activations.Match),
    ];

    /// <summary>The kinds of chains that are known.</summary>
    public static IEnumerable<string> Patterns => table.Select(p => p.Name);

    /// <summary>A copy of <paramref name="source"/> in which the last node of each chain is the operator; what nothing reads any more stays behind.</summary>
    public static Graph Of(Graph source) => Of(source, out _);

    /// <param name="counts">How many chains of each kind were found.</param>
    internal static Graph Of(Graph source, out Dictionary<string, int> counts)
    {
        counts = table.ToDictionary(p => p.Name, _ => 0);
        Graph graph = source.Clone();
        var chains = new Chains(graph);
        // From the last node on, so that the longer of two chains (with a bias) is found before the shorter one in it.
        for (int i = graph.Nodes.Count - 1; i >= 0; i--)
        {
            Node last = graph.Nodes[i];
            if (last.Domain.Length > 0 || last.Outputs.Count != 1 || chains.IsDead(last.Outputs[0])) continue;
            foreach (var (name, match) in table)
            {
                if (match(chains, last) is not { } made) continue;
                counts[name]++;
                made.Name = last.Name;
                made.Outputs.Add(last.Outputs[0]);
                chains.Replace(last, made);
                graph.Nodes[i] = made;
                if (made.Domain.Length > 0) graph.Domains.TryAdd(made.Domain, 1);
                break;
            }
        }
        return graph;
    }
}
