using Lift.Ort.Data;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;

namespace Lift.Ort.Sessions.Metrics;

/// <summary>
/// Judges a model by its losses: the mean of each over its own labels, their weighted sum, and the metrics that fit. With several losses each one's numbers carry
/// the name of its outputs in front: <c>logits_a.loss</c>, <c>logits_a.accuracy</c>.
/// </summary>
internal sealed class TermJudge(IReadOnlyList<ScoredTerm> terms, Func<ScoredTerm, TaskMetric?> metric)
{
    private readonly bool[] judged = [.. terms.Select(t => t.Outputs.Count > 0 && metric(t) is not null)];

    /// <summary>What a session must give out beside the loss.</summary>
    public IReadOnlyCollection<string> Outputs => [.. terms.Zip(judged).SelectMany(t => t.Second ? t.First.Outputs.Append(t.First.Value) : [t.First.Value]).Distinct()];

    /// <summary>True where there is more to tell than the loss.</summary>
    public bool HasMetrics => terms.Count > 1 || judged.Any(j => j);

    /// <summary>Runs all batches.</summary>
    public (double Loss, IReadOnlyDictionary<string, double> Metrics) Judge(EvaluationSession session, IEnumerable<Batch> batches)
    {
        TaskMetric?[] metrics = [.. terms.Zip(judged, (t, j) => j ? metric(t) : null)];
        var sums = new (double Total, double Count)[terms.Count];
        foreach (Batch batch in batches)
        {
            var (_, values) = session.Run(batch.Values);
            foreach (var (i, term) in terms.Index())
            {
                Batch own = Own(batch, term);
                metrics[i]?.AddAll(own, [.. term.Outputs.Select(o => new Scores(values[o].ToFloats(), values[o].Dims))]);
                double count = Count(own, term);
                if (count > 0) sums[i] = (sums[i].Total + (count * values[term.Value].ToFloats()[0]), sums[i].Count + count);
            }
        }
        double[] losses = [.. sums.Select(s => s.Total / s.Count)];
        var all = new Dictionary<string, double>();
        foreach (var (i, term) in terms.Index())
        {
            string prefix = terms.Count == 1 ? "" : terms.Take(i).Any(t => t.Name == term.Name) ? $"{term.Name}.{term.Loss}." : $"{term.Name}.";
            if (terms.Count > 1 && double.IsFinite(losses[i])) all[$"{prefix}loss"] = losses[i];
            foreach (var (name, value) in metrics[i]?.Result() ?? new Dictionary<string, double>()) all[prefix + name] = value;
        }
        return (terms.Zip(losses, (t, l) => double.IsNaN(l) && terms.Count > 1 ? 0 : t.Weight * l).Sum(), all);
    }

    /// <summary>The batch as a metric reads it: with the term's labels as the labels.</summary>
    private static Batch Own(Batch batch, ScoredTerm term) => term.Labels is null or Batch.LabelsName || !batch.Values.TryGetValue(term.Labels, out Tensor? labels) ? batch
        : batch with { Values = new Dictionary<string, Tensor>(batch.Values) { [Batch.LabelsName] = labels } };

    /// <summary>Labels that the term counts.</summary>
    private static double Count(Batch batch, ScoredTerm term)
    {
        if (term.Labels is null || term.Loss == "ctc") return batch.Examples; // means over rows
        if (term.Form.Kind == LabelKind.NextTokens && batch.Labels.Dims is [_, var length]) return batch.Labels.ToLongs().Index().Count(l => l.Index % length > 0 && l.Item != Losses.Ignore); // the first is never asked for
        return batch.Labels.Type.IsFloat() ? term.Loss == "bce" ? batch.Labels.ToFloats().Count(l => l != Losses.Ignore) : batch.Labels.Count : batch.Labels.ToLongs().Count(l => l != Losses.Ignore);
    }
}
