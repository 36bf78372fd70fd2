using Lift.Ort.Data;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;

namespace Lift.Ort.Sessions.Metrics;

/// <summary>
/// <c>accuracy</c>: share of counted labels whose class scores highest. <c>f1</c>: the mean over classes (those that occur as label or answer; a class named O,
/// "outside", does not count) of 2 · right / (labels + answers). <c>mean_iou</c> for pixels: the mean over the same classes of right / (labels or answers).
/// </summary>
internal sealed class ClassMetric(LossForm form, LossOptions options, IReadOnlyList<string>? names) : TaskMetric
{
    private readonly Dictionary<long, (long Right, long Labels, long Answers)> classes = [];
    private bool pixels;

    public override void Add(Batch batch, Scores scores)
    {
        int axis = form.AxisOf(scores.Dims.Length, options);
        long count = scores.Dims[axis], inner = scores.Dims[(axis + 1)..].Aggregate(1L, (n, d) => n * d), outer = scores.Values.Length / Math.Max(1, count * inner);
        pixels |= scores.Dims.Length >= 4;
        bool soft = batch.Labels.Type == ElementType.Float;
        float[] given = soft ? batch.Labels.ToFloats() : [];
        long[] labels = soft ? [] : batch.Labels.ToLongs();
        for (long o = 0; o < outer; o++)
        {
            for (long i = 0; i < inner; i++)
            {
                long label = soft ? Largest(given, o, i, count, inner) : labels[(o * inner) + i];
                if (label != Losses.Ignore) Count(label, Largest(scores.Values, o, i, count, inner));
            }
        }
    }

    protected override IEnumerable<(string, double)> Compute()
    {
        long labels = classes.Values.Sum(c => c.Labels);
        var counted = classes.Where(c => names is null || c.Key >= names.Count || names[(int)c.Key] != "O").Select(c => c.Value).ToList();
        yield return ("accuracy", (double)classes.Values.Sum(c => c.Right) / labels);
        yield return ("f1", counted.Select(c => 2.0 * c.Right / (c.Labels + c.Answers)).DefaultIfEmpty(double.NaN).Average());
        if (pixels) yield return ("mean_iou", counted.Select(c => (double)c.Right / (c.Labels + c.Answers - c.Right)).DefaultIfEmpty(double.NaN).Average());
    }

    private static long Largest(float[] values, long outer, long inner, long count, long stride)
    {
        long best = 0, start = (outer * count * stride) + inner;
        for (long c = 1; c < count; c++)
        {
            if (values[start + (c * stride)] > values[start + (best * stride)]) best = c;
        }
        return best;
    }

    private void Count(long label, long answer)
    {
        var (right, labels, answers) = classes.GetValueOrDefault(label);
        classes[label] = (right + (label == answer ? 1 : 0), labels + 1, answers);
        (right, labels, answers) = classes.GetValueOrDefault(answer);
        classes[answer] = (right, labels, answers + 1);
    }
}
