using Lift.Ort.Onnx;
using Lift.Ort.Operators;
using Lift.Ort.Sessions.Fusions.Attentions;

namespace Lift.Ort.Sessions.Fusions;

/// <summary>
/// softmax(q kᵀ) v becomes one operator, and its whole way back another: the probabilities, a matrix of length times length for each head, are never kept. Only where nothing else
/// reads them: not where they are an output, and not where a bias that is added to the scores is trained.
/// </summary>
internal static class AttentionFusion
{
    public static bool Apply(FusionGraph graph, NodeProto node) => Match(graph, node) is { } found && found.Replace();

    /// <summary>The attention around a softmax; null where there is none that the operator can say.</summary>
    public static FoundAttention? Match(FusionGraph graph, NodeProto node)
    {
        if (AttentionChain.Match(graph, node) is not { } chain) return null;
        if (AttentionGradients.OfSoftmax(graph, chain) is not { } softmaxGrad) return FoundAttention.Of(graph, chain, null);
        return AttentionGradients.Match(graph, chain, softmaxGrad) is { } gradients ? FoundAttention.Of(graph, chain, gradients) : null;
    }
}

/// <summary>An attention that can be replaced: what the operators will read and write.</summary>
internal sealed class FoundAttention
{
    private readonly FusionGraph graph;
    private readonly AttentionChain chain;
    private readonly AttentionGradients? gradients;
    private readonly AttentionOperandPath q, k, v;
    private readonly Lettered y, dy;
    private readonly NodeProto last; // makes y

    private FoundAttention(FusionGraph graph, AttentionChain chain, AttentionGradients? gradients, AttentionOperandPath q, AttentionOperandPath k, AttentionOperandPath v, Lettered y, Lettered dy, NodeProto last) =>
        (this.graph, this.chain, this.gradients, this.q, this.k, this.v, this.y, this.dy, this.last) = (graph, chain, gradients, q, k, v, y, dy, last);

    /// <summary>True where some heads of q share one of k and v.</summary>
    public bool IsGrouped => k.IsGrouped || v.IsGrouped;

    public static FoundAttention? Of(FusionGraph graph, AttentionChain chain, AttentionGradients? gradients)
    {
        string? division = chain.IsRegrouped ? chain.Letters.Y[..^2] : null;
        var q = new AttentionOperandPath(graph, chain.Q, chain.Letters.Q, gradients?.Dq, division).Follow(scales: true);
        var k = new AttentionOperandPath(graph, chain.K, chain.Letters.K, gradients?.Dk, division).Follow(scales: true);
        var v = new AttentionOperandPath(graph, chain.V, chain.Letters.V, gradients?.Dv).Follow(scales: false);
        if (graph.Types.ElementOf(k.Operand.Value) is var element && (element != graph.Types.ElementOf(q.Operand.Value) || element != graph.Types.ElementOf(v.Operand.Value))) return null;
        if (!q.Agrees || !k.Agrees || !v.Agrees || (division is not null && !SameLeads(graph, q.Operand, v.Operand, division))) return null;
        foreach (var (y, last) in Results(graph, chain).Reverse())
        {
            Lettered? dy = gradients is null ? y : MatrixProduct.Sources(graph, gradients.Dy).FirstOrDefault(s => s.Term == y.Term);
            if (dy is null) continue;
            var found = new FoundAttention(graph, chain, gradients, q, k, v, y, dy, last);
            return graph.IsDead(chain.Softmax, [.. found.Replaced]) ? found : null;
        }
        return null;
    }

    /// <summary>True where both values have the same leading axes.</summary>
    private static bool SameLeads(FusionGraph graph, Lettered a, Lettered b, string leads)
    {
        var (one, two) = (graph.Types.ShapeOf(a.Value), graph.Types.ShapeOf(b.Value));
        return one is not null && two is not null && leads.All(l => one[a.Term.IndexOf(l)].SameAs(two[b.Term.IndexOf(l)]));
    }

    /// <summary>The nodes whose values the operators make.</summary>
    private IEnumerable<NodeProto> Replaced => [last, .. new[] { q, k, v }.Select(o => o.Gradient?.By).OfType<NodeProto>()];

