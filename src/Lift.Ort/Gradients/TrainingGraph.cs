using Lift.Ort.Lowering;
using Lift.Ort.Lowering.Decoders;
using Lift.Ort.Lowering.Raising;
using Lift.Ort.Onnx;

namespace Lift.Ort.Gradients;

/// <summary>A model with its loss (<see cref="Forward"/>) and, beside it, with its loss and the gradient of each trained weight (<see cref="Training"/>).</summary>
/// <param name="Forward">Outputs: the loss, then the scored output. Weights are initializers still.</param>
/// <param name="Training">As Forward, with the value <c>W_grad</c> (float32, W's shape) for every trained weight W as further outputs.</param>
/// <param name="Loss">Name of the scalar float32 loss.</param>
/// <param name="Scored">Name of the output that is scored.</param>
/// <param name="Trainable">The trained weights, in file order.</param>
public sealed record TrainingGraph(Graph Forward, Graph Training, string Loss, string Scored, IReadOnlyList<CatalogWeight> Trainable, TrainingGraphOptions Options)
{
    /// <summary>Quantized matrices of the source that are float weights here.</summary>
    public IReadOnlyList<DequantizedWeight> Dequantized { get; private init; } = [];

    /// <summary>Tokens that a text may have at most: as many as the places of a cache of fixed length; null where there is no such cache.</summary>
    public long? LongestText { get; private init; }

    /// <summary>The losses whose weighted sum <see cref="Loss"/> is; each value of several is an output too.</summary>
    public IReadOnlyList<ScoredTerm> Terms { get; private init; } = [];

    /// <summary>Running statistics that each batch renews; each is an output of <see cref="Training"/> too. None where BatchNormalization is in inference form.</summary>
    public IReadOnlyList<RunningStatistic> Statistics { get; private init; } = [];

    /// <summary>Name of the constant 1 that the backward pass begins with; a session that scales the loss makes an input of it.</summary>
    internal const string Seed = "loss.seed";

    /// <summary>Name of the gradient of <paramref name="weight"/>.</summary>
    public static string GradientOf(string weight) => $"{weight}_grad";

    /// <summary>Adds the loss to a copy of <paramref name="source"/> and differentiates it.</summary>
    /// <exception cref="LiftException">A pattern matches nothing, an operator has no gradient rule, the output does not exist or does not fit the loss.</exception>
    public static TrainingGraph Build(Graph source, TrainingGraphOptions? options = null)
    {
        options ??= new();
        long? longest = DecoderInputs.LongestText(source);
        (source, IReadOnlyList<DequantizedWeight> dequantized) = Dequantization.Apply(FixedDims.Apply(source, options.Dims), options.Dequantize);
        source = LoweredGraph.Of(source);
        if (options.Raise) source = RaisedGraph.Of(source);
        var trainable = Choose(source, ScoredOutputs(source, options), options);
        var (forward, loss, terms) = AddLoss(source, options);
        string scored = terms[0].Outputs[0];

        Graph training = forward.Clone();
        IReadOnlyList<RunningStatistic> statistics = BatchStatistics.ForTraining(training);
        BatchStatistics.ForEvaluation(forward);
        var gradients = BackwardPass.Run(training, loss, [.. trainable.Select(w => w.Name)]);
        trainable = [.. trainable.Where(w => gradients.ContainsKey(w.Name))];
        if (trainable.Count == 0) throw new LiftException($"The loss over '{string.Join("', '", terms.SelectMany(t => t.Outputs))}' does not depend on any of the chosen weights; choose others with --train, or another --output.");
        Rename(training, [.. trainable.Select(w => (gradients[w.Name].Cast(ElementType.Float).Name, GradientOf(w.Name)))]);
        training.Outputs.AddRange(statistics.Select(s => new GraphValue(s.Updated, training.TypeOf(s.Updated))));
        training.Outputs.AddRange(trainable.Select(w => new GraphValue(GradientOf(w.Name), new(ElementType.Float, Shape.Of(w.Value.Dims)))));
        Prune.Run(training);
        return new(forward, training, loss, scored, trainable, options) { Dequantized = dequantized, LongestText = longest, Statistics = statistics, Terms = terms };
    }

    /// <summary>Adds the loss to a copy of <paramref name="source"/>; no weight is chosen and nothing is differentiated.</summary>
    /// <returns>The copy, whose outputs are the loss, what is scored, and each of several losses; the loss's name and its terms.</returns>
    /// <exception cref="LiftException">An output does not exist or does not fit its loss.</exception>
    public static (Graph Forward, string Loss, IReadOnlyList<ScoredTerm> Terms) WithLoss(Graph source, TrainingGraphOptions options)
    {
        var result = AddLoss(source, options);
        BatchStatistics.ForEvaluation(result.Forward);
        return result;
    }

