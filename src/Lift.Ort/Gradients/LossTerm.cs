using System.Globalization;
using System.Text.RegularExpressions;

namespace Lift.Ort.Gradients;

/// <summary>One of the losses that a model is trained for: which, over which outputs, against which field of the rows, and how much it counts.</summary>
/// <param name="Loss">One of <see cref="Losses.Names"/>.</param>
public sealed partial record LossTerm(string Loss)
{
    /// <summary>The outputs that are scored: one, or two and three for losses that compare embeddings (contrastive, cosine, triplet). Default none: as for a single loss.</summary>
    public IReadOnlyList<string> Outputs { get; init; } = [];

    /// <summary>Field or column with the labels; default null: the output's name, or the usual names where there is one loss only.</summary>
    public string? Field { get; init; }

    /// <summary>What the loss is multiplied by in the sum of all; default 1.</summary>
    public double Weight { get; init; } = 1;

    /// <summary>What the loss is told beyond its name.</summary>
    public LossOptions Options { get; init; } = new();

    /// <summary>Reads several, see <see cref="Parse"/>.</summary>
    /// <exception cref="LiftException">One has another form, or an option is read by none of them.</exception>
    public static IReadOnlyList<LossTerm> ParseAll(IEnumerable<string> texts, LossOptions options)
    {
        LossTerm[] terms = [.. texts.Select(t => Parse(t, options))];
        return options.Given.FirstOrDefault(o => !terms.Any(t => Losses.Find(t.Loss).Reads.Contains(o))) is { } idle
            ? throw new LiftException($"None of the losses {string.Join(", ", terms.Select(t => t.Loss).Distinct())} reads {LossOptions.Spell(idle)}; leave it out.")
            : terms;
    }

    /// <summary>Reads <c>NAME[:OUTPUT[,OUTPUT…]][=FIELD][*WEIGHT]</c>, for instance <c>cross-entropy:logits_a=label_a*0.5</c>.</summary>
    /// <param name="options">Options of all losses; the term takes those that it reads.</param>
    /// <exception cref="LiftException">The text has another form, the loss is unknown or the weight is no number above 0.</exception>
    public static LossTerm Parse(string text, LossOptions options)
    {
        Match match = Form().Match(text);
        if (!match.Success) throw new LiftException($"--loss is '{text}'; write NAME, or NAME:OUTPUT=FIELD*WEIGHT, for instance cross-entropy:logits_a=label_a*0.5.");
        LossForm form = Losses.Find(match.Groups["loss"].Value);
        double weight = 1;
        if (match.Groups["weight"].Success && !(double.TryParse(match.Groups["weight"].Value, NumberStyles.Float, CultureInfo.InvariantCulture, out weight) && weight > 0 && double.IsFinite(weight)))
            throw new LiftException($"--loss '{text}' weighs '{match.Groups["weight"].Value}'; give a number above 0 after '*'.");
        return new(form.Name)
        {
            Outputs = match.Groups["outputs"].Value.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries),
            Field = match.Groups["field"].Success ? match.Groups["field"].Value : null,
            Weight = weight,
            Options = options.For(form),
        };
    }

    [GeneratedRegex(@"^(?<loss>[^:=*]+)(:(?<outputs>[^=*]+))?(=(?<field>[^*]+))?(\*(?<weight>.+))?$")]
    private static partial Regex Form();
}

/// <summary>A loss as it stands in a graph.</summary>
/// <param name="Loss">One of <see cref="Losses.Names"/>.</param>
/// <param name="Outputs">The outputs that are scored.</param>
/// <param name="Labels">The input that takes its labels; null where it reads none.</param>
/// <param name="Value">The scalar output that holds it, unweighted; the whole loss where there is one term of weight 1.</param>
public sealed record ScoredTerm(string Loss, IReadOnlyList<string> Outputs, string? Labels, string Value)
{
    /// <summary>Field of the rows with the labels, null where none is named.</summary>
    public string? Field { get; init; }

    /// <summary>Its factor in the whole loss.</summary>
    public double Weight { get; init; } = 1;

    public LossOptions Options { get; init; } = new();

    /// <summary>Number of classes that its labels name; null where they name none.</summary>
    public long? Classes { get; init; }

    /// <summary>The outputs in one word, in front of its metrics.</summary>
    [System.Text.Json.Serialization.JsonIgnore]
    public string Name => string.Join('+', Outputs);

    [System.Text.Json.Serialization.JsonIgnore]
    public LossForm Form => Losses.Find(Loss);

    /// <summary>Rows of a batch that make one example: 1 where each part has an output of its own.</summary>
    [System.Text.Json.Serialization.JsonIgnore]
    public int Rows => Outputs.Count > 1 ? 1 : Form.Rows(Options);

    /// <summary>The term in words: "0.5 mse over 'price'".</summary>
    public override string ToString() => FormattableString.Invariant($"{(Weight == 1 ? "" : $"{Weight} · ")}{Loss} over '{string.Join("', '", Outputs)}'");

    /// <summary>The term as it is asked for.</summary>
    [System.Text.Json.Serialization.JsonIgnore]
    public LossTerm Asked => new(Loss) { Outputs = Outputs, Field = Field, Weight = Weight, Options = Options };
}
