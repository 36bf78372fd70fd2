using Lift.Ort.Onnx;

namespace Lift.Ort.Gradients;

/// <summary>Losses over one embedding per row: the rows of an example stand next to each other in the batch (anchor, positive, anchor, positive, …).</summary>
public static partial class Losses
{
    /// <summary>Outputs that hold an embedding per row already, where a model has several.</summary>
    internal static readonly string[] EmbeddingOutputs = ["sentence_embedding", "sentence_embeddings", "text_embeds", "image_embeds", "embeddings", "embedding"];

    /// <summary>
    /// Mean over anchors of −ln softmax(a·c/τ)[own positive], the candidates c being all positives of the batch, then all hard negatives (InfoNCE, also known as
    /// multiple negatives ranking).
    /// </summary>
    private static Var Contrastive(LossGraph l)
    {
        Graph g = l.Graph;
        int group = l.Options.Group;
        Var e = Grouped(l, Embeddings(l, l.Options.Normalize ?? true), group); // [pairs, group, width]
        Var[] parts = [.. Enumerable.Range(0, group).Select(i => Part(e, i))];
        Var scores = parts[0].MatMul(g.Concat(0, parts[1..]).Transpose(1, 0)) / l.Options.Temperature; // [pairs, pairs (group − 1)]
        Var own = g.Add("Range", [g.Scalar(0, ElementType.Int64), parts[0].ShapeOf().Slice(0, 1, 0).Squeeze(0), g.Scalar(1, ElementType.Int64)]);
        Var loss = Nearest(scores);
        return l.Options.Symmetric ? (loss + Nearest(parts[1].MatMul(parts[0].Transpose(1, 0)) / l.Options.Temperature)) * 0.5 : loss;

        Var Nearest(Var s) => g.AddMany("SoftmaxCrossEntropyLoss", 2, [s, own], n => n.With("reduction", "mean").With("ignore_index", Ignore), output: "lift.contrastive")[0];
    }

    /// <summary>Mean over pairs of (cos(a, b) − label)².</summary>
    private static Var CosineRegression(LossGraph l)
    {
        Var e = Grouped(l, Embeddings(l, normalize: true), 2);
        Var d = (Part(e, 0) * Part(e, 1)).ReduceSum([1], keepDims: false) - l.Labels;
        return MeanOfAll(d * d);
    }

    /// <summary>Mean over threes of max(0, ‖a − p‖ − ‖a − n‖ + margin).</summary>
    private static Var Triplet(LossGraph l)
    {
        Var e = Grouped(l, Embeddings(l, l.Options.Normalize ?? false), 3), anchor = Part(e, 0);
        return MeanOfAll(l.Graph.Add("Relu", [Length(anchor - Part(e, 1), false) - Length(anchor - Part(e, 2), false) + l.Options.Margin]));
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
        GraphValue? mask = g.Inputs.Find(i => i.Name == "attention_mask" && i.Type.Rank is 2 or null);
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
