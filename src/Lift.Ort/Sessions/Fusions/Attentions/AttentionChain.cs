using System.Text.RegularExpressions;
using Lift.Ort.Onnx;

namespace Lift.Ort.Sessions.Fusions.Attentions;

/// <summary>
/// The forward pass of one attention, recognised from its softmax: the product of queries and keys, what is done to the scores in between (scale, softcap, biases and masks in
/// any order that <see cref="Operators.Attentions.Attention"/> has), and the product with the values.
/// </summary>
internal sealed partial class AttentionChain
{
    private readonly FusionGraph graph;
    private readonly List<(char Kind, string Value, bool Inverted, double Number)> steps = []; // from the softmax up: s(cale), t(anh), a(dd), w(here), f(loor)
    private readonly List<string> regrouped = []; // values before and after reshapes

    private AttentionChain(FusionGraph graph, NodeProto softmax) => (this.graph, Softmax) = (graph, softmax);

    public NodeProto Softmax { get; }

    public MatrixProduct Scores { get; private set; } = null!;

    public MatrixProduct Product { get; private set; } = null!;

    /// <summary>The probabilities as the product reads them.</summary>
    public Lettered P { get; private set; } = null!;

    public Lettered Q { get; private set; } = null!;

    public Lettered K { get; private set; } = null!;

    public Lettered V { get; private set; } = null!;

    /// <summary>Letters of q, k and v in the operator's order: leading axes, rows, columns.</summary>
    public (string Q, string K, string V, string Y) Letters { get; private set; }

    /// <summary>True where the leading axes of the probabilities are divided otherwise than those of the scores: q and k must be followed to where they are divided in the same way.</summary>
    public bool IsRegrouped { get; private set; }

    public double Scale { get; private set; } = 1;

    public double Softcap { get; private set; }

    public double Fill { get; private set; } = double.NegativeInfinity;

    public double Floor { get; private set; } = double.NegativeInfinity;

    public bool Guard { get; private set; }

    /// <summary>Values that are added before keep decides, one behind the other; where there is none to decide, the last of them is a mask.</summary>
    public List<string> Biases { get; } = [];

    /// <summary>Conditions under which scores stay; inverted ones say under which they do not.</summary>
    public List<(string Value, bool Inverted)> Keeps { get; } = [];

    /// <summary>Values that are added after it.</summary>
    public List<string> Masks { get; } = [];

    public static AttentionChain? Match(FusionGraph graph, NodeProto softmax)
    {
        if (softmax.OpType != "Softmax" || softmax.Domain.Length > 0 || graph.Types.ShapeOf(softmax.Input[0])?.Rank is not { } rank || rank < 2) return null;
        if (FusionGraph.Int(softmax, "axis", -1) is not -1 and var axis && axis != rank - 1) return null;
        var chain = new AttentionChain(graph, softmax);
        return chain.Upwards(softmax.Input[0], 24) && chain.Arrange() && chain.Downwards(softmax.Output[0], 6) && chain.Fit() ? chain : null;
    }

    /// <summary>From the softmax to the product of queries and keys.</summary>
    private bool Upwards(string value, int depth)
    {
        if (depth == 0 || graph.Maker(value) is not { } node) return false;
        if (MatrixProduct.Of(graph, node) is { } product)
        {
            Scores = product;
            return true;
        }
        if (node.Domain.Length > 0) return false;
        switch (node.OpType)
        {
            case "Identity" or "Cast":
                return (node.OpType == "Identity" || graph.Types.ElementOf(node.Input[0]).IsFloat()) && Upwards(node.Input[0], depth - 1);
            case "Dropout":
                return !IsActive(node) && Upwards(node.Input[0], depth - 1);
            case "Reshape":
                return Regroups(node) && Upwards(node.Input[0], depth - 1);
            case "Tanh":
                return With(('t', "", false, 0), node.Input[0], depth);
            case "Mul":
                return node.Input.Index().Any(i => graph.Types.Scalar(i.Item) is { } c && With(('s', "", false, c), node.Input[1 - i.Index], depth));
            case "Div":
                return graph.Types.Scalar(node.Input[1]) is { } divisor && With(('s', "", false, 1 / divisor), node.Input[0], depth);
            case "Max":
                return node.Input.Count == 2 && node.Input.Index().Any(i => graph.Types.Scalar(i.Item) is { } c && c < -1e4 && With(('f', "", false, c), node.Input[1 - i.Index], depth));
            case "Add":
                return node.Input.Index().Any(i => Spreads(i.Item, node.Input[1 - i.Index])
                    && (graph.Types.Uniform(i.Item) == 0 ? Upwards(node.Input[1 - i.Index], depth - 1) : With(('a', i.Item, false, 0), node.Input[1 - i.Index], depth)));
            case "Where":
                return (graph.Types.Uniform(node.Input[2]) is { } below && Spreads(node.Input[0], node.Input[1]) && With(('w', node.Input[0], false, below), node.Input[1], depth))
                    || (graph.Types.Uniform(node.Input[1]) is { } above && Spreads(node.Input[0], node.Input[2]) && With(('w', node.Input[0], true, above), node.Input[2], depth));
            default:
                return false;
        }
    }

