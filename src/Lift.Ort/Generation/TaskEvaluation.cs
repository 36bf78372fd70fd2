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
    private readonly TrainingGraphOptions options;
    private readonly LossForm form;
    private readonly bool probabilities;
    private readonly long? classes;

    private TaskEvaluation(Graph graph, TrainingGraphOptions options, IDevice device)
    {
        (this.options, form) = (options, Losses.Find(options.Loss));
        Scored = TrainingGraph.ScoredOutput(graph, options.Output, options.Loss);
        classes = form.Classes(graph.TypeOf(Scored).Shape ?? graph.Outputs.Find(o => o.Name == Scored)?.Type.Shape, options.LossOptions);
        probabilities = graph.Nodes.Find(n => n.Outputs.Contains(Scored))?.OpType == "Sigmoid";
        session = EvaluationSession.Open(graph, options, device, [Scored]);
    }

    /// <summary>Name of the output that is judged.</summary>
    public string Scored { get; }

    /// <summary>The model's inputs and the labels, for a <see cref="BatchReader"/>.</summary>
    public IReadOnlyList<GraphValue> Inputs => session.Inputs;

    /// <param name="path">An .onnx file.</param>
    /// <param name="options">Which loss, over which output.</param>
    /// <exception cref="LiftException">The file is no sound model, or the output does not fit the loss.</exception>
    public static TaskEvaluation Open(string path, TrainingGraphOptions options, IDevice device) => new(OnnxFile.Read(path), options, device);

    /// <summary><paramref name="rows"/> with what model and loss say of labels.</summary>
    public DataOptions Fit(DataOptions rows) => rows with
    {
        Kind = form.Kind,
        LabelRange = form.Range,
        Group = form.Rows(options.LossOptions),
        Shifted = form.Kind == LabelKind.NextTokens,
        VocabularySize = form.Kind == LabelKind.NextTokens ? (int?)classes : null,
        Classes = form.Kind == LabelKind.NextTokens ? null : (int?)classes,
    };

    /// <summary>Judges all batches.</summary>
    /// <param name="names">Names of the classes, where they have some.</param>
    /// <exception cref="LiftException">A batch does not fit the model.</exception>
    public TaskScore Score(IEnumerable<Batch> batches, IReadOnlyList<string>? names = null)
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
        var (loss, metrics) = TaskMetric.For(form, options.LossOptions, names, probabilities) is { } metric
            ? session.Judge(Counted(), Scored, metric)
            : (session.MeanLoss(Counted()), new Dictionary<string, double>());
        return labels > 0 ? new TaskScore(loss, metrics, examples, tokens, labels) : throw new LiftException("No label counts in this data set: every one is -100.");
    }

    public void Dispose() => session.Dispose();
}
