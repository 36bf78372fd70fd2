using Lift.Ort.Onnx;

namespace Lift.Ort.Gradients;

/// <summary>Losses over one embedding per row: the rows of an example stand next to each other in the batch (anchor, positive, anchor, positive, …).</summary>
public static partial class Losses
{
    /// <summary>Outputs that hold an embedding per row already, where a model has several.</summary>
    internal static readonly string[] EmbeddingOutputs = ["sentence_embedding", "sentence_embeddings", "text_embeds", "image_embeds", "embeddings", "embedding"];

    /// <summary>Embeddings of two kinds that belong together, where a model gives both.</summary>
    private static readonly (string, string)[] towers =
    [
        ("image_embeds", "text_embeds"), ("image_embeddings", "text_embeddings"), ("image_features", "text_features"), ("query_embeddings", "document_embeddings"), ("query_embedding", "document_embedding"),
    ];

    /// <summary>Both outputs of a model with two towers; null where it has no such pair.</summary>
    internal static IReadOnlyList<string>? Towers(Graph graph)
    {
        foreach (var (a, b) in towers)
        {
            if (graph.Outputs.Exists(o => o.Name == a) && graph.Outputs.Exists(o => o.Name == b)) return [a, b];
        }
        return null;
    }

    /// <summary>
    /// Mean over anchors of −ln softmax(a·c/τ)[own positive], the candidates c being all positives of the batch, then all hard negatives (InfoNCE, also known as
    /// multiple negatives ranking). Over two outputs the mean of both directions (CLIP), where not asked otherwise.
    /// </summary>
    private static Var Contrastive(LossGraph l)
    {
        Graph g = l.Graph;
        Var[] parts = Parts(l, l.Options.Normalize ?? true, l.Options.Group);
        Var? scale = l.Options.Scale is { } name ? Known(g, name).Cast(ElementType.Float).Reshape([]) : null;
        Var loss = Nearest(Similar(parts[0], parts.Length == 2 ? parts[1] : g.Concat(0, parts[1..]))); // [pairs, pairs (parts − 1)]
        return l.Options.Symmetric ?? l.Outputs.Count == 2 ? (loss + Nearest(Similar(parts[1], parts[0]))) * 0.5 : loss;

        Var Similar(Var a, Var b)
        {
            Var s = a.MatMul(b.Transpose(1, 0));
            return scale is null ? s / l.Options.Temperature : s * scale;
        }
    }

    /// <summary>The mean of two cross-entropies: each row's own column, and each column's own row, is right.</summary>
    private static Var Matching(LossGraph l)
    {
        if (l.Scores.Rank is not 2) throw l.Refuse("[batch, batch]");
        if (l.Scores.Shape is { } s && s[0].Value is { } rows && s[1].Value is { } columns && rows != columns) throw l.Refuse("[batch, batch], as many rows as columns");
        return (Nearest(l.Scores) + Nearest(l.Scores.Transpose(1, 0))) * 0.5;
    }

    /// <summary>Mean cross-entropy of [rows, candidates] where row i's own candidate is number i.</summary>
    private static Var Nearest(Var scores)
    {
        Graph g = scores.Graph;
        Var own = g.Add("Range", [g.Scalar(0, ElementType.Int64), scores.ShapeOf().Slice(0, 1, 0).Squeeze(0), g.Scalar(1, ElementType.Int64)]);
        return g.AddMany("SoftmaxCrossEntropyLoss", 2, [scores, own], n => n.With("reduction", "mean").With("ignore_index", Ignore), output: "lift.contrastive")[0];
    }

    /// <summary>A value of the model by name.</summary>
    private static Var Known(Graph g, string name) => g.Initializers.ContainsKey(name) || g.Inputs.Exists(i => i.Name == name) || g.Nodes.Exists(n => n.Outputs.Contains(name)) ? g.Var(name)
        : throw new LiftException($"--scale names '{name}', which is no value of the model; name an output or an initializer that holds the scale (lift inspect lists them).");

    /// <summary>Mean over pairs of (cos(a, b) − label)².</summary>
    private static Var CosineRegression(LossGraph l)
    {
        Var[] parts = Parts(l, normalize: true, 2);
        Var d = (parts[0] * parts[1]).ReduceSum([1], keepDims: false) - l.Labels;
        return MeanOfAll(d * d);
    }