    private bool With((char, string, bool, double) step, string value, int depth)
    {
        steps.Add(step);
        if (Upwards(value, depth - 1)) return true;
        steps.RemoveAt(steps.Count - 1);
        return false;
    }

    /// <summary>True where a mask is certainly no larger than what it is laid over.</summary>
    private bool Spreads(string mask, string scores)
    {
        if (graph.Types.ShapeOf(mask) is not { } m || graph.Types.ShapeOf(scores) is not { } s || m.Rank > s.Rank) return false;
        return m.Dims.Reverse().Zip(s.Dims.Reverse()).All(d => Fits(d.First, d.Second));
    }

    /// <summary>
    /// True where a dimension is 1 or the same in every run that does not fail by itself: the same number or name, against a number above 1, or cut to it: min(64, sequence).
    /// </summary>
    private static bool Fits(Dim small, Dim large) =>
        small.Value == 1 || small.SameAs(large) || large.Value > 1
        || (large.Symbol is { } symbol && small.Symbol is { } cut && cut.StartsWith("min(", StringComparison.Ordinal) && cut.Contains($"‹{symbol}›", StringComparison.Ordinal));

    /// <summary>Notes a reshape, which may only divide the leading axes in another way.</summary>
    private bool Regroups(NodeProto reshape)
    {
        regrouped.AddRange(reshape.Input[0], reshape.Output[0]);
        return graph.Types.ShapeOf(reshape.Input[0]) is { Rank: > 2 } && graph.Types.ShapeOf(reshape.Output[0]) is { Rank: > 2 };
    }

    /// <summary>True where a value's last two axes are those of the scores, or unknown.</summary>
    private bool HasMatrices(string value)
    {
        Shape of = graph.Types.ShapeOf(value)!, scores = graph.Types.ShapeOf(Scores.Node.Output[0])!;
        return new[] { -2, -1 }.All(axis => of[axis].SameAs(scores[axis]) || of[axis].Symbol is null or ['d', 'i', 'm', '(', ..] && of[axis].Value is null);
    }

    private bool IsActive(NodeProto dropout) =>
        dropout.Input.Count > 2 && dropout.Input[2].Length > 0 && graph.Types.Longs(dropout.Input[2]) is not [0] && !(dropout.Input[1].Length > 0 && graph.Types.Uniform(dropout.Input[1]) == 0);

    /// <summary>The steps in the operator's order: scales, softcap, biases, keep, masks, floor. A scale behind keep scales what it fills in, too.</summary>
    private bool Arrange()
    {
        string kinds = string.Concat(steps.Select(s => s.Kind).Reverse());
        if (!Order().IsMatch(kinds)) return false;
        bool seen = false, capped = false;
        foreach (var (kind, value, inverted, number) in steps.AsEnumerable().Reverse())
        {
            switch (kind)
            {
                case 't':
                    capped = true;
                    break;
                case 's' when seen:
                    (Scale, Fill) = (Scale * number, Fill * number);
                    if (number <= 0) return false;
                    break;
                case 's':
                    // c · tanh(scale / c · q k): what stands before the tanh holds the division by c
                    Scale *= number;
                    if (capped) Softcap = number;
                    break;
                case 'a':
                    (seen ? Masks : Biases).Add(value);
                    break;
                case 'w':
                    if (seen && number != Fill) return false;
                    (seen, Fill) = (true, number);
                    Keeps.Add((value, inverted));
                    break;
                case 'f':
                    Floor = number;
                    break;
            }
        }
        if (Keeps.Count == 0 && Biases.Count > 1)
        {
            Masks.Add(Biases[^1]);
            Biases.RemoveAt(Biases.Count - 1);
        }
        return (!capped || Softcap > 0) && SameRank(Biases) && SameRank(Masks) && SameRank([.. Keeps.Select(k => k.Value)]);
    }

