namespace Lift.Ort.Onnx.Inference;

/// <summary>
/// An Einsum equation with its ellipses written out: the axes that "..." stands for get letters of their own, aligned at the right as broadcasting aligns them.
/// Without "->" the result is the ellipsis and then, in alphabetical order, the letters that occur once. Source: Einsum in ONNX's operator reference.
/// </summary>
/// <param name="Terms">The letters of each operand, one per axis; a letter that occurs twice in one operand takes its diagonal.</param>
/// <param name="Result">The letters of the result, all different.</param>
internal sealed record EinsumEquation(IReadOnlyList<string> Terms, string Result)
{
    private const string Ellipsis = "...";
    private const string Letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

    /// <summary>A letter that the equation does not use.</summary>
    public char Fresh(int index) => Unused(string.Concat(Terms)).ElementAt(index);

    /// <summary>Reads an equation for operands of these ranks.</summary>
    /// <returns>Null where it is malformed, does not fit the ranks, or needs a rank that is null.</returns>
    public static EinsumEquation? Parse(string equation, IReadOnlyList<int?> ranks)
    {
        string[] sides = equation.Replace(" ", "").Split("->");
        string[] terms = sides[0].Split(',');
        if (sides.Length > 2 || terms.Length != ranks.Count) return null;
        var widths = new int[terms.Length];
        for (int i = 0; i < terms.Length; i++)
        {
            string letters = terms[i].Replace(Ellipsis, "");
            if (ranks[i] is not { } rank || !letters.All(Letters.Contains)) return null;
            widths[i] = rank - letters.Length;
            bool fits = terms[i].Contains(Ellipsis) ? widths[i] >= 0 && letters.Length == terms[i].Length - Ellipsis.Length : widths[i] == 0;
            if (!fits) return null;
        }
        int width = widths.Max();
        string free = string.Concat(Unused(equation).Take(width));
        if (free.Length < width) return null;
        for (int i = 0; i < terms.Length; i++) terms[i] = terms[i].Replace(Ellipsis, free[(width - widths[i])..]);
        string result = sides.Length == 2
            ? sides[1].Replace(Ellipsis, free)
            : free + string.Concat(Letters.Where(c => !free.Contains(c) && terms.Sum(t => t.Count(x => x == c)) == 1));
        bool sound = result.All(c => terms.Any(t => t.Contains(c))) && result.Distinct().Count() == result.Length;
        return sound ? new(terms, result) : null;
    }

    private static IEnumerable<char> Unused(string used) => Letters.Where(c => !used.Contains(c));
}
