using Lift.Ort.Data;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;

namespace Lift.Ort.Sessions.Metrics;

/// <summary>
/// contrastive: <c>recall_at_1</c>, share of anchors whose own positive is the most similar one of all positives of the data, and <c>mrr</c>, the mean of 1 / its
/// rank. triplet: <c>accuracy</c>, share of anchors nearer to the positive than to the negative. cosine: <c>pearson</c> and <c>spearman</c> correlation of the
/// cosine with the label.
/// </summary>
internal sealed class EmbeddingMetric(LossForm form, LossOptions options) : TaskMetric
{
    private readonly List<float[]> anchors = [], positives = [];
    private readonly List<double> cosines = [], labels = [];
    private long nearer, threes;

    public override void Add(Batch batch, Scores scores) => AddAll(batch, [scores]);

    public override void AddAll(Batch batch, IReadOnlyList<Scores> scores)
    {
        float[][][] outputs = [.. scores.Select((s, i) => Pool(batch, s, options, i, scores.Count))];
        int group = outputs.Length > 1 ? outputs.Length : form.Rows(options), count = outputs.Length > 1 ? outputs[0].Length : outputs[0].Length / group;
        float[] Part(int example, int part) => outputs.Length > 1 ? outputs[part][example] : outputs[0][(example * group) + part];
        for (int i = 0; i < count; i++)
        {
            if (form.Name == "triplet")
            {
                bool unit = options.Normalize == true;
                threes++;
                if (Distance(Part(i, 0), Part(i, 1), unit) < Distance(Part(i, 0), Part(i, 2), unit)) nearer++;
            }
            else if (form.Name == "cosine") cosines.Add(Dot(Unit(Part(i, 0)), Unit(Part(i, 1))));
            else
            {
                bool unit = options.Normalize ?? true;
                anchors.Add(unit ? Unit(Part(i, 0)) : Part(i, 0));
                positives.Add(unit ? Unit(Part(i, 1)) : Part(i, 1));
            }
        }
        if (form.Name == "cosine") labels.AddRange(batch.Labels.ToFloats().Select(l => (double)l));
    }

    /// <summary>One embedding per row, as the loss makes it.</summary>
    /// <param name="part">Which of <paramref name="parts"/> outputs it is.</param>
    internal static float[][] Pool(Batch batch, Scores scores, LossOptions options, int part = 0, int parts = 1)
    {
        int width = (int)scores.Dims[^1], count = (int)scores.Dims[0];
        if (scores.Dims.Length == 2) return [.. Enumerable.Range(0, count).Select(r => scores.Values.AsSpan(r * width, width).ToArray())];

        int length = (int)scores.Dims[1];
        long[]? mask = Mask(batch, [count, length], part, parts)?.ToLongs();
        return [.. Enumerable.Range(0, count).Select(r =>
        {
            int[] counted = [.. Enumerable.Range(0, length).Where(t => mask is null || mask[(r * length) + t] != 0)];
            int[] taken = options.Pooling switch
            {
                Pooling.Cls => [0],
                Pooling.Last => counted.Length > 0 ? [counted[^1]] : [],
                _ => counted,
            };
            float[] mean = new float[width];
            foreach (int t in taken)
            {
                for (int i = 0; i < width; i++) mean[i] += scores.Values[(((r * length) + t) * width) + i] / taken.Length;
            }
            return mean;
        })];
    }

    /// <summary>The mask over the places of an output: the one that there is, of several texts their own, in the order of both.</summary>
    private static Tensor? Mask(Batch batch, long[] dims, int part, int parts)
    {
        Tensor[] masks = [.. batch.Values.Where(v => v.Key == "attention_mask").Concat(batch.Values.Where(v => v.Key != "attention_mask" && v.Key.Contains("mask"))).Select(v => v.Value).Where(v => v.Dims.Length == 2)];
        return masks.Length == parts && masks[part].Dims.SequenceEqual(dims) ? masks[part] : masks.FirstOrDefault(m => m.Dims.SequenceEqual(dims));
    }

    protected override IEnumerable<(string, double)> Compute()
    {
        if (form.Name == "triplet") return [("accuracy", (double)nearer / threes)];
        if (form.Name == "cosine") return [("pearson", Correlation(cosines, labels)), ("spearman", Correlation(Ranks(cosines), Ranks(labels)))];
        long[] ranks = new long[anchors.Count];
        Parallel.For(0, ranks.Length, i =>
        {
            double own = Dot(anchors[i], positives[i]);
            ranks[i] = 1 + positives.Where((p, j) => j != i && Dot(anchors[i], p) > own).LongCount();
        });
        return [("recall_at_1", ranks.Select(r => r == 1 ? 1.0 : 0).DefaultIfEmpty(double.NaN).Average()), ("mrr", ranks.Select(r => 1.0 / r).DefaultIfEmpty(double.NaN).Average())];
    }

    private static double Dot(float[] a, float[] b)
    {
        double sum = 0;
        for (int i = 0; i < a.Length; i++) sum += (double)a[i] * b[i];
        return sum;
    }

    private static float[] Unit(float[] x)
    {
        float length = MathF.Max((float)Math.Sqrt(Dot(x, x)), 1e-12f);
        return [.. x.Select(v => v / length)];
    }

    private static double Distance(float[] a, float[] b, bool unit)
    {
        if (unit) (a, b) = (Unit(a), Unit(b));
        float[] d = [.. a.Zip(b, (x, y) => x - y)];
        return Math.Sqrt(Dot(d, d));
    }

    private static double Correlation(IReadOnlyList<double> a, IReadOnlyList<double> b)
    {
        if (a.Count < 2) return double.NaN;
        double meanA = a.Average(), meanB = b.Average();
        return a.Zip(b, (x, y) => (x - meanA) * (y - meanB)).Sum() / Math.Sqrt(a.Sum(x => (x - meanA) * (x - meanA)) * b.Sum(y => (y - meanB) * (y - meanB)));
    }

    /// <summary>Places in ascending order; equal values share the mean of their places.</summary>
    private static double[] Ranks(IReadOnlyList<double> values)
    {
        int[] order = [.. Enumerable.Range(0, values.Count).OrderBy(i => values[i])];
        var ranks = new double[values.Count];
        for (int from = 0; from < order.Length;)
        {
            int to = from;
            while (to < order.Length && values[order[to]] == values[order[from]]) to++;
            for (int i = from; i < to; i++) ranks[order[i]] = (from + to - 1) / 2.0;
            from = to;
        }
        return ranks;
    }
}
