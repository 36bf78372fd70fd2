namespace Lift.Ort.Sessions.Fusions.Attentions;

/// <summary>
/// What the backward pass of one attention computes, found by what it reads: dP = dY Vᵀ in front of the softmax's gradient, and behind it the products of dS with keys and
/// queries. The element-wise steps between are those of the forward pass, backwards: they are not read, only that one chain leads through them.
/// </summary>
/// <param name="DResult">The product that makes dP: from here on the gradient of the result is there.</param>
/// <param name="Dy">The gradient of the result, with the letters of its axes.</param>
/// <param name="Dq">The gradient of q, its letters, and the node that makes it; null where q needs none. Dk and Dv: the same of k and v.</param>
internal sealed record AttentionGradients(NodeProto DResult, Lettered Dy, Gradient? Dq, Gradient? Dk, Gradient? Dv)
{
    /// <summary>The softmax's gradient in a training graph; null in one without.</summary>
    public static NodeProto? OfSoftmax(FusionGraph graph, AttentionChain chain) =>
        graph.Readers(chain.Softmax.Output[0]).FirstOrDefault(n => n.OpType is "SoftmaxGrad_13" or "SoftmaxGrad" && n.Input[1] == chain.Softmax.Output[0]);

    public static AttentionGradients? Match(FusionGraph graph, AttentionChain chain, NodeProto softmaxGrad)
    {
        if (ProductBehind(graph, softmaxGrad.Input[0], 8) is not { } dp || dp.Alpha != 1) return null;
        var (rows, columns, width) = (chain.Letters.Y[^2], chain.Letters.V[^2], chain.Letters.V[^1]);
        string leads = chain.Letters.Y[..^2];
        foreach (var (dy, v) in dp.Sides)
        {
            if (!SameOrigin(graph, v, chain.V) || dp.Result.Length < 2 || dp.Depth is not { } depth) continue;
            if (!dy.Term.Contains(dp.Result[^2]) || v.Term.Contains(dp.Result[^2]) || dy.OrderOf($"{dp.Result[..^2]}{dp.Result[^2]}{depth}") is null) continue;
            Lettered gradient = Rename(dy, $"{dp.Result[..^2]}{dp.Result[^2]}{depth}", chain.Letters.Y);
            if (Behind(graph, softmaxGrad.Output[0], 12) is not { } ds) return null;
            Gradient? dq = null, dk = null;
            foreach (NodeProto node in ProductsOf(graph, ds))
            {
                if (MatrixProduct.Of(graph, node) is not { } product || Side(graph, product, ds, chain.Scores.Result.Length) is not var (own, other) || Math.Abs(product.Alpha - chain.Scores.Alpha) > 1e-6) return null;
                char row = own[^2], column = own[^1];
                char[] free = [.. other.Term.Except(own)];
                if (free.Length != 1) return null;
                if (product.Depth == column && SameOrigin(graph, other, chain.K))
                {
                    if (dq is not null) return null;
                    dq = Gradient.Of(product, $"{own[..^2]}{row}{free[0]}", chain.Letters.Q);
                }
                else if (product.Depth == row && SameOrigin(graph, other, chain.Q))
                {
                    if (dk is not null) return null;
                    dk = Gradient.Of(product, $"{own[..^2]}{column}{free[0]}", chain.Letters.K);
                }
                else return null;
            }
            if (!TryValues(graph, chain, dy, out Gradient? dv)) return null;
            return dq is null && dk is null && dv is null ? null : new(dp.Node, gradient, dq, dk, dv);
        }
        return null;
    }

