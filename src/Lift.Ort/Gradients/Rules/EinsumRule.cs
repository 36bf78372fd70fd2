using Lift.Ort.Onnx;
using Lift.Ort.Onnx.Inference;

namespace Lift.Ort.Gradients.Rules;

/// <summary>The rule of Einsum: the gradient of each operand is an Einsum of dy with the other operands.</summary>
internal static class EinsumRule
{
    /// <summary>
    /// y = Σ x₀[i₀] x₁[i₁] … ⇒ dxₖ[iₖ] = Σ dy · Π of the others; an index that only xₖ has was summed, so dxₖ is repeated along it;
    /// one that xₖ has twice was its diagonal, so dxₖ is 0 beside it.
    /// </summary>
    [Gradient("Einsum")]
    public static Var?[] Einsum(Backward b)
    {
        string text = b.Node.String("equation");
        int?[] ranks = [.. Enumerable.Range(0, b.InputCount).Select(i => b.X(i).Rank)];
        EinsumEquation e = EinsumEquation.Parse(text, ranks) ?? throw b.Refuse($"its equation '{text}' does not fit operands of rank {string.Join(", ", ranks.Select(r => r?.ToString() ?? "unknown"))}");
        return [.. e.Terms.Select((_, k) => b.Needs(k) ? Operand(b, e, k) : null)];
    }

    private static Var Operand(Backward b, EinsumEquation e, int k)
    {
        Var x = b.X(k);
        string term = e.Terms[k], axes = string.Concat(term.Distinct());
        int[] others = [.. Enumerable.Range(0, e.Terms.Count).Where(i => i != k)];
        string known = string.Concat(axes.Where(c => e.Result.Contains(c) || others.Any(i => e.Terms[i].Contains(c))));
        string equation = $"{string.Join(',', others.Select(i => e.Terms[i]).Prepend(e.Result))}->{known}";
        Var dx = equation == $"{e.Result}->{e.Result}" ? b.Dy : b.Graph.Add("Einsum", [b.Dy, .. others.Select(b.X)], n => n.With("equation", equation));

        long[] summed = [.. axes.Index().Where(p => !known.Contains(p.Item)).Select(p => (long)p.Index)];
        if (summed.Length > 0) dx = dx.Unsqueeze(summed);
        if (axes == term) return Broadcasting.SumTo(summed.Length > 0 ? dx.Expand(b.Dims(x)) : dx, x);

        Var dims = b.Dims(x).Gather(b.Graph.Longs([.. axes.Select(c => (long)term.IndexOf(c))]));
        return OnDiagonal(b, x, summed.Length > 0 ? dx.Expand(dims) : dx, e, term);
    }

    /// <summary>Spreads a gradient over the axes that the operand has twice: multiplies it by the identity matrix of both.</summary>
    private static Var OnDiagonal(Backward b, Var x, Var dx, EinsumEquation e, string term)
    {
        var left = new List<string> { string.Concat(term.Distinct()) };
        var operands = new List<Var> { dx };
        char[] spread = term.ToCharArray();
        for (int axis = 0, used = 0; axis < term.Length; axis++)
        {
            int first = term.IndexOf(term[axis]);
            if (first == axis) continue;
            Var size = b.DimOf(x, axis);
            spread[axis] = e.Fresh(used++);
            operands.Add(b.Graph.Add("EyeLike", [b.Graph.Concat(0, size, size).Filled(0)]).Cast(dx.Element));
            left.Add($"{term[first]}{spread[axis]}");
        }
        return b.Graph.Add("Einsum", operands, n => n.With("equation", $"{string.Join(',', left)}->{new string(spread)}"));
    }
}