    /// <summary>Mean over threes of max(0, ‖a − p‖ − ‖a − n‖ + margin).</summary>
    private static Var Triplet(LossGraph l)
    {
        Var[] parts = Parts(l, l.Options.Normalize ?? false, 3);
        return MeanOfAll(l.Graph.Add("Relu", [Length(parts[0] - parts[1], false) - Length(parts[0] - parts[2], false) + l.Options.Margin]));
    }

    /// <summary>Anchors, positives and so on, each [examples, width]: an output each, or rows of one output in turn.</summary>
    private static Var[] Parts(LossGraph l, bool normalize, int group)
    {
        if (l.Outputs.Count > 1)
        {
            Var[] parts = [.. l.Outputs.Select(o => Embeddings(l with { Outputs = [o] }, normalize))];
            long?[] widths = [.. parts.Select(p => p.Shape?[-1].Value)];
            if (widths.FirstOrDefault(w => w is not null && widths[0] is not null && w != widths[0]) is { })
                throw new LiftException($"The {l.Form.Name} loss compares embeddings of one width, but they are {string.Join(" and ", l.Outputs.Select(o => $"'{o.Name}' {o.Type}"))}; choose other outputs.");
            return parts;
        }
        Var e = Grouped(l, Embeddings(l, normalize), group); // [examples, group, width]
        return [.. Enumerable.Range(0, group).Select(i => Part(e, i))];
    }

    /// <summary>One embedding per row, [batch, width].</summary>
    private static Var Embeddings(LossGraph l, bool normalize)
    {
        Var e = l.Scores.Rank switch
        {
            2 when l.Options.Pooling is Pooling.Auto or Pooling.None => l.Scores,
            3 when l.Options.Pooling != Pooling.None => Pool(l, l.Options.Pooling),
            2 => throw new LiftException($"--pooling {l.Options.Pooling.ToString().ToLowerInvariant()} needs an output of [batch, length, width], but '{l.Scores.Name}' is {l.Scores.Type}; leave it out, or choose another --output."),
            _ => throw l.Refuse(l.Options.Pooling == Pooling.None ? "[batch, width] (with --pooling none)" : "[batch, width] or [batch, length, width]"),
        };
        return normalize ? e / Length(e, true) : e;
    }

    private static Var Pool(LossGraph l, Pooling pooling)
    {
        Graph g = l.Graph;
        Var x = l.Scores;
        if (pooling == Pooling.Cls) return x.Slice(0, 1, 1).Squeeze(1);
        Dim? positions = x.Shape?[1];
        GraphValue? mask = g.Inputs.Find(i => i.Name == "attention_mask" && i.Type.Rank is 2 or null)
            ?? g.Inputs.Find(i => i.Name.Contains("mask") && i.Type.Shape is { Rank: 2 } s && positions?.Symbol is { } symbol && s[1].Symbol == symbol); // one of two towers
        if (mask is null) return pooling == Pooling.Last ? x.Slice(-1, long.MaxValue, 1).Squeeze(1) : x.ReduceMean([1], keepDims: false);

        Var counted = g.Var(mask.Name).Cast(ElementType.Float), count = counted.ReduceSum([1]);
        if (pooling == Pooling.Last)
        {
            Var at = g.Add("CumSum", [counted, g.Scalar(1, ElementType.Int64)]); // equals the count from the last counted position on
            return (x * (counted * at.EqualTo(count).Cast(ElementType.Float)).Unsqueeze(2)).ReduceSum([1], keepDims: false);
        }
        return (x * counted.Unsqueeze(2)).ReduceSum([1], keepDims: false) / g.Add("Max", [count, count.Like(1e-9)]);
    }

    /// <summary>√Σ x² over the last axis of [rows, width]; never 0, so that its gradient is finite.</summary>
    private static Var Length(Var x, bool keepDims) => x.Graph.Add("Max", [(x * x).ReduceSum([1], keepDims), x.Like(1e-24)]).Sqrt();

    private static Var Grouped(LossGraph l, Var e, int group)
    {
        if (e.Shape?[0].Value is { } rows && rows % group != 0)
            throw new LiftException($"The {l.Form.Name} loss reads {group} rows for each example, but the model's batch is fixed at {rows} ('{l.Scores.Name}' {l.Scores.Type}); export it with an open batch size.");
        return e.Shape?[-1].Value is { } width
            ? e.Reshape(-1, group, width)
            : e.Reshape(l.Graph.Concat(0, l.Graph.Longs(-1, group), e.ShapeOf().Slice(-1, long.MaxValue, 0)));
    }

    private static Var Part(Var grouped, int index) => grouped.Slice(index, index + 1, 1).Squeeze(1);
}
