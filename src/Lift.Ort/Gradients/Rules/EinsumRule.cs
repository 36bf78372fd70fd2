using Lift.Ort.Onnx;

namespace Lift.Ort.Gradients.Rules;

/// <summary>The rule of Einsum: the gradient of each operand is an Einsum of dy with the other operands.</summary>
internal static class EinsumRule
{
    /// <summary>y = Σ x₀[i₀] x₁[i₁] … ⇒ dxₖ[iₖ] = Σ dy · Π of the others; an index that only xₖ has was summed, so dxₖ is repeated along it</summary>
    [Gradient("Einsum")]
    public static Var?[] Einsum(Backward b)
    {
        string equation = b.Node.String("equation").Replace(" ", "");
        string[] sides = equation.Split("->");
        string[] terms = sides[0].Split(',');
        string result = sides.Length > 1 ? sides[1] : string.Concat(sides[0].Replace(",", "").GroupBy(c => c).Where(g => g.Count() == 1).Select(g => g.Key).Order());
        if (equation.Contains('.')) throw b.Refuse($"the ellipsis in its equation '{equation}' is not supported");
        if (terms.Append(result).Any(t => t.Distinct().Count() != t.Length)) throw b.Refuse($"its equation '{equation}' repeats an index within one operand, which is not supported");
        return [.. terms.Select((_, k) => b.Needs(k) ? Operand(b, terms, result, k) : null)];
    }

    private static Var Operand(Backward b, string[] terms, string result, int k)
    {
        int[] others = [.. Enumerable.Range(0, terms.Length).Where(i => i != k)];
        string known = string.Concat(terms[k].Where(c => result.Contains(c) || others.Any(i => terms[i].Contains(c))));
        string equation = $"{string.Join(',', others.Select(i => terms[i]).Prepend(result))}->{known}";
        Var dx = b.Graph.Add("Einsum", [b.Dy, .. others.Select(b.X)], n => n.With("equation", equation));
        long[] summed = [.. terms[k].Select((c, axis) => (c, axis)).Where(p => !known.Contains(p.c)).Select(p => (long)p.axis)];
        return summed.Length == 0 ? dx : dx.Unsqueeze(summed).Expand(b.Dims(b.X(k)));
    }
}
