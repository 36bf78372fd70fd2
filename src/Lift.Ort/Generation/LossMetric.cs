using System.Numerics;
using Lift.Ort.Data;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;
using Lift.Ort.Sessions.Metrics;

namespace Lift.Ort.Generation;

/// <summary>The loss of a model over a data set.</summary>
/// <param name="Loss">Mean over all labels that count (over all elements for mse and bce).</param>
/// <param name="ExampleLoss">Mean over the rows of each row's own mean.</param>
/// <param name="Accuracy">Share of counted labels whose class scores highest; null for mse and bce.</param>
/// <param name="LabelTokens">Labels that counted.</param>
public sealed record LossScore(double Loss, double ExampleLoss, double? Accuracy, int Examples, long Tokens, long LabelTokens)
{
    /// <summary>Further metrics that fit the loss, by name.</summary>
    public IReadOnlyDictionary<string, double> Metrics { get; init; } = new Dictionary<string, double>();
}

/// <summary>Computes losses outside the graph, in float64, from what an exported model gives out.</summary>
public sealed class LossMetric
{
    private static readonly LossOptions plain = new();

    private readonly ExportedModel model;
    private readonly Func<Batch, ModelOutput, int, Sum> row;
    private float[] scratch = [];

    /// <param name="loss">causal-lm, cross-entropy, mse or bce; null takes causal-lm for outputs of rank 3 and cross-entropy for others.</param>
    /// <exception cref="LiftException">There is no such loss.</exception>
    public LossMetric(ExportedModel model, string? loss = null)
    {
        this.model = model;
        Loss = loss ?? (model.OutputType.Rank == 3 ? "causal-lm" : "cross-entropy");
        row = Loss switch
        {
            "causal-lm" => (b, o, i) => Classes(b, o, i, 1),
            "cross-entropy" => (b, o, i) => Classes(b, o, i, 0),
            "mse" => (b, o, i) => Values(b, o, i, (score, label) => (score - label) * (score - label)),
            "bce" => (b, o, i) => Values(b, o, i, model.OutputOperator == "Sigmoid" ? OfProbability : OfLogit),
            _ => throw new LiftException($"{Losses.Find(Loss).Name} is not computed outside the graph; use {nameof(TaskEvaluation)}."),
        };
    }

    public string Loss { get; }

    /// <summary>The model's inputs and the labels that this loss reads, for a <see cref="BatchReader"/>.</summary>
    public IReadOnlyList<GraphValue> Inputs => [.. model.Inputs, new(Batch.LabelsName, Losses.Find(Loss).Labels(model.OutputType, plain)!)];

    /// <summary><paramref name="options"/> with what the model says of labels.</summary>
    public DataOptions Fit(DataOptions options)
    {
        options = options with { Kind = Losses.Find(Loss).Kind, LabelRange = Losses.Find(Loss).Range, LabelsMayBeEmpty = Losses.Find(Loss).LeavesOut, Group = 1 };
        return Loss switch
        {
            "causal-lm" => options with { Shifted = true, VocabularySize = model.Classes, Classes = null },
            "cross-entropy" => options with { Shifted = false, VocabularySize = null, Classes = (int?)Losses.Find(Loss).Classes(model.OutputType.Shape, plain) },
            _ => options with { Shifted = false, VocabularySize = null, Classes = null },
        };
    }

    /// <summary>Scores all batches of one epoch.</summary>
    /// <param name="names">Names of the classes, where they have some.</param>
    /// <exception cref="LiftException">A batch does not fit the model, or a label is no class.</exception>
    public LossScore Score(IEnumerable<Batch> batches, IReadOnlyList<string>? names = null)
    {
        TaskMetric? metric = TaskMetric.For(Losses.Find(Loss), plain, names, model.OutputOperator == "Sigmoid");
        double total = 0, ofExamples = 0;
        long labels = 0, right = 0, tokens = 0;
        int examples = 0;
        foreach (var batch in batches)
        {
            using var output = model.Run(batch.Values);
            for (int i = 0; i < batch.Examples; i++)
            {
                var sum = row(batch, output, i);
                if (sum.Count == 0) continue;
                (total, labels, right) = (total + sum.Loss, labels + sum.Count, right + sum.Right);
                ofExamples += sum.Loss / sum.Count;
                examples++;
            }
            metric?.Add(batch, output.Whole());
            tokens += batch.Tokens;
        }
        if (labels == 0) throw new LiftException("No label counts in this data set: every one is -100.");
        return new LossScore(total / labels, ofExamples / examples, Loss is "mse" or "bce" ? null : (double)right / labels, examples, tokens, labels) { Metrics = metric?.Result() ?? new Dictionary<string, double>() };
    }

