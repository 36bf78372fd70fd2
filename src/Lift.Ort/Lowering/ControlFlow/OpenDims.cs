using Lift.Ort.Onnx;

namespace Lift.Ort.Lowering.ControlFlow;

/// <summary>Finds the open dimensions of a model's inputs on which a number of its graph depends.</summary>
internal static class OpenDims
{
    /// <summary>How a refusal ends: what the value depends on, and where that is sizes only, how to fix them.</summary>
    public static string WayOut(Graph graph, string? value)
    {
        string[] known = [.. graph.Inputs.SelectMany(i => (i.Type.Shape?.Dims ?? []).Select(d => d.Symbol).OfType<string>()).Distinct()];
        return value is not null && Of(graph, value) is { Count: > 0 } dims && dims.All(known.Contains)
            ? $"depends on the size of {string.Join(" and ", dims.Select(d => $"'{d}'"))} (give it with {string.Join(" ", dims.Select(d => $"--dim {d}=SIZE"))})"
            : "depends on the run";
    }

    /// <summary>Where a value comes from an If whose branches give it different ranks, a clause that names it and the way out; "" elsewhere.</summary>
    public static string Undecided(Graph graph, string value)
    {
        var seen = new HashSet<string> { value };
        foreach (Node node in graph.Nodes.AsEnumerable().Reverse().Where(n => n.Outputs.Any(seen.Contains)))
        {
            if (node.Operator == "If" && node.Outputs.Any(o => seen.Contains(o) && graph.TypeOf(o).Rank is null)) return $": {node} chooses between forms of it by '{node.Input(0)}', which {WayOut(graph, node.Input(0))}";
            seen.UnionWith(node.Inputs);
        }
        return "";
    }

    /// <summary>The symbols of all open dimensions that a value is computed from; null where it depends on data.</summary>
    private static HashSet<string>? Of(Graph graph, string value)
    {
        var makers = new Dictionary<string, Node>();
        foreach (Node node in graph.Nodes)
            foreach (string output in node.Outputs) makers[output] = node;
        HashSet<string> seen = [], symbols = [];
        var open = new Stack<string>([value]);
        while (open.TryPop(out string? name))
        {
            if (!seen.Add(name) || name.Length == 0 || graph.Initializers.ContainsKey(name)) continue;
            if (graph.ContentOf(name) is { } content && content.All(d => d.IsKnown || d.Symbol is not null))
            {
                symbols.UnionWith(content.Select(d => d.Symbol).OfType<string>());
                continue;
            }
            if (!makers.TryGetValue(name, out Node? maker)) return null;
            foreach (string input in maker.Reads) open.Push(input);
        }
        return symbols;
    }
}
