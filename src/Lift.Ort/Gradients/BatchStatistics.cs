using Lift.Ort.Onnx;

namespace Lift.Ort.Gradients;

/// <summary>
/// The two lives of a BatchNormalization that was exported in training form (training_mode 1): in training it normalises with the batch's statistics, in evaluation
/// with the running ones, as PyTorch's train() and eval() do.
/// </summary>
internal static class BatchStatistics
{
    /// <summary>ONNX Runtime's training operator in the node's place: a stock build need not know the standard one's training form.</summary>
    public static void ForTraining(Graph graph)
    {
        foreach (Node node in Found(graph))
        {
            (node.OpType, node.Domain) = ("BatchNormInternal", "com.microsoft");
            graph.Domains.TryAdd("com.microsoft", 1);
            foreach (string name in (string[])["running_mean", "running_var"])
            {
                int index = name == "running_mean" ? 1 : 2;
                while (node.Outputs.Count <= index) node.Outputs.Add("");
                if (node.Outputs[index].Length == 0) node.Outputs[index] = graph.NewName($"{node.Outputs[0]}.{name}");
            }
            ShapeInference.Infer(graph, node);
        }
    }

    /// <summary>The inference form in the node's place.</summary>
    public static void ForEvaluation(Graph graph)
    {
        foreach (Node node in Found(graph))
        {
            node.Attributes.Remove("training_mode");
            node.Outputs.RemoveRange(1, node.Outputs.Count - 1);
        }
    }

    private static IEnumerable<Node> Found(Graph graph) => graph.Nodes.Where(n => n.Operator == "BatchNormalization" && n.Int("training_mode") != 0);
}
