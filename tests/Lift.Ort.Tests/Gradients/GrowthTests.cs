using Lift.Ort.Architectures;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;

namespace Lift.Ort.Tests.Gradients;

/// <summary>
/// The work per node does not grow with the graph. Counted, not timed: what a node allocates (a scan over all nodes with an iterator, a copy of a graph or of a list per node
/// shows), and how many nodes and constants come out for one that goes in. `lift bench graph` prints the times.
/// </summary>
[TestClass]
public sealed class GrowthTests
{
    [TestMethod]
    public void Inference_and_differentiation_do_the_same_work_for_every_node()
    {
        Measure(4);
        var (small, large) = (Measure(8), Measure(64));
        Assert.AreEqual(small.Bytes, large.Bytes, 0.15 * small.Bytes, "bytes allocated for a node");
        Assert.AreEqual(small.Made, large.Made, 0.1 * small.Made, "nodes made for a node");
        Assert.AreEqual(small.Constants, large.Constants, 0.1 * small.Constants, "constants made for a node");
    }

    private static (double Bytes, double Made, double Constants) Measure(int layers)
    {
        Graph graph = NewModel.Llama(new LlamaShape(Width: 8, layers, Heads: 2, KvHeads: 1, Ffn: 8, Vocab: 16, Tied: false), attentionMask: true);
        long before = GC.GetAllocatedBytesForCurrentThread();
        ShapeInference.Infer(graph);
        TrainingGraph made = TrainingGraph.Build(graph);
        double nodes = graph.Nodes.Count;
        return ((GC.GetAllocatedBytesForCurrentThread() - before) / nodes, made.Training.Nodes.Count / nodes, made.Training.Initializers.Count / nodes);
    }
}
