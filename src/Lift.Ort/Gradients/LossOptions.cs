namespace Lift.Ort.Gradients;

/// <summary>Which axis of the scored output holds the classes.</summary>
public enum ClassAxis
{
    /// <summary>The last one for outputs of rank 2 and 3 (rows, tokens), axis 1 from rank 4 on (pixels).</summary>
    Auto,

    /// <summary>Axis 1: <c>[batch, classes, d1, …]</c>.</summary>
    First,

    /// <summary>The last one: <c>[batch, …, classes]</c>.</summary>
    Last,
}

/// <summary>How <c>[batch, length, width]</c> becomes one embedding per row; <c>attention_mask</c> says which positions count where the model has that input.</summary>
public enum Pooling
{
    /// <summary><see cref="None"/> for outputs of rank 2, <see cref="Mean"/> for rank 3.</summary>
    Auto,

    /// <summary>The output is an embedding already: <c>[batch, width]</c>.</summary>
    None,

    /// <summary>Mean over the counted positions.</summary>
    Mean,

    /// <summary>Position 0.</summary>
    Cls,

    /// <summary>The last counted position; rows are padded on the right.</summary>
    Last,
}

/// <summary>What losses can be told beyond their name. Each option names the losses that read it; to set it for another loss is an error.</summary>
public sealed record LossOptions
{
    /// <summary>causal-lm, cross-entropy, seq2seq: share of each label that goes to all classes alike, 0 (default) to below 1.</summary>
    public double LabelSmoothing { get; init; }

    /// <summary>cross-entropy: weight of each class, as many as there are classes; the mean divides by the sum of the counted labels' weights. Default: all 1.</summary>
    public IReadOnlyList<double> ClassWeights { get; init; } = [];

    /// <summary>cross-entropy, soft-label: where the classes are; default <see cref="ClassAxis.Auto"/>.</summary>
    public ClassAxis ClassAxis { get; init; }

    /// <summary>bce: weight of positive labels, one number or one per entry of the last axis. Default: 1.</summary>
    public IReadOnlyList<double> PositiveWeights { get; init; } = [];

    /// <summary>huber, smooth-l1: the difference at which the square becomes a straight line; default 1.</summary>
    public double Delta { get; init; } = 1;

    /// <summary>hinge, triplet: by how much right must beat wrong; default 1.</summary>
    public double Margin { get; init; } = 1;

    /// <summary>contrastive: similarities are divided by it; default 0.05.</summary>
    public double Temperature { get; init; } = 0.05;

    /// <summary>contrastive: rows of an example, 2 (anchor, positive; the default) or 3 (and a hard negative).</summary>
    public int Group { get; init; } = 2;

    /// <summary>contrastive: true asks for each positive's anchor too and takes the mean of both losses; default null: yes over two outputs, no over rows of one.</summary>
    public bool? Symmetric { get; init; }

    /// <summary>contrastive: name of a value of the model (an output, an initializer) that similarities are multiplied by instead of being divided by the temperature, as it is:
    /// a learned scale. Default null: none.</summary>
    public string? Scale { get; init; }

    /// <summary>contrastive, cosine, triplet: how positions become one embedding; default <see cref="Pooling.Auto"/>.</summary>
    public Pooling Pooling { get; init; }

    /// <summary>contrastive, triplet: embeddings of length 1; default null: yes for contrastive, no for triplet.</summary>
    public bool? Normalize { get; init; }

    /// <summary>ctc: the class that stands for no symbol; default 0.</summary>
    public int Blank { get; init; }

    /// <summary>ctc: input with the number of time steps that count in each row, <c>[batch]</c>: a value of the model, or else a field of the rows. Default null: every time step counts.</summary>
    public string? Lengths { get; init; }

    /// <summary>True where every option has its default.</summary>
    [System.Text.Json.Serialization.JsonIgnore]
    public bool IsDefault => !Given.Any();