    /// <summary>The result, and what transpositions make of it where they alone read it.</summary>
    private static IEnumerable<(Lettered Y, NodeProto Last)> Results(FusionGraph graph, AttentionChain chain)
    {
        var y = new Lettered(chain.Product.Node.Output[0], chain.Product.Result);
        NodeProto last = chain.Product.Node;
        yield return (y, last);
        while (!graph.IsOutput(y.Value) && graph.Readers(y.Value) is [{ OpType: "Transpose" } turn])
        {
            (y, last) = (MatrixProduct.After(turn, y), turn);
            yield return (y, last);
        }
    }

    public bool Replace()
    {
        var (bias, keep, mask) = (Sum(chain.Biases, "bias"), Keep(), Sum(chain.Masks, "mask"));
        string lse = $"{y.Value}/lift/lse";
        string[] masks = [bias, keep, mask];
        (string, object)[] attributes =
        [
            ("scale", (float)(chain.Scale * q.Scale * k.Scale)), ("softcap", (float)chain.Softcap), ("fill", (float)chain.Fill), ("floor", (float)chain.Floor), ("guard", chain.Guard ? 1 : 0),
            ("q_order", q.Order), ("k_order", k.Order), ("v_order", v.Order), ("y_order", y.OrderOf(chain.Letters.Y)!),
        ];
        string[] operands = [q.Operand.Value, k.Operand.Value, v.Operand.Value];
        NodeProto[] replaced = [.. Replaced];
        string[] read = [.. replaced.SelectMany(n => n.Input), .. chain.Scores.Node.Output, .. chain.Product.Node.Output];
        graph.Replace(last, [last], Fusion.Node("Attention", OperatorSchema.OwnDomain, [.. operands, .. masks[..(Array.FindLastIndex(masks, m => m.Length > 0) + 1)]], gradients is null ? [y.Value] : [y.Value, lse], attributes));
        if (gradients is not null)
        {
            string[] outputs = [.. new[] { q, k, v }.Select(o => o.Gradient?.Value.Value ?? "")];
            NodeProto made = Fusion.Node("AttentionGrad", OperatorSchema.OwnDomain, [dy.Value, .. operands, lse, .. masks, y.Value], outputs, attributes);
            made.Name = $"{y.Value}/lift/gradient";
            graph.Replace(gradients.DResult, replaced[1..], made);
        }
        graph.RemoveUnread(read);
        return true;
    }

    /// <summary>One value that holds what several add, in float32 (float64 beside operands of it).</summary>
    private string Sum(List<string> values, string name)
    {
        ElementType wanted = graph.Types.ElementOf(q.Operand.Value) == ElementType.Double ? ElementType.Double : ElementType.Float;
        string sum = "";
        foreach (var (i, given) in values.Index())
        {
            string value = given;
            if (graph.Types.ElementOf(given) is var element && element.IsFloat() && element != wanted)
                graph.Insert(chain.Product.Node, Fusion.Node("Cast", "", [given], [value = $"{y.Value}/lift/{name}{i}/wide"], ("to", (long)wanted)));
            if (i == 0)
            {
                sum = value;
                continue;
            }
            string both = $"{y.Value}/lift/{name}{i}";
            graph.Insert(chain.Product.Node, Fusion.Node("Add", "", [sum, value], [both]));
            sum = both;
        }
        return sum;
    }

    /// <summary>The one condition under which a score stays.</summary>
    private string Keep()
    {
        string all = "";
        foreach (var (i, (value, inverted)) in chain.Keeps.Index())
        {
            string keep = value;
            if (inverted && graph.Maker(value, "Not") is { } not) keep = not.Input[0];
            else if (inverted) graph.Insert(chain.Product.Node, Fusion.Node("Not", "", [value], [keep = $"{y.Value}/lift/keep{i}"]));
            if (i > 0) graph.Insert(chain.Product.Node, Fusion.Node("And", "", [all, keep], [keep = $"{y.Value}/lift/kept{i}"]));
            all = keep;
        }
        return all;
    }
}
