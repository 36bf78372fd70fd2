using Lift.Ort.Onnx;

namespace Lift.Ort.Gradients;

/// <summary>Losses by name; each appends its nodes to the graph and returns the scalar float32 loss. The labels' input, where there is one, is always <c>labels</c>.</summary>
public static partial class Losses
{
    /// <summary>The label that is not counted.</summary>
    public const long Ignore = -100;

    /// <summary>The input that a loss adds.</summary>
    public const string Labels = "labels";

    private static readonly Dictionary<string, LossForm> table = new LossForm[]
    {
        new("causal-lm", "each position against the next token of the text (labels are shifted inside the graph)", LabelKind.NextTokens, [nameof(LossOptions.LabelSmoothing)]) { Build = CausalLanguageModel },
        new("cross-entropy", "a class per row, token or pixel; -100 is not counted", LabelKind.Classes, [nameof(LossOptions.LabelSmoothing), nameof(LossOptions.ClassWeights), nameof(LossOptions.ClassAxis)]) { Build = CrossEntropy },
        new("seq2seq", "a decoder's tokens against a target text (labels are not shifted)", LabelKind.Sequence, [nameof(LossOptions.LabelSmoothing)]) { Build = CrossEntropy },
        new("soft-label", "probabilities over the classes, as a teacher gives them", LabelKind.Values, [nameof(LossOptions.ClassAxis)]) { Build = SoftLabel, Range = [0, 1] },
        new("mse", "mean squared error", LabelKind.Values, []) { Build = MeanSquaredError },
        new("mae", "mean absolute error", LabelKind.Values, []) { Build = MeanAbsoluteError },
        new("huber", "squared error up to --delta, linear with slope delta beyond", LabelKind.Values, [nameof(LossOptions.Delta)]) { Build = Huber },
        new("smooth-l1", "squared error up to --delta, linear with slope 1 beyond", LabelKind.Values, [nameof(LossOptions.Delta)]) { Build = SmoothL1 },
        new("bce", "each entry on its own a yes or no (labels 0 to 1); -100 is not counted", LabelKind.Values, [nameof(LossOptions.PositiveWeights)]) { Build = BinaryCrossEntropy, Range = [0, 1] },
        new("hinge", "labels -1 (or 0) and 1: max(0, margin - label x score)", LabelKind.Values, [nameof(LossOptions.Margin)]) { Build = Hinge, Range = [-1, 1] },
        new("contrastive", "rows in pairs (anchor, positive), or two outputs (image_embeds,text_embeds; a third holds hard negatives): each anchor finds its positive among all of the batch", LabelKind.None,
            [nameof(LossOptions.Temperature), nameof(LossOptions.Scale), nameof(LossOptions.Group), nameof(LossOptions.Symmetric), nameof(LossOptions.Pooling), nameof(LossOptions.Normalize)]) { Build = Contrastive },
        new("matching", "scores [batch, batch] of every row's one side with every row's other side (CLIP's logits_per_image): a row's own is right, both ways", LabelKind.None, []) { Build = Matching },
        new("cosine", "rows in pairs, or two outputs: (cosine of both embeddings - label)²", LabelKind.PairScores, [nameof(LossOptions.Pooling)]) { Build = CosineRegression, Range = [-1, 1] },
        new("triplet", "rows in threes, or three outputs (anchor, positive, negative): max(0, distance to positive - distance to negative + margin)", LabelKind.None,
            [nameof(LossOptions.Margin), nameof(LossOptions.Pooling), nameof(LossOptions.Normalize)]) { Build = Triplet },
        new("ctc", "symbols in order, their places in time unknown (speech); labels -100 after the end", LabelKind.Sequence, [nameof(LossOptions.Blank), nameof(LossOptions.Lengths)]) { Build = Ctc },
    }.ToDictionary(l => l.Name);

    /// <summary>The names of all losses.</summary>
    public static IEnumerable<string> Names => table.Keys;

    /// <summary>All losses.</summary>
    public static IEnumerable<LossForm> All => table.Values;

    /// <summary>The loss of this name.</summary>
    /// <exception cref="LiftException">There is none.</exception>
    public static LossForm Find(string name)
    {
        if (table.TryGetValue(name, out LossForm? form)) return form;
        string all = string.Join(", ", Names);
        string[] several = name.Split([',', '+', ' '], StringSplitOptions.RemoveEmptyEntries);
        throw new LiftException(several.Length > 1 && several.All(table.ContainsKey)
            ? $"One --loss names one loss, but '{name}' asks for {several.Length}; give each its own, with its output: --loss {several[0]}:OUTPUT --loss {several[1]}:OUTPUT."
            : DetectionHead.IsLoss(name) ? $"There is no loss '{name}': {DetectionHead.Reason}; losses are: {all}."
            : $"There is no loss '{name}'; losses are: {all}.");
    }

