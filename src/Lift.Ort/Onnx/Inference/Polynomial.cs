using System.Text;

namespace Lift.Ort.Onnx.Inference;

/// <summary>
/// A dimension as a polynomial over named dimensions ("atoms", all of them 0 or more): 2·batch·sequence − 1. Its text is canonical, so that
/// equal expressions are equal symbols: <c>batch*sequence</c> whichever factor came first. Atoms that are no plain names stand in ‹›.
/// </summary>
internal sealed class Polynomial
{
    private const int MaxTerms = 12, MaxText = 240;

    private readonly SortedDictionary<string, long> terms = new(StringComparer.Ordinal); // "a*b" → coefficient; "" is the constant

    public static Polynomial Constant(long value)
    {
        var p = new Polynomial();
        p.Add("", value);
        return p;
    }

    /// <summary>The polynomial that a dimension stands for, or null for an unknown one.</summary>
    public static Polynomial? Of(Dim dim)
    {
        if (dim.Value is { } value) return Constant(value);
        if (dim.Symbol is not { } symbol) return null;
        return Parse(symbol) ?? Atom(symbol);
    }

    /// <summary>True when no value of the atoms can make it negative.</summary>
    public bool IsNonNegative => terms.Values.All(c => c >= 0);

    /// <summary>Its value when it has no atoms.</summary>
    public long? Value => terms.Count == 0 ? 0 : terms.Count == 1 && terms.TryGetValue("", out long c) ? c : null;

    /// <summary>The value at which all atoms are zero.</summary>
    public long AtZero => terms.GetValueOrDefault("");

    /// <summary>The canonical dimension; unknown when the expression has grown beyond use.</summary>
    public Dim ToDim()
    {
        if (Value is { } value) return value;
        string text = ToString();
        return terms.Count > MaxTerms || text.Length > MaxText ? Dim.Unknown : IsQuotedAtom(text) ? text[1..^1] : text;
    }

    public static Polynomial operator +(Polynomial a, Polynomial b)
    {
        var sum = new Polynomial();
        foreach (var (m, c) in a.terms.Concat(b.terms)) sum.Add(m, c);
        return sum;
    }

    public static Polynomial operator *(Polynomial a, Polynomial b)
    {
        var product = new Polynomial();
        foreach (var (m, c) in a.terms)
        {
            foreach (var (n, d) in b.terms) product.Add(Times(m, n), checked(c * d));
        }
        return product;
    }

    public static Polynomial operator -(Polynomial a, Polynomial b) => a + (b * Constant(-1));

    /// <summary>The quotient where the division leaves no remainder for any value of the atoms; else null. Long division in lexicographic order.</summary>
    public Polynomial? DivideExactly(Polynomial divisor)
    {
        if (divisor.terms.Count == 0) return null;
        var quotient = new Polynomial();
        Polynomial rest = this;
        string lead = divisor.Leading();
        for (int steps = 0; rest.terms.Count > 0; steps++)
        {
            string top = rest.Leading();
            long coefficient = rest.terms[top], by = divisor.terms[lead];
            if (steps > 64 || coefficient % by != 0 || Without(top, lead) is not { } monomial) return null;
            var part = new Polynomial();
            part.Add(monomial, coefficient / by);
            quotient += part;
            rest -= part * divisor;
        }
        return quotient;
    }

    public override string ToString()
    {
        if (terms.Count == 0) return "0";
        var text = new StringBuilder();
        foreach (var (monomial, c) in terms.Skip(terms.ContainsKey("") ? 1 : 0).Concat(terms.Where(t => t.Key.Length == 0)))
        {
            long size = text.Length == 0 ? c : Math.Abs(c);
            if (text.Length > 0) text.Append(c < 0 ? " - " : " + ");
            text.Append(monomial.Length == 0 ? size.ToString() : size == 1 ? monomial : $"{size}*{monomial}");
        }
        return text.ToString();
    }

    private static Polynomial Atom(string name)
    {
        var p = new Polynomial();
        p.Add(IsPlain(name) ? name : $"‹{name}›", 1);
        return p;
    }

    /// <summary>Reads a canonical text (also one that an exporter wrote, as in "past + 1"); null where it is no sum of products of names and numbers.</summary>
    private static Polynomial? Parse(string text)
    {
        var p = new Polynomial();
        foreach (string signed in Split(text.Replace(" - ", " + -"), " + "))
        {
            string term = signed;
            long coefficient = 1;
            if (term.StartsWith('-') && term.Length > 1 && !char.IsDigit(term[1])) (coefficient, term) = (-1, term[1..]);
            var atoms = new List<string>();
            foreach (string factor in Split(term, "*"))
            {
                if (long.TryParse(factor, out long number)) coefficient *= number;
                else if (IsQuotedAtom(factor) || IsPlain(factor)) atoms.Add(factor);
                else return null;
            }
            atoms.Sort(StringComparer.Ordinal);
            p.Add(string.Join('*', atoms), coefficient);
        }
        return p;
    }

    private static List<string> Split(string text, string separator)
    {
        var parts = new List<string>();
        int depth = 0, start = 0;
        for (int i = 0; i < text.Length; i++)
        {
            if (text[i] == '‹') depth++;
            else if (text[i] == '›') depth--;
            else if (depth == 0 && string.CompareOrdinal(text, i, separator, 0, separator.Length) == 0)
            {
                parts.Add(text[start..i]);
                start = i + separator.Length;
                i = start - 1;
            }
        }
        parts.Add(text[start..]);
        return parts;
    }

    private static bool IsPlain(string name) => name.Length > 0 && !long.TryParse(name, out _) && !name.StartsWith('-') && name.All(c => char.IsLetterOrDigit(c) || "_.:/#-".Contains(c));

    private static bool IsQuotedAtom(string text)
    {
        if (text.Length < 3 || text[0] != '‹' || text[^1] != '›') return false;
        int depth = 0;
        for (int i = 0; i < text.Length; i++)
        {
            depth += text[i] == '‹' ? 1 : text[i] == '›' ? -1 : 0;
            if (depth == 0 && i < text.Length - 1) return false;
        }
        return depth == 0;
    }

    private static string Times(string a, string b)
    {
        if (a.Length == 0 || b.Length == 0) return a + b;
        List<string> atoms = [.. Split(a, "*"), .. Split(b, "*")];
        atoms.Sort(StringComparer.Ordinal);
        return string.Join('*', atoms);
    }

    /// <summary><paramref name="monomial"/> divided by <paramref name="divisor"/>, or null.</summary>
    private static string? Without(string monomial, string divisor)
    {
        if (divisor.Length == 0) return monomial;
        List<string> atoms = monomial.Length == 0 ? [] : Split(monomial, "*");
        return Split(divisor, "*").All(atoms.Remove) ? string.Join('*', atoms) : null;
    }

    /// <summary>The greatest monomial in lexicographic order: more of the first atom wins.</summary>
    private string Leading() => terms.Keys.Aggregate((a, b) => Greater(a, b) ? a : b);

    private static bool Greater(string a, string b)
    {
        List<string> x = a.Length == 0 ? [] : Split(a, "*"), y = b.Length == 0 ? [] : Split(b, "*");
        for (int i = 0; i < Math.Min(x.Count, y.Count); i++)
        {
            int order = string.CompareOrdinal(x[i], y[i]);
            if (order != 0) return order < 0;
        }
        return x.Count > y.Count;
    }

    private void Add(string monomial, long coefficient)
    {
        long sum = checked(terms.GetValueOrDefault(monomial) + coefficient);
        if (sum == 0) terms.Remove(monomial);
        else terms[monomial] = sum;
    }
}
