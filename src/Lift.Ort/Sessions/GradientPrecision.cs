using Lift.Ort.Artifacts;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;

namespace Lift.Ort.Sessions;

/// <summary>Finds out whether gradients pass through float16, whose smallest numbers are so large that small gradients vanish. (bfloat16 reaches as far down as float32.)</summary>
internal static class GradientPrecision
{
    /// <summary>
    /// True where the gradient of one of <paramref name="weights"/> is float16 somewhere on its way from the loss. The loss is float32 and operators keep the type of what they
    /// compute with, so that a gradient is float16 behind a Cast to it, and only there.
    /// </summary>
    public static bool PassesFloat16(ModelProto training, IEnumerable<string> weights)
    {
        var wanted = weights.Select(ArtifactNames.Buffer).ToHashSet();
        var gradients = training.Graph.Node.Where(n => ArtifactNames.IsAccumulator(n.OpType) && wanted.Contains(n.Input[0])).Select(n => n.Input[1]).ToHashSet();
        var fromLoss = new HashSet<string> { TrainingGraph.Seed };
        foreach (NodeProto node in training.Graph.Node)
            if (node.Input.Any(fromLoss.Contains)) fromLoss.UnionWith(node.Output.Where(o => o.Length > 0));
        foreach (NodeProto node in training.Graph.Node.Reverse())
        {
            if (!node.Output.Any(gradients.Contains)) continue;
            if (node.OpType == "Cast" && node.Attribute.Any(a => a.Name == "to" && a.I == (long)ElementType.Float16) && fromLoss.Contains(node.Output[0])) return true;
            gradients.UnionWith(node.Input.Where(fromLoss.Contains));
        }
        return false;
    }
}
