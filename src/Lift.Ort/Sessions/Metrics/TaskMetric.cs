using Lift.Ort.Data;
using Lift.Ort.Gradients;

namespace Lift.Ort.Sessions.Metrics;

/// <summary>What a model gave out for a batch, in float32 and row-major.</summary>
public readonly record struct Scores(float[] Values, long[] Dims);

/// <summary>How good a model is, told beside its loss: collected batch by batch, then read once.</summary>
public abstract class TaskMetric
{
    /// <summary>The metrics that fit a loss, or null where there is none beside the loss (language models, whose scores are too large to read back at every turn).</summary>
    /// <param name="names">Names of the classes where they have some.</param>
    /// <param name="probabilities">True where the scores are probabilities already (a final Sigmoid).</param>
    public static TaskMetric? For(LossForm form, LossOptions options, IReadOnlyList<string>? names = null, bool probabilities = false) => form.Name switch
    {
        "causal-lm" => null,
        "ctc" => new SymbolMetric(options.Blank, options.Lengths),
        "bce" => new YesNoMetric(probabilities ? 0.5f : 0, 0.5f),
        "hinge" => new YesNoMetric(0, 0),
        "matching" => new MatchingMetric(),
        "contrastive" or "triplet" or "cosine" => new EmbeddingMetric(form, options),
        "soft-label" => new ClassMetric(form, options, null),
        _ => form.NamesClasses ? new ClassMetric(form, options, names) : new ValueMetric(),
    };

    /// <summary>Adds a batch.</summary>
    public abstract void Add(Batch batch, Scores scores);

    /// <summary>Adds a batch of a loss over several outputs.</summary>
    public virtual void AddAll(Batch batch, IReadOnlyList<Scores> scores) => Add(batch, scores[0]);

    /// <summary>The metrics by name, over all batches; NaN is left out.</summary>
    public IReadOnlyDictionary<string, double> Result() => Compute().Where(m => double.IsFinite(m.Value)).ToDictionary(m => m.Name, m => m.Value);

    protected abstract IEnumerable<(string Name, double Value)> Compute();
}