    /// <summary>dv = pᵀ dy, where it is computed; false where the probabilities have another such reader.</summary>
    private static bool TryValues(FusionGraph graph, AttentionChain chain, Lettered dy, out Gradient? dv)
    {
        dv = null;
        foreach (NodeProto node in ProductsOf(graph, chain.P.Value))
        {
            if (ReferenceEquals(node, chain.Product.Node)) continue;
            if (MatrixProduct.Of(graph, node) is not { Alpha: 1 } product || Side(graph, product, chain.P.Value, chain.P.Term.Length) is not var (own, other)) return false;
            char[] free = [.. other.Term.Except(own)];
            if (dv is not null || free.Length != 1 || product.Depth != own[^2] || !SameOrigin(graph, dy, other)) return false;
            dv = Gradient.Of(product, $"{own[..^2]}{own[^1]}{free[0]}", chain.Letters.V);
            if (dv is null) return false;
        }
        return true;
    }

    /// <summary>True where both are one value, but for transpositions.</summary>
    private static bool SameOrigin(FusionGraph graph, Lettered a, Lettered b) => MatrixProduct.Sources(graph, a).Any(s => MatrixProduct.Sources(graph, b).Any(t => t.Value == s.Value));

    /// <summary>Products that read a value, or what a transposition makes of it.</summary>
    private static IEnumerable<NodeProto> ProductsOf(FusionGraph graph, string value)
    {
        foreach (NodeProto node in graph.Readers(value))
        {
            if (MatrixProduct.Of(graph, node) is not null) yield return node;
            else if (node.OpType == "Transpose")
                foreach (NodeProto next in ProductsOf(graph, node.Output[0])) yield return next;
        }
    }

    /// <summary>The operand of a product that comes from <paramref name="value"/>: the letters of the value's own axes, and the other operand.</summary>
    private static (string Own, Lettered Other)? Side(FusionGraph graph, MatrixProduct product, string value, int rank)
    {
        foreach (var (side, other) in product.Sides)
            if (MatrixProduct.Sources(graph, side).FirstOrDefault(s => s.Value == value) is { } own && own.Term.Length == rank) return (own.Term, other);
        return null;
    }

    /// <summary>Upwards through what the guard, casts and reshapes became, to the product.</summary>
    private static MatrixProduct? ProductBehind(FusionGraph graph, string value, int depth)
    {
        if (depth == 0 || graph.Maker(value) is not { } node) return null;
        if (MatrixProduct.Of(graph, node) is { } product) return product;
        return node.OpType switch
        {
            "Cast" or "Identity" or "Reshape" or "DropoutGrad" => ProductBehind(graph, node.Input[0], depth - 1),
            "Where" => ProductBehind(graph, graph.Types.Uniform(node.Input[1]) == 0 ? node.Input[2] : node.Input[1], depth - 1),
            _ => null,
        };
    }

    /// <summary>Downwards along the one chain of element-wise steps to the gradient of the first product.</summary>
    private static string? Behind(FusionGraph graph, string value, int depth)
    {
        if (depth == 0 || graph.IsOutput(value)) return null;
        NodeProto[] readers = [.. graph.Readers(value).Where(n => n.OpType is not ("Shape" or "Size"))];
        if (readers.Length > 0 && readers.All(n => MatrixProduct.Of(graph, n) is not null || n.OpType == "Transpose")) return value;
        return readers is [{ OpType: "Mul" or "Div" or "Where" or "Cast" or "Identity" or "Reshape" or "TanhGrad" or "DropoutGrad" } next] ? Behind(graph, next.Output[0], depth - 1) : null;
    }

    /// <summary>The value with each letter of <paramref name="from"/> replaced by that of <paramref name="to"/>.</summary>
    private static Lettered Rename(Lettered value, string from, string to) => new(value.Value, string.Concat(value.Term.Select(l => to[from.IndexOf(l)])));
}

/// <summary>The gradient of an operand: a value with letters, and the node that makes it.</summary>
internal sealed record Gradient(Lettered Value, NodeProto By)
{
    /// <summary>The result of a product whose letters <paramref name="from"/> are called <paramref name="to"/>; null where it has others.</summary>
    public static Gradient? Of(MatrixProduct product, string from, string to) =>
        product.Result.Length != from.Length || product.Result.Any(l => !from.Contains(l)) ? null
        : new(new(product.Node.Output[0], string.Concat(product.Result.Select(l => to[from.IndexOf(l)]))), product.Node);
}