    /// <summary>Names of the options that differ from their defaults.</summary>
    internal IEnumerable<string> Given
    {
        get
        {
            var plain = new LossOptions();
            if (LabelSmoothing != plain.LabelSmoothing) yield return nameof(LabelSmoothing);
            if (ClassWeights.Count > 0) yield return nameof(ClassWeights);
            if (ClassAxis != plain.ClassAxis) yield return nameof(ClassAxis);
            if (PositiveWeights.Count > 0) yield return nameof(PositiveWeights);
            if (Delta != plain.Delta) yield return nameof(Delta);
            if (Margin != plain.Margin) yield return nameof(Margin);
            if (Temperature != plain.Temperature) yield return nameof(Temperature);
            if (Group != plain.Group) yield return nameof(Group);
            if (Symmetric == true) yield return nameof(Symmetric);
            if (Scale is not null) yield return nameof(Scale);
            if (Pooling != plain.Pooling) yield return nameof(Pooling);
            if (Normalize is not null) yield return nameof(Normalize);
            if (Blank != plain.Blank) yield return nameof(Blank);
            if (Lengths is not null) yield return nameof(Lengths);
        }
    }

    /// <summary>Those of the options that <paramref name="form"/> reads.</summary>
    internal LossOptions For(LossForm form)
    {
        var plain = new LossOptions();
        bool Reads(string name) => form.Reads.Contains(name);
        return new()
        {
            LabelSmoothing = Reads(nameof(LabelSmoothing)) ? LabelSmoothing : plain.LabelSmoothing,
            ClassWeights = Reads(nameof(ClassWeights)) ? ClassWeights : [],
            ClassAxis = Reads(nameof(ClassAxis)) ? ClassAxis : plain.ClassAxis,
            PositiveWeights = Reads(nameof(PositiveWeights)) ? PositiveWeights : [],
            Delta = Reads(nameof(Delta)) ? Delta : plain.Delta,
            Margin = Reads(nameof(Margin)) ? Margin : plain.Margin,
            Temperature = Reads(nameof(Temperature)) ? Temperature : plain.Temperature,
            Group = Reads(nameof(Group)) ? Group : plain.Group,
            Symmetric = Reads(nameof(Symmetric)) ? Symmetric : null,
            Scale = Reads(nameof(Scale)) ? Scale : null,
            Pooling = Reads(nameof(Pooling)) ? Pooling : plain.Pooling,
            Normalize = Reads(nameof(Normalize)) ? Normalize : null,
            Blank = Reads(nameof(Blank)) ? Blank : plain.Blank,
            Lengths = Reads(nameof(Lengths)) ? Lengths : null,
        };
    }

    /// <summary>How a command spells the option: <c>--label-smoothing</c>.</summary>
    internal static string Spell(string option) => $"--{System.Text.Json.JsonNamingPolicy.KebabCaseLower.ConvertName(option)}";

    /// <exception cref="LiftException">A number is out of its range; the message names all of them.</exception>
    internal void Check()
    {
        var wrong = new List<string>();
        Require(LabelSmoothing is >= 0 and < 1, nameof(LabelSmoothing), LabelSmoothing, "0 to below 1");
        Require(ClassWeights.All(w => w >= 0 && double.IsFinite(w)), nameof(ClassWeights), string.Join(",", ClassWeights), "numbers from 0 on");
        Require(PositiveWeights.All(w => w > 0 && double.IsFinite(w)), nameof(PositiveWeights), string.Join(",", PositiveWeights), "numbers above 0");
        Require(Delta > 0 && double.IsFinite(Delta), nameof(Delta), Delta, "more than 0");
        Require(Margin >= 0 && double.IsFinite(Margin), nameof(Margin), Margin, "0 or more");
        Require(Temperature > 0 && double.IsFinite(Temperature), nameof(Temperature), Temperature, "more than 0");
        Require(Group is 2 or 3, nameof(Group), Group, "2 (anchor, positive) or 3 (anchor, positive, negative)");
        Require(Blank >= 0, nameof(Blank), Blank, "a class from 0 on");
        if (wrong.Count > 0) throw new LiftException(string.Join(" ", wrong));

        void Require(bool good, string name, object value, string range)
        {
            if (!good) wrong.Add(string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{Spell(name)} is {value}; give {range}."));
        }
    }
}
