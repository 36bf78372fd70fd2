using Lift.Ort.Onnx;

namespace Lift.Ort.Gradients;

/// <summary>
/// Which value of a model is scored. Labels, strings and tables of names are never chosen: where a classifier puts its scores out only as a sequence of maps
/// (scikit-learn's ZipMap), the table of scores behind them is.
/// </summary>
internal static class ScoredValue
{
    /// <summary>The one named (an output, or any float value inside the graph), else an output of a usual name, else the first float output, else what the first ZipMap reads; null where there is none.</summary>
    /// <exception cref="LiftException">No float value has the name.</exception>
    public static string? Find(Graph graph, string? name, string? loss)
    {
        if (name is not null) return Named(graph, name);
        string[] usual = loss is not null && Losses.Find(loss).Embeds ? Losses.EmbeddingOutputs : loss == "matching" ? ["logits_per_image", "logits_per_text", "similarity", "logits"] : ["logits"];
        GraphValue? found = graph.Outputs.Find(o => usual.Contains(o.Name)) ?? graph.Outputs.Find(o => IsFloat(graph, o));
        return found?.Name ?? graph.Outputs.Select(o => BehindZipMap(graph, o.Name)).FirstOrDefault(s => s is not null);
    }

    /// <summary>The outputs, as errors list them.</summary>
    public static string All(Graph graph) => string.Join(", ", graph.Outputs.Select(o => $"{o.Name} {(o.Type.Element == ElementType.Undefined && o.Type.Shape is null ? graph.TypeOf(o.Name) : o.Type)}"));

    private static string Named(Graph graph, string name)
    {
        if (BehindZipMap(graph, name) is { } table) return table;
        bool inside = graph.Nodes.Exists(n => n.Outputs.Contains(name)) && graph.TypeOf(name).Element.IsFloat();
        return inside || graph.Outputs.Exists(o => o.Name == name) ? name : throw new LiftException($"The model has no output '{name}'; its outputs are: {All(graph)}.");
    }

    private static bool IsFloat(Graph graph, GraphValue output) => graph.TypeOf(output.Name).Element.IsFloat() || output.Type.Element.IsFloat();

    private static string? BehindZipMap(Graph graph, string output) => graph.Nodes.Find(n => n.Operator == "ai.onnx.ml.ZipMap" && n.Outputs.Contains(output))?.Inputs[0];
}