    private static (Graph Forward, string Loss, IReadOnlyList<ScoredTerm> Terms) AddLoss(Graph source, TrainingGraphOptions options)
    {
        Graph forward = LoweredGraph.Of(source);
        BatchStatistics.Choose(forward, options.BatchNorm);
        ComputeInFloat(forward);
        KeepChannelsFirst(forward);
        forward.Domains["com.microsoft"] = 1; // ONNX Runtime fuses transposes into its own FusedMatMul, which a model without this import could not hold
        var (loss, terms) = AddLosses(forward, options);
        Prune.Run(forward);
        return (forward, loss, terms);
    }

    /// <summary>
    /// Products of quantized matrices are computed in float32, as their gradients are: at accuracy_level 4 ONNX Runtime rounds activations to 8 bits, and its CPU kernel gives zeros where
    /// scales and zero points are inputs of a model, as they are in artifacts.
    /// </summary>
    private static void ComputeInFloat(Graph graph)
    {
        foreach (Node node in graph.Nodes.Where(n => n.OpType == "MatMulNBits")) node.Attributes.Remove("accuracy_level");
    }

    /// <summary>
    /// ONNX Runtime's optimizer moves a Transpose behind the Resize that reads it (a table of positions between two permutes, which is a constant where nothing is trained), and then finds that its
    /// cubic kernel knows no channels-last images. An Einsum that turns the axes the same way stays where it is.
    /// </summary>
    private static void KeepChannelsFirst(Graph graph)
    {
        HashSet<string> resized = [.. graph.Nodes.Where(n => n.Operator == "Resize" && n.String("mode") == "cubic").Select(n => n.Inputs[0])];
        for (int i = 0; i < graph.Nodes.Count; i++)
        {
            if (graph.Nodes[i] is not { Operator: "Transpose" } turn || !resized.Contains(turn.Outputs[0]) || turn.Ints("perm") is not { Length: <= 26 } axes) continue;
            string letters = string.Concat(axes.Index().Select(a => (char)('a' + a.Index)));
            graph.Nodes[i] = new Node("Einsum", "", turn.Inputs, turn.Outputs, turn.Name).With("equation", $"{letters}->{string.Concat(axes.Select(a => letters[(int)a]))}");
        }
    }

    /// <summary>The values to score for a loss, see <see cref="ScoredOutput"/>; for contrastive losses both outputs of a model with two towers.</summary>
    internal static IReadOnlyList<string> ScoredOutputs(Graph graph, LossTerm term) =>
        term.Outputs.Count > 0 ? [.. term.Outputs.Select(o => ScoredOutput(graph, o, term.Loss))]
        : term.Loss == "contrastive" && Losses.Towers(graph) is { } both ? both
        : [ScoredOutput(graph, null, term.Loss)];

    /// <summary>All values that the losses of <paramref name="options"/> read.</summary>
    private static string[] ScoredOutputs(Graph graph, TrainingGraphOptions options) =>
        [.. options.AllTerms.SelectMany(t => ScoredOutputs(graph, t)).Concat(options.AllTerms.Select(t => t.Options.Scale).OfType<string>()).Distinct()];

    /// <summary>
    /// The value to score: the one named (an output, or any float value inside the graph), else <c>logits</c> (for losses over embeddings an output of a usual
    /// name, such as <c>sentence_embedding</c>), else the first float output, else the scores behind the first ZipMap.
    /// </summary>
    /// <param name="loss">Name of the loss; null where none is chosen yet.</param>
    public static string ScoredOutput(Graph graph, string? name, string? loss = null) =>
        ScoredValue.Find(graph, name, loss) ?? throw new LiftException($"The model has no float output to score; its outputs are: {ScoredValue.All(graph)}.");

    /// <summary>The weights that <paramref name="options"/> choose, in file order; each has a differentiable path to the scored output.</summary>
    public static IReadOnlyList<CatalogWeight> Choose(Graph graph, string scored, TrainingGraphOptions options) => Choose(graph, [scored], options);

