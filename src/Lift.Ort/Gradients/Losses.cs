using Lift.Ort.Onnx;

namespace Lift.Ort.Gradients;

/// <summary>Losses by name; each appends its nodes to the graph and returns the scalar float32 loss. The labels' input is always <c>labels</c>.</summary>
public static class Losses
{
    /// <summary>The label that is not counted.</summary>
    public const long Ignore = -100;

    private static readonly Dictionary<string, (Func<Graph, Var, TensorType> Labels, Func<Graph, Var, Var, Var> Loss)> table = new()
    {
        ["causal-lm"] = (TokenLabels, CausalLanguageModel),
        ["cross-entropy"] = (TokenLabels, CrossEntropy),
        ["mse"] = (ValueLabels, MeanSquaredError),
        ["bce"] = (ValueLabels, BinaryCrossEntropy),
    };

    public static IEnumerable<string> Names => table.Keys;

    /// <summary>Adds the input <c>labels</c> and the loss over <paramref name="scored"/>; returns the loss.</summary>
    /// <exception cref="LiftException">No loss has this name, the model has an input <c>labels</c> already, or the output does not fit the loss.</exception>
    public static Var Add(string name, Graph graph, Var scored)
    {
        if (!table.TryGetValue(name, out var loss)) throw new LiftException($"There is no loss '{name}'; losses are: {string.Join(", ", Names)}.");
        if (graph.Inputs.Any(i => i.Name == "labels") || graph.Initializers.ContainsKey("labels") || graph.Nodes.Any(n => n.Outputs.Contains("labels")))
            throw new LiftException("The model has a value 'labels' already, the name of the input that the loss adds; export it without labels, or rename that value.");
        TensorType type = loss.Labels(graph, scored);
        graph.Inputs.Add(new("labels", type));
        graph.Types["labels"] = type;
        return loss.Loss(graph, scored.Cast(ElementType.Float), graph.Var("labels"));
    }

    private static TensorType TokenLabels(Graph graph, Var scored) => new(ElementType.Int64, scored.Shape is { } s ? new Shape(s.Dims[..^1]) : null);

    private static TensorType ValueLabels(Graph graph, Var scored) => new(ElementType.Float, scored.Shape);

    /// <summary>Mean cross-entropy of scores[:, t] against labels[:, t + 1]; the shift moves the labels, so that no copy of the scores is made.</summary>
    private static Var CausalLanguageModel(Graph g, Var scores, Var labels)
    {
        if (scores.Rank is not 3) throw new LiftException($"The causal-lm loss needs an output of [batch, sequence, vocabulary], but '{scores.Name}' is {scores.Type}; choose another --output or --loss.");
        Var padded = g.Add("Pad", [labels, g.Longs(0, 0, 0, 1), g.Scalar(Ignore, ElementType.Int64)]);
        return CrossEntropy(g, scores, padded.Slice(1, long.MaxValue, 1));
    }

    /// <summary>Mean cross-entropy over all labels other than −100; classes lie on the last axis of the scores.</summary>
    private static Var CrossEntropy(Graph g, Var scores, Var labels)
    {
        if (scores.Rank is null or < 2) throw new LiftException($"The cross-entropy loss needs an output of [batch, …, classes], but '{scores.Name}' is {scores.Type}; choose another --output or --loss.");
        scores = BeforeSoftmax(g, scores);
        Var rows = scores.Shape![-1].Value is { } classes
            ? scores.Reshape(-1, classes)
            : scores.Reshape(g.Concat(0, g.Longs(-1), scores.ShapeOf().Slice(-1, long.MaxValue, 0)));
        return g.AddMany("SoftmaxCrossEntropyLoss", 2, [rows, labels.Reshape(-1)], n => n.With("reduction", "mean").With("ignore_index", Ignore), output: "lift.cross_entropy")[0];
    }

    /// <summary>Mean of (score − label)² over all elements.</summary>
    private static Var MeanSquaredError(Graph g, Var scores, Var labels)
    {
        Var d = scores - labels;
        return MeanOfAll(d * d);
    }

    /// <summary>Mean of softplus(z) − z · label over all elements; z is the score before a final Sigmoid, or the score itself where there is none.</summary>
    private static Var BinaryCrossEntropy(Graph g, Var scores, Var labels)
    {
        Var z = BeforeActivation(g, scores, "Sigmoid");
        return MeanOfAll(g.Add("Softplus", [z]) - z * labels);
    }

    private static Var MeanOfAll(Var x) => x.Reshape(-1).ReduceMean([0], keepDims: false);

    /// <summary>Scores of a model that ends in Softmax over the last axis are taken before it: cross-entropy applies its own.</summary>
    private static Var BeforeSoftmax(Graph g, Var scores) =>
        Producer(g, scores) is { OpType: "Softmax" } s && s.Int("axis", -1) is var axis && (axis == -1 || axis == scores.Rank - 1) ? g.Var(s.Inputs[0]) : scores;

    private static Var BeforeActivation(Graph g, Var scores, string op) => Producer(g, scores) is { } p && p.OpType == op ? g.Var(p.Inputs[0]) : scores;

    private static Node? Producer(Graph g, Var value) => g.Nodes.Find(n => n.Outputs.Contains(value.Name));
}
