using Lift.Ort.Data;

namespace Lift.Ort.Sessions.Metrics;

/// <summary><c>mse</c>, <c>mae</c> and <c>r2</c>, the share of the labels' variance that the scores explain; over all elements.</summary>
internal sealed class ValueMetric : TaskMetric
{
    private double squares, distances, sum, sumOfSquares;
    private long count;

    public override void Add(Batch batch, Scores scores)
    {
        foreach (var (score, label) in scores.Values.Zip(batch.Labels.ToFloats()))
        {
            double d = (double)score - label;
            squares += d * d;
            distances += Math.Abs(d);
            sum += label;
            sumOfSquares += (double)label * label;
            count++;
        }
    }

    protected override IEnumerable<(string, double)> Compute()
    {
        double variance = (sumOfSquares / count) - (sum / count * (sum / count));
        yield return ("mse", squares / count);
        yield return ("mae", distances / count);
        if (variance > 1e-12) yield return ("r2", 1 - (squares / count / variance));
    }
}

/// <summary><c>accuracy</c>: share of entries on the right side; <c>f1</c>: 2 · right yes / (yes in labels + yes in answers), over all entries together.</summary>
internal sealed class YesNoMetric(float scoreOfYes, float labelOfYes) : TaskMetric
{
    private long right, both, labels, answers, count;

    public override void Add(Batch batch, Scores scores)
    {
        foreach (var (score, label) in scores.Values.Zip(batch.Labels.ToFloats()))
        {
            if (label == Example.Ignored) continue;
            bool yes = label > labelOfYes, answer = score > scoreOfYes;
            count++;
            if (yes == answer) right++;
            if (yes) labels++;
            if (answer) answers++;
            if (yes && answer) both++;
        }
    }

    protected override IEnumerable<(string, double)> Compute()
    {
        yield return ("accuracy", (double)right / count);
        yield return ("f1", 2.0 * both / (labels + answers));
    }
}