    private readonly record struct Sum(double Loss, long Count, long Right);

    /// <summary>−log softmax(scores)[label], position t against label t + <paramref name="shift"/>.</summary>
    private Sum Classes(Batch batch, ModelOutput output, int example, int shift)
    {
        var labels = batch.Labels.AsSpan<long>();
        int perExample = labels.Length / (int)batch.Labels.Dims[0];
        if (output.Rows != labels.Length) throw new LiftException($"The model's output '{model.Output}' has {output.Rows} positions for {labels.Length} labels; choose another --output or --loss.");
        Sum sum = default;
        for (int t = 0; t + shift < perExample; t++)
        {
            long label = labels[example * perExample + t + shift];
            if (label == Example.Ignored) continue;
            var scores = output.Row((long)example * perExample + t, ref scratch);
            if (label < 0 || label >= scores.Length) throw new LiftException($"Label {label} is no class of the model's output '{model.Output}': classes are 0 to {scores.Length - 1}.");
            double loss = model.OutputOperator == "Softmax" ? -Math.Log(scores[(int)label]) : LogSumExp(scores) - scores[(int)label];
            sum = new(sum.Loss + loss, sum.Count + 1, sum.Right + (ArgMax(scores) == label ? 1 : 0));
        }
        return sum;
    }

    private Sum Values(Batch batch, ModelOutput output, int example, Func<double, double, double> loss)
    {
        var labels = batch.Labels.AsSpan<float>();
        if (output.Rows * output.Width != labels.Length) throw new LiftException($"The model's output '{model.Output}' has {output.Rows * output.Width} values for {labels.Length} labels; give labels of its shape.");
        int perExample = labels.Length / (int)batch.Labels.Dims[0], rows = perExample / output.Width;
        double sum = 0;
        int count = 0;
        for (int r = 0; r < rows; r++)
        {
            var scores = output.Row((long)example * rows + r, ref scratch);
            for (int i = 0; i < scores.Length; i++)
            {
                float label = labels[example * perExample + r * scores.Length + i];
                if (Loss == "bce" && label == Example.Ignored) continue;
                sum += loss(scores[i], label);
                count++;
            }
        }
        return new(sum, count, 0);
    }

    /// <summary>softplus(z) − z · label</summary>
    private static double OfLogit(double z, double label) => Math.Max(z, 0) + Math.Log(1 + Math.Exp(-Math.Abs(z))) - z * label;

    private static double OfProbability(double p, double label) => -(label * Math.Log(Math.Max(p, 1e-45)) + (1 - label) * Math.Log(Math.Max(1 - p, 1e-45)));

    /// <summary>The index of the greatest score, the first of equals.</summary>
    internal static int ArgMax(ReadOnlySpan<float> scores)
    {
        float max = Max(scores);
        return Math.Max(scores.IndexOf(max), 0);
    }

    /// <summary>log Σ eˣ, the exponentials in float32 vectors, their sum in float64.</summary>
    internal static double LogSumExp(ReadOnlySpan<float> x)
    {
        float max = Max(x);
        var shift = new Vector<float>(max);
        var sums = Vector<double>.Zero;
        int i = 0;
        for (; i <= x.Length - Vector<float>.Count; i += Vector<float>.Count)
        {
            Vector.Widen(Vector.Exp(new Vector<float>(x[i..]) - shift), out var low, out var high);
            sums += low + high;
        }
        double sum = Vector.Sum(sums);
        for (; i < x.Length; i++) sum += Math.Exp(x[i] - max);
        return max + Math.Log(sum);
    }

    private static float Max(ReadOnlySpan<float> x)
    {
        float max = float.NegativeInfinity;
        int i = 0;
        if (x.Length >= Vector<float>.Count)
        {
            var best = new Vector<float>(x);
            for (i = Vector<float>.Count; i <= x.Length - Vector<float>.Count; i += Vector<float>.Count) best = Vector.Max(best, new Vector<float>(x[i..]));
            for (int k = 0; k < Vector<float>.Count; k++) max = Math.Max(max, best[k]);
        }
        for (; i < x.Length; i++) max = Math.Max(max, x[i]);
        return max;
    }
}