    /// <summary>Adds the input for the labels, where the loss reads some, and the loss over <paramref name="scored"/>; returns the loss.</summary>
    /// <param name="labels">Name of the labels' input.</param>
    /// <exception cref="LiftException">No loss has this name, an option is wrong or not the loss's, an input, weight or scored output of the model has the labels' name, or the output does not fit the loss.</exception>
    public static Var Add(string name, LossOptions options, Graph graph, IReadOnlyList<Var> scored, string labels = Labels)
    {
        LossForm form = Find(name);
        options.Check();
        if (options.Given.FirstOrDefault(o => !form.Reads.Contains(o)) is { } idle)
        {
            throw new LiftException($"The {name} loss does not read {LossOptions.Spell(idle)}; leave it out{(form.Reads.Count > 0 ? $" (it reads: {string.Join(", ", form.Reads.Select(LossOptions.Spell))})" : "")}.");
        }
        if (!form.OutputCounts.Contains(scored.Count))
            throw new LiftException($"The {name} loss scores {string.Join(" or ", form.OutputCounts)} {(form.OutputCounts is [1] ? "output" : "outputs")}, but {scored.Count} are named ({string.Join(", ", scored.Select(s => s.Name))}); give each output its own --loss NAME:OUTPUT.");
        if (form.Labels(scored[0].Type, options) is { } type)
        {
            if (graph.Inputs.Any(i => i.Name == labels) || graph.Initializers.ContainsKey(labels) || scored.Any(s => s.Name == labels))
                throw new LiftException($"The model has a value '{labels}' already, the name of the input that the loss adds; export it without labels, or rename that value.");
            if (graph.Nodes.Any(n => n.Outputs.Contains(labels))) ValueNames.Replace(graph, labels, graph.NewName($"{labels}_of_model")); // the training graph is ours to name; the file keeps its names
            graph.Inputs.Add(new(labels, type));
            graph.Types[labels] = type;
        }
        return form.Build(new(graph, form, [.. scored.Select(s => s.Cast(ElementType.Float))], options, labels));
    }

    /// <summary>Adds all losses and their weighted sum.</summary>
    /// <returns>The sum, and each loss as it stands in the graph; <see cref="ScoredTerm.Value"/> is no output yet.</returns>
    /// <exception cref="LiftException">See <see cref="Add"/>.</exception>
    internal static (Var Loss, IReadOnlyList<ScoredTerm> Terms) AddAll(IReadOnlyList<LossTerm> terms, Graph graph, Func<LossTerm, IReadOnlyList<string>> outputs)
    {
        var added = new List<ScoredTerm>();
        Var? sum = null;
        foreach (LossTerm term in terms)
        {
            LossForm form = Find(term.Loss);
            IReadOnlyList<string> names = outputs(term);
            if (terms.Count > 1 && names.Count == 1 && form.Rows(term.Options) > 1)
                throw new LiftException($"The {term.Loss} loss over '{names[0]}' compares rows of a batch with each other and cannot stand beside another loss; name an output for each part ({term.Loss}:OUTPUT,OUTPUT), or leave the others out.");
            string labels = Labels;
            for (int i = 1; terms.Count > 1 && (labels == Labels || added.Exists(a => a.Labels == labels)); i++) labels = $"{Labels}_{names[0]}{(i > 1 ? $"_{i}" : "")}";
            Var[] scored = [.. names.Select(graph.Var)];
            long? classes = form.Classes(scored[0].Shape, term.Options);
            Var value = Add(term.Loss, term.Options, graph, scored, labels);
            added.Add(new(term.Loss, names, graph.Inputs.Any(i => i.Name == labels) && form.Labels(scored[0].Type, term.Options) is not null ? labels : null, value.Name)
            {
                Field = term.Field,
                Weight = term.Weight,
                Options = term.Options,
                Classes = classes,
            });
            Var part = term.Weight == 1 ? value : value * term.Weight;
            sum = sum is null ? part : sum + part;
        }
        return (sum!, added);
    }

    private static Var MeanOfAll(Var x) => x.Reshape(-1).ReduceMean([0], keepDims: false);

    private static Var SumOfAll(Var x) => x.Reshape(-1).ReduceSum([0], keepDims: false);

    /// <summary>a / b, and 0 where both are 0.</summary>
    private static Var Ratio(Var a, Var b) => a / b.Graph.Add("Max", [b, b.Like(1e-30)]);

    private static Var Floats(Graph g, IEnumerable<double> values) => g.Constant<float>([.. values.Select(v => (float)v)]);

    /// <summary>What goes into the operator <paramref name="op"/> where that, copies and casts aside, makes <paramref name="scores"/>; the scores themselves otherwise.</summary>
    private static Var Before(string op, Var scores, Func<Node, bool>? fits = null)
    {
        Graph g = scores.Graph;
        string name = scores.Name;
        while (g.Nodes.Find(n => n.Outputs.Contains(name)) is { } maker)
        {
            if (maker.OpType == op && fits?.Invoke(maker) != false) return g.Var(maker.Inputs[0]).Cast(ElementType.Float);
            if (maker.OpType is not ("Identity" or "Cast") || !g.TypeOf(maker.Inputs[0]).Element.IsFloat()) break;
            name = maker.Inputs[0];
        }
        return scores;
    }
}
