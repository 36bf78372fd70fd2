using Lift.Ort.Data;
using Lift.Ort.Onnx;

namespace Lift.Ort.Sessions.Metrics;

/// <summary>
/// <c>symbol_error_rate</c>: insertions, deletions and replacements between the labels and the best class of each time step (repeats joined, blanks left out),
/// divided by the number of labels.
/// </summary>
internal sealed class SymbolMetric(int blank, string? lengths = null) : TaskMetric
{
    private long errors, labels;

    public override void Add(Batch batch, Scores scores)
    {
        int rows = (int)scores.Dims[0], steps = (int)scores.Dims[1], classes = (int)scores.Dims[2];
        long[] all = batch.Labels.ToLongs();
        int length = all.Length / Math.Max(1, rows);
        long[]? counted = lengths is null ? null : batch.Values.GetValueOrDefault(lengths)?.ToLongs();
        for (int r = 0; r < rows; r++)
        {
            long[] wanted = [.. all.Skip(r * length).Take(length).Where(l => l != Gradients.Losses.Ignore)];
            var heard = new List<long>();
            int before = -1;
            for (int t = 0; t < Math.Min(steps, counted?[r] ?? steps); t++)
            {
                var step = scores.Values.AsSpan(((r * steps) + t) * classes, classes);
                int best = 0;
                for (int c = 1; c < classes; c++) if (step[c] > step[best]) best = c;
                if (best != before && best != blank) heard.Add(best);
                before = best;
            }
            errors += Distance(wanted, heard);
            labels += wanted.Length;
        }
    }

    protected override IEnumerable<(string, double)> Compute() => [("symbol_error_rate", (double)errors / labels)];

    /// <summary>Levenshtein's distance.</summary>
    internal static int Distance(IReadOnlyList<long> a, IReadOnlyList<long> b)
    {
        int[] line = [.. Enumerable.Range(0, b.Count + 1)];
        for (int i = 1; i <= a.Count; i++)
        {
            int diagonal = line[0];
            line[0] = i;
            for (int j = 1; j <= b.Count; j++)
            {
                int above = line[j];
                line[j] = Math.Min(Math.Min(line[j], line[j - 1]) + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1));
                diagonal = above;
            }
        }
        return line[^1];
    }
}
