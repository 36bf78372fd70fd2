using Lift.Ort.Data;
using Lift.Ort.Devices;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;
using Lift.Ort.Sessions;
using Lift.Ort.Sessions.Metrics;

namespace Lift.Ort.Generation;

/// <summary>What a model is worth on a data set.</summary>
/// <param name="Loss">Mean over the labels that count.</param>
/// <param name="Metrics">Metrics that fit the loss, by name.</param>
public sealed record TaskScore(double Loss, IReadOnlyDictionary<string, double> Metrics, int Examples, long Tokens, long LabelTokens);

/// <summary>Judges an exported model with any loss of the table and the metrics that fit it; the loss is computed by the graph that training would use.</summary>
public sealed class TaskEvaluation : IDisposable
{
    private readonly EvaluationSession session;
    private readonly Graph graph;

    private TaskEvaluation(Graph graph, TrainingGraphOptions options, IDevice device)
    {
        this.graph = graph;
        var (_, _, terms) = TrainingGraph.WithLoss(graph, options);
        session = EvaluationSession.Open(graph, options, device, new TermJudge(terms, Metric(new())).Outputs);
    }

    /// <summary>The losses, each with the outputs that it judges.</summary>
    public IReadOnlyList<ScoredTerm> Terms => session.Terms;

    /// <summary>The model's inputs and the labels, for a <see cref="BatchReader"/>.</summary>
    public IReadOnlyList<GraphValue> Inputs => session.Inputs;

    /// <param name="path">An .onnx file.</param>
    /// <param name="options">Which losses, over which outputs.</param>
    /// <exception cref="LiftException">The file is no sound model, or an output does not fit its loss.</exception>
    public static TaskEvaluation Open(string path, TrainingGraphOptions options, IDevice device) => new(OnnxFile.Read(path), options, device);

    /// <summary><paramref name="rows"/> with what model and losses say of labels.</summary>
    public DataOptions Fit(DataOptions rows) => rows.For(Terms);

    /// <summary>Judges all batches.</summary>
    /// <param name="rows">How the rows were read; names of classes are in it.</param>
    /// <exception cref="LiftException">A batch does not fit the model.</exception>
    public TaskScore Score(IEnumerable<Batch> batches, DataOptions? rows = null)
    {
        int examples = 0;
        long tokens = 0, labels = 0;
        IEnumerable<Batch> Counted()
        {
            foreach (Batch batch in batches)
            {
                (examples, tokens, labels) = (examples + batch.Examples, tokens + batch.Tokens, labels + batch.LabelTokens);
                yield return batch;
            }
        }
        var (loss, metrics) = new TermJudge(Terms, Metric(rows ?? new())).Judge(session, Counted());
        return labels > 0 ? new TaskScore(loss, metrics, examples, tokens, labels) : throw new LiftException("No label counts in this data set: every one is -100.");
    }

    private Func<ScoredTerm, TaskMetric?> Metric(DataOptions rows) =>
        t => TaskMetric.For(t.Form, t.Options, rows.NamesFor(t.Labels), graph.Nodes.Find(n => n.Outputs.Contains(t.Outputs[0]))?.OpType == "Sigmoid");

    public void Dispose() => session.Dispose();
}
