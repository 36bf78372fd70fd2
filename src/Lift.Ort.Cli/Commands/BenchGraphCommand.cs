using System.CommandLine;
using Lift.Ort.Architectures;
using Lift.Ort.Cli.Bench;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;

namespace Lift.Ort.Cli.Commands;

/// <summary><c>lift bench graph</c>: how the time to differentiate a model grows with its nodes.</summary>
internal sealed class BenchGraphCommand : BenchMeasurement
{
    private static readonly int[] usual = [1000, 5000, 10_000, 20_000, 40_000];

    private readonly Option<int[]> nodes = new("--nodes") { Description = "Numbers of nodes; a Llama gets as many layers as it takes.", AllowMultipleArgumentsPerToken = true, DefaultValueFactory = _ => usual, HelpName = "N" };

    public BenchGraphCommand() : base("graph", "Gradient construction, shape inference included, of models with more and more nodes.", "lift bench graph --nodes 1000 20000")
    {
        Add(nodes);
        nodes.Validators.Add(result =>
        {
            if (result.Tokens.Any(t => int.TryParse(t.Value, out int n) && n < 1)) result.AddError("--nodes takes numbers of 1 or more.");
        });
    }

    protected override void Run(ParseResult line, Output output, CancellationToken stop)
    {
        int layer = Model(2).Nodes.Count - Model(1).Nodes.Count;
        foreach (int wanted in line.GetValue(nodes)!)
        {
            Graph graph = Model(Math.Max(1, wanted / layer));
            TrainingGraph? made = null;
            Times times = PatienceOf(line).Time(() =>
            {
                ShapeInference.Infer(graph);
                made = TrainingGraph.Build(graph);
            });
            Report(line, output, "graph", new { nodes = graph.Nodes.Count, training_nodes = made!.Training.Nodes.Count, weights = made.Trainable.Count }, times,
                new Dictionary<string, double> { ["us_per_node"] = times.MedianS * 1e6 / graph.Nodes.Count }, new { peak_memory_bytes = Machine.PeakMemory() });
        }
    }

    /// <summary>The least numbers that make every operator of a layer: what is measured is the graph, not its weights.</summary>
    private static Graph Model(int layers) => NewModel.Llama(new LlamaShape(Width: 8, layers, Heads: 2, KvHeads: 1, Ffn: 8, Vocab: 16, Tied: false), attentionMask: true);
}