    /// <summary>True where values can be joined to one before they are laid over the scores.</summary>
    private bool SameRank(List<string> values) => values.Count < 2 || (regrouped.Count == 0 && values.All(v => graph.Types.ShapeOf(v) is not null));

    /// <summary>From the softmax to the product with the values.</summary>
    private bool Downwards(string value, int depth)
    {
        if (depth == 0) return false;
        foreach (NodeProto node in graph.Readers(value))
        {
            if (MatrixProduct.Of(graph, node) is { } product)
            {
                foreach (var (p, v) in product.Sides)
                {
                    if (p.Value != value || product.Depth != p.Term[^1]) continue; // the other way round it is a gradient
                    (Product, P, V) = (product, p, v);
                    return true;
                }
            }
            if (node.Domain.Length > 0) continue;
            bool goesOn = node.OpType switch
            {
                "Cast" => graph.Types.ElementOf(node.Output[0]).IsFloat(),
                "Identity" => true,
                "Dropout" => !IsActive(node),
                "Reshape" => Regroups(node),
                "Where" => node.Input[2] == value && graph.Types.Uniform(node.Input[1]) == 0 && graph.Maker(node.Input[0], "IsNaN")?.Input[0] == value,
                _ => false,
            };
            if (!goesOn) continue;
            bool guarded = Guard;
            Guard |= node.OpType == "Where";
            if (Downwards(node.Output[0], depth - 1)) return true;
            Guard = guarded;
        }
        return false;
    }

    /// <summary>Finds out which operand is what, and whether their axes are the operator's.</summary>
    private bool Fit()
    {
        if (Scores.Depth is not { } depth || Scores.Result.Length < 2) return false;
        (char rows, char columns) = (Scores.Result[^2], Scores.Result[^1]);
        (Q, K) = Scores.Left.Term.Contains(rows) ? (Scores.Left, Scores.Right) : (Scores.Right, Scores.Left);
        string leads = Scores.Result[..^2];
        var letters = (Q: $"{leads}{rows}{depth}", K: $"{leads}{columns}{depth}");
        if (Q.OrderOf(letters.Q) is null || K.OrderOf(letters.K) is null || Q.Term.Contains(columns) || !regrouped.All(HasMatrices)) return false;
        char[] width = [.. V.Term.Except(P.Term)];
        if (width.Length != 1) return false;
        string around = P.Term[..^2];
        Letters = (letters.Q, letters.K, $"{around}{P.Term[^1]}{width[0]}", $"{around}{P.Term[^2]}{width[0]}");
        IsRegrouped = P.Term.Length != Scores.Result.Length;
        if (IsRegrouped && leads.Any(l => Q.Term.IndexOf(l) > Q.Term.Length - 3)) return false;
        if (V.OrderOf(Letters.V) is null || new Lettered("", Product.Result).OrderOf(Letters.Y) is null) return false;
        Scale *= Scores.Alpha;
        return Product.Alpha == 1 && OwnLeads();
    }

    /// <summary>The leading axes of the scores are those of q: none of them comes from k or v alone.</summary>
    private bool OwnLeads()
    {
        Shape q = graph.Types.ShapeOf(Q.Value)!, k = graph.Types.ShapeOf(K.Value)!, v = graph.Types.ShapeOf(V.Value)!;
        for (int i = 0; i < Letters.Q.Length - 2; i++)
        {
            if (IsRegrouped && !Fits(k[K.Term.IndexOf(Letters.K[i])], q[Q.Term.IndexOf(Letters.Q[i])])) return false;
            if (IsRegrouped) continue; // v has other axes: they are compared with q's where those are divided in the same way
            Dim own = q[Q.Term.IndexOf(Letters.Q[i])];
            if (!Fits(k[K.Term.IndexOf(Letters.K[i])], own) || !Fits(v[V.Term.IndexOf(Letters.V[i])], own)) return false;
        }
        return true;
    }

    [GeneratedRegex("^s*(ts)?(a*|w+s*)w*a*f?$")]
    private static partial Regex Order();
}
