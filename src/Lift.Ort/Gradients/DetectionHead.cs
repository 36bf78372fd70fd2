using Lift.Ort.Onnx;

namespace Lift.Ort.Gradients;

/// <summary>Recognises object detectors: their answers belong to no fixed object, so that no loss of the table fits them.</summary>
internal static class DetectionHead
{
    private static readonly string[] losses = ["detr", "detection", "giou", "ciou", "diou", "iou", "hungarian", "yolo", "ssd", "box", "boxes", "set-criterion"];

    /// <summary>True for names of losses that detectors are trained with.</summary>
    public static bool IsLoss(string name) => losses.Contains(name.ToLowerInvariant());

    /// <summary>Why, and the way out.</summary>
    public const string Reason = "object detection matches the model's answers with the boxes of an image before it scores them, which no loss here does";

    /// <exception cref="LiftException">One of <paramref name="scored"/> is a box for each of many queries, or the class of each.</exception>
    public static void Refuse(Graph graph, IEnumerable<string> scored)
    {
        GraphValue? boxes = graph.Outputs.Find(o => o.Name.Contains("box", StringComparison.OrdinalIgnoreCase) && Shape(graph, o.Name) is { Rank: 3 } s && s[2].Value is 4);
        if (boxes is null) return;
        Dim queries = Shape(graph, boxes.Name)![1];
        foreach (string output in scored)
        {
            if (output != boxes.Name && !(Shape(graph, output) is { Rank: 3 } s && s[1].Equals(queries))) continue;
            string[] others = [.. graph.Outputs.Select(o => o.Name).Where(o => o != boxes.Name && Shape(graph, o) is { } t && !(t.Rank == 3 && t[1].Equals(queries)))];
            throw new LiftException($"'{output}' {graph.TypeOf(output)} is an answer per query of an object detector ('{boxes.Name}' holds its boxes): {Reason}; {(others.Length > 0 ? $"name another output ({string.Join(", ", others)})" : "train the backbone with a classification head, and export that")}.");
        }
    }

    private static Shape? Shape(Graph graph, string value) => graph.TypeOf(value).Shape ?? graph.Outputs.Find(o => o.Name == value)?.Type.Shape;
}
