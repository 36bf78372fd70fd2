using Lift.Ort.Artifacts;
using Lift.Ort.Data;
using Lift.Ort.Devices;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;
using Lift.Ort.Sessions;
using Lift.Ort.Sessions.Metrics;

namespace Lift.Ort.Training;

/// <summary>The loss on held-out rows during a run, with the metrics that fit the loss.</summary>
internal sealed class RunValidation : IDisposable
{
    private readonly EvaluationSession session;
    private readonly Func<IEnumerable<Batch>> rows;
    private readonly Func<TaskMetric?> metric;
    private readonly string? scored;

    /// <param name="weights">The weights under training, as they are at each measurement.</param>
    /// <param name="rows">All batches of the held-out rows, from the first.</param>
    /// <param name="names">Names of the classes, where they have some.</param>
    public RunValidation(ArtifactFolder artifacts, IDevice device, IReadOnlyList<SessionWeight> weights, Func<IEnumerable<Batch>> rows, IReadOnlyList<string>? names)
    {
        this.rows = rows;
        ArtifactRecord record = artifacts.Record;
        LossForm? form = record.Loss is { } loss ? Losses.Find(loss) : null;
        bool probabilities = record.Scored is not null && MadeBy(artifacts.EvalModel, record.Scored) == "Sigmoid";
        metric = () => form is null ? null : TaskMetric.For(form, record.LossOptions, names, probabilities);
        scored = form is { Kind: LabelKind.Sequence, Name: "seq2seq" } || metric() is null ? null : record.Scored; // a vocabulary's scores are too many to read back
        session = EvaluationSession.Open(artifacts, device, weights, scored is null ? null : [scored]);
    }

    public (double Loss, IReadOnlyDictionary<string, double>? Metrics) Measure() =>
        scored is not null && metric() is { } judge ? session.Judge(rows(), scored, judge) : (session.MeanLoss(rows()), null);

    public void Dispose() => session.Dispose();

    /// <summary>The operator that makes an output, copies aside.</summary>
    private static string? MadeBy(ModelProto? model, string output)
    {
        NodeProto? maker = model?.Graph.Node.FirstOrDefault(n => n.Output.Contains(output));
        return maker?.OpType == "Identity" ? MadeBy(model, maker.Input[0]) : maker?.OpType;
    }
}