    private static IReadOnlyList<CatalogWeight> Choose(Graph graph, string[] scored, TrainingGraphOptions options)
    {
        graph = LoweredGraph.Of(graph);
        var reaching = BackwardPass.Reaching(graph, scored);
        var all = WeightCatalog.FindFor(graph, scored).Where(w => reaching.Contains(w.Name)).ToList();
        var freeze = Patterns(options.Freeze, "--freeze", all);
        var train = Patterns(options.Train, "--train", all);
        var chosen = all.Where(w => w.Kind != WeightKind.Statistics && !freeze.Any(g => Matches(g, w)) && (train.Count > 0 ? train.Any(g => Matches(g, w)) : w.IsLiftDefault)).ToList();
        if (chosen.Count > 0) return chosen;
        throw new LiftException(train.Count > 0
            ? $"All weights that --train {string.Join(' ', options.Train)} matches are frozen by --freeze {string.Join(' ', options.Freeze)}; there is nothing left to train."
            : QuantizedLayer.Find(graph).FirstOrDefault(l => l.CanBecomeFloat) is { } layer
            ? $"The model's linear layers are quantized, and only float weights can be trained: make some float with --dequantize, for instance --dequantize '{layer.Layer}', or name other weights with --train (lift inspect lists them)."
            : "The model has no linear layer of an attention or MLP block to train by default (head, embeddings, norms, biases and convolutions are not); name weights with --train, for instance --train '*' (lift inspect lists them).");
    }

    private static bool Matches(Glob glob, CatalogWeight w) => glob.Matches(w.Name) || glob.Matches(w.Layer) || (w.Value.Dims.Length > 1 && glob.Matches($"{w.Layer}.weight"));

    private static List<Glob> Patterns(IReadOnlyList<string> patterns, string option, IReadOnlyList<CatalogWeight> weights)
    {
        var globs = patterns.Select(p => new Glob(p)).ToList();
        if (globs.Find(g => !weights.Any(w => Matches(g, w))) is { } idle)
            throw new LiftException($"{option} '{idle.Pattern}' matches no weight on a differentiable path; lift inspect lists the names, for instance '{weights.FirstOrDefault()?.Layer ?? "(none)"}'.");
        return globs;
    }

    private static (string Loss, IReadOnlyList<ScoredTerm> Terms) AddLosses(Graph graph, TrainingGraphOptions options)
    {
        IReadOnlyList<LossTerm> asked = options.AllTerms;
        string[] outputs = [.. asked.SelectMany(t => ScoredOutputs(graph, t)).Distinct()];
        DetectionHead.Refuse(graph, outputs);
        var declared = outputs.ToDictionary(o => o, o => graph.Outputs.Find(v => v.Name == o)?.Type ?? graph.TypeOf(o));
        foreach (string output in outputs)
            if (graph.TypeOf(output).Shape is null && declared[output].Shape is not null) graph.Types[output] = declared[output]; // what the file declares, where nothing was inferred
        var (loss, terms) = Losses.AddAll(asked, graph, t => ScoredOutputs(graph, t));
        string name = graph.NewName("loss");
        bool several = terms.Count > 1 || terms[0].Value != loss.Name;
        ScoredTerm[] named = [.. terms.Select(t => t with { Value = several ? graph.NewName($"loss_{t.Outputs[0]}") : name })];
        Rename(graph, [(loss.Name, name), .. several ? terms.Zip(named, (t, n) => (t.Value, n.Value)) : []]);
        graph.Outputs.Clear();
        graph.Outputs.Add(new(name, new(ElementType.Float, Shape.Scalar)));
        graph.Outputs.AddRange(outputs.Select(o => new GraphValue(o, declared[o].Shape is null ? graph.TypeOf(o) : declared[o])));
        if (several) graph.Outputs.AddRange(named.Select(t => new GraphValue(t.Value, new(ElementType.Float, Shape.Scalar))));
        return (name, named);
    }

    /// <summary>Gives values new names: at their producer where nothing else uses them, by a copy otherwise.</summary>
    private static void Rename(Graph graph, IReadOnlyList<(string Value, string Name)> names)
    {
        var free = names.DistinctBy(n => n.Value).ToDictionary(n => n.Value, n => n.Name); // two weights can share one gradient (a + b): the second is a copy
        foreach (string used in graph.Outputs.Select(o => o.Name).Concat(graph.Nodes.SelectMany(n => n.Inputs)).Concat(graph.Initializers.Keys)) free.Remove(used);
        foreach (var shared in names.GroupBy(n => n.Value).Where(g => g.Count() > 1)) free.Remove(shared.Key);
        foreach (Node node in graph.Nodes)
        {
            for (int i = 0; i < node.Outputs.Count; i++)
            {
                if (!free.TryGetValue(node.Outputs[i], out string? name)) continue;
                if (node.Name == node.Outputs[i]) node.Name = name; // a copy of the graph would give the old name out again
                node.Outputs[i] = name;
            }
        }
        foreach (var (value, name) in names)
        {
            graph.Types[name] = graph.TypeOf(value);
            if (!free.ContainsKey(value)) graph.Nodes.Add(new Node("Identity", "", [value], [name], name));
        }
    }
}
