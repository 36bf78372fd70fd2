using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using Lift.Ort.Gradients;

namespace Lift.Ort.Cli;

/// <summary>Options that say which loss, over which output, and what it is told beyond its name.</summary>
internal sealed class LossChoices
{
    private static readonly LossOptions defaults = new();

    private readonly Option<string[]> loss;
    private readonly string? value;
    private readonly Option<string?> scored = new("--output") { Description = "The output that is scored; default: logits (embeddings: sentence_embedding and the like), else the first float output.", HelpName = "NAME" };
    private readonly Option<double> smoothing = Number("--label-smoothing", "causal-lm, cross-entropy, seq2seq: share of a label that goes to all classes alike.", defaults.LabelSmoothing);
    private readonly Option<double[]> classWeights = List("--class-weights", "cross-entropy: one weight per class, with commas between them.");
    private readonly Option<ClassAxis> classAxis = Choices.Word("--class-axis", "cross-entropy, soft-label: where the classes are: first (axis 1), last, or auto: axis 1 from rank 4 on.", defaults.ClassAxis);
    private readonly Option<double[]> positiveWeights = List("--positive-weights", "bce: weight of positive labels, one number or one per entry.");
    private readonly Option<double> delta = Number("--delta", "huber, smooth-l1: the difference at which the square becomes a line.", defaults.Delta);
    private readonly Option<double> margin = Number("--margin", "hinge, triplet: by how much right must beat wrong.", defaults.Margin);
    private readonly Option<double> temperature = Number("--temperature", "contrastive: similarities are divided by it.", defaults.Temperature);
    private readonly Option<string?> scale = new("--scale") { Description = "contrastive: value of the model (output, initializer) that similarities are multiplied by, instead of --temperature.", HelpName = "NAME" };
    private readonly Option<int> group = Number("--group", "contrastive: rows of an example: 2 (anchor, positive) or 3 (and a hard negative).", defaults.Group);
    private readonly Option<bool?> symmetric = new("--symmetric") { Description = "contrastive: each positive looks for its anchor too; default true over two outputs, false over rows of one.", HelpName = "true|false" };
    private readonly Option<Pooling> pooling = Choices.Word("--pooling", "contrastive, cosine, triplet: how positions become one embedding: mean, cls, last, none or auto (mean for rank 3).", defaults.Pooling);
    private readonly Option<bool?> normalize = new("--normalize") { Description = "contrastive (default true), triplet (default false): embeddings of length 1.", HelpName = "true|false" };
    private readonly Option<int> blank = Number("--blank", "ctc: the class that stands for no symbol.", defaults.Blank);

    private readonly Option<string?> lengths = new("--lengths") { Description = "ctc: value of the model, or field of the rows, with the number of time steps that count in each row; default: all.", HelpName = "NAME" };

    /// <param name="value">The loss where none is given; null leaves it open.</param>
    public LossChoices(string? value, string description)
    {
        this.value = value;
        loss = new("--loss") { Description = $"{description} Several losses, or outputs of your choice: --loss NAME:OUTPUT=FIELD*WEIGHT, once for each (FIELD of the rows holds its labels). {string.Join("; ", Losses.All.Select(l => $"{l.Name}: {l.Summary}"))}.", HelpName = "NAME" };
        if (value is not null) loss.DefaultValueFactory = _ => [value];
        loss.Validators.Add(Check);
    }

    public IEnumerable<Option> All => [loss, scored, smoothing, classWeights, classAxis, positiveWeights, delta, margin, temperature, scale, group, symmetric, pooling, normalize, blank, lengths];

    /// <summary>The loss where one is given by its name alone; the default, or null, where none is given.</summary>
    public string? Loss(ParseResult line) => line.GetValue(loss) is [var one] ? one : value;

    /// <summary>Losses with outputs, fields or weights of their own; none where one is given by its name alone.</summary>
    /// <exception cref="LiftException">One has another form, or an option is read by none of them.</exception>
    public IReadOnlyList<LossTerm> Terms(ParseResult line)
    {
        string[] given = line.GetValue(loss) ?? [];
        if (given.Length == 0 || (given is [var one] && one.AsSpan().IndexOfAny(':', '=', '*') < 0)) return [];
        IReadOnlyList<LossTerm> terms = LossTerm.ParseAll(given, Options(line));
        return Output(line) is { } output ? throw new LiftException($"--output {output} names one output for all losses; name each loss's own: --loss {terms[0].Loss}:{output}.") : terms;
    }

    public string? Output(ParseResult line) => line.GetValue(scored);

    public LossOptions Options(ParseResult line) => new()
    {
        LabelSmoothing = line.GetValue(smoothing),
        ClassWeights = line.GetValue(classWeights) ?? [],
        ClassAxis = line.GetValue(classAxis),
        PositiveWeights = line.GetValue(positiveWeights) ?? [],
        Delta = line.GetValue(delta),
        Margin = line.GetValue(margin),
        Temperature = line.GetValue(temperature),
        Group = line.GetValue(group),
        Scale = line.GetValue(scale),
        Symmetric = line.GetValue(symmetric),
        Pooling = line.GetValue(pooling),
        Normalize = line.GetValue(normalize),
        Blank = line.GetValue(blank),
        Lengths = line.GetValue(lengths),
    };

    private static void Check(OptionResult result)
    {
        try
        {
            foreach (Token token in result.Tokens)
            {
                if (result.Tokens.Count == 1 && token.Value.AsSpan().IndexOfAny(':', '=', '*') < 0) Losses.Find(token.Value);
                else LossTerm.Parse(token.Value, defaults);
            }
        }
        catch (LiftException e)
        {
            result.AddError(e.Message);
        }
    }

    private static Option<T> Number<T>(string name, string description, T value) => new(name) { Description = description, DefaultValueFactory = _ => value };

    private static Option<double[]> List(string name, string description) => new(name)
    {
        Description = description,
        HelpName = "N,N,…",
        CustomParser = result =>
        {
            var numbers = new List<double>();
            foreach (string word in result.Tokens.SelectMany(t => t.Value.Split([',', ' '], StringSplitOptions.RemoveEmptyEntries)))
            {
                if (double.TryParse(word, NumberStyles.Float, CultureInfo.InvariantCulture, out double n)) numbers.Add(n);
                else result.AddError($"{name} holds '{word}', which is no number; give numbers with commas between them.");
            }
            return [.. numbers];
        },
    };
}
