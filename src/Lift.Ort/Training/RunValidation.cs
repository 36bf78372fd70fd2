using Lift.Ort.Artifacts;
using Lift.Ort.Data;
using Lift.Ort.Devices;
using Lift.Ort.Onnx;
using Lift.Ort.Sessions;
using Lift.Ort.Sessions.Metrics;

namespace Lift.Ort.Training;

/// <summary>The loss on held-out rows during a run, with the metrics that fit the loss.</summary>
internal sealed class RunValidation : IDisposable
{
    private readonly EvaluationSession session;
    private readonly Func<IEnumerable<Batch>> rows;
    private readonly TermJudge judge;

    /// <param name="weights">The weights under training, as they are at each measurement.</param>
    /// <param name="rows">All batches of the held-out rows, from the first.</param>
    /// <param name="options">How the rows are read; names of classes are in it.</param>
    public RunValidation(ArtifactFolder artifacts, IDevice device, IReadOnlyList<SessionWeight> weights, Func<IEnumerable<Batch>> rows, DataOptions options)
    {
        this.rows = rows;
        judge = new TermJudge(artifacts.Record.AllTerms, t => t.Loss == "seq2seq" ? null // a vocabulary's scores are too many to read back
            : TaskMetric.For(t.Form, t.Options, options.NamesFor(t.Labels), t.Outputs.Any(o => MadeBy(artifacts.EvalModel, o) == "Sigmoid")));
        session = EvaluationSession.Open(artifacts, device, weights, judge.HasMetrics ? judge.Outputs : null);
    }

    public (double Loss, IReadOnlyDictionary<string, double>? Metrics) Measure() =>
        judge.HasMetrics ? judge.Judge(session, rows()) : (session.MeanLoss(rows()), null);

    public void Dispose() => session.Dispose();

    /// <summary>The operator that makes an output, copies aside.</summary>
    private static string? MadeBy(ModelProto? model, string output)
    {
        NodeProto? maker = model?.Graph.Node.FirstOrDefault(n => n.Output.Contains(output));
        return maker?.OpType == "Identity" ? MadeBy(model, maker.Input[0]) : maker?.OpType;
    }
}
