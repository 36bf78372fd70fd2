using Lift.Ort.Data;

namespace Lift.Ort.Sessions.Metrics;

/// <summary><c>accuracy</c>: share of rows whose own column scores highest, and of columns whose own row does, within their batch.</summary>
internal sealed class MatchingMetric : TaskMetric
{
    private long right, count;

    public override void Add(Batch batch, Scores scores)
    {
        int n = (int)Math.Min(scores.Dims[0], scores.Dims[1]), width = (int)scores.Dims[1];
        float At(int row, int column) => scores.Values[(row * width) + column];
        for (int i = 0; i < n; i++)
        {
            if (!Enumerable.Range(0, n).Any(j => j != i && At(i, j) >= At(i, i))) right++;
            if (!Enumerable.Range(0, n).Any(j => j != i && At(j, i) >= At(i, i))) right++;
            count += 2;
        }
    }

    protected override IEnumerable<(string, double)> Compute() => [("accuracy", (double)right / count)];
}
