namespace Lift.Ort.Onnx.Inference;

/// <summary>
/// Integer arithmetic on dimensions that may be symbols. Every result is certain or unknown. One assumption: an axis that is sliced is at least
/// as long as the fixed part that the slice takes off (a model fed with less has empty tensors).
/// </summary>
internal static class DimMath
{
    public static Dim Add(Dim a, Dim b) => Combine(a, b, (x, y) => x + y);

    public static Dim Sub(Dim a, Dim b) => Combine(a, b, (x, y) => x - y);

    public static Dim Mul(Dim a, Dim b) => a.Value == 0 || b.Value == 0 ? 0 : Combine(a, b, (x, y) => x * y);

    public static Dim Product(IEnumerable<Dim> dims) => dims.Aggregate((Dim)1, Mul);

    public static Dim Sum(IEnumerable<Dim> dims) => dims.Aggregate((Dim)0, Add);

    /// <summary>a / b where the division is known to leave no remainder; unknown otherwise.</summary>
    public static Dim Quotient(Dim a, Dim b) => Combine(a, b, (x, y) => x.DivideExactly(y));

    /// <summary>⌊a / b⌋ for non-negative a and positive b, as ONNX's Div on integers; unknown for signs it cannot tell.</summary>
    public static Dim Floor(Dim a, Dim b)
    {
        if (b.Value == 0) return Dim.Unknown;
        if (a.Value is { } x && b.Value is { } y) return x / y;
        Dim exact = Quotient(a, b);
        if (exact.IsKnown || exact.Symbol is not null) return exact;
        return IsNonNegative(a) && b.Value > 0 ? Function("floor", a, "/", b) : Dim.Unknown;
    }

    /// <summary>⌈a / b⌉ for a positive number b.</summary>
    public static Dim Ceiling(Dim a, long b) => Floor(Add(a, b - 1), b);

    public static Dim Min(Dim a, Dim b) => IsNonNegative(Sub(b, a)) ? a : IsNonNegative(Sub(a, b)) ? b : Choice("min", a, b);

    public static Dim Max(Dim a, Dim b) => IsNonNegative(Sub(b, a)) ? b : IsNonNegative(Sub(a, b)) ? a : Choice("max", a, b);

    /// <summary>True when it is certainly 0 or more.</summary>
    public static bool IsNonNegative(Dim a) => Try(() => Polynomial.Of(a)?.IsNonNegative) ?? false;

    /// <summary>Whether a equals b, or null when that depends on the run.</summary>
    public static bool? AreEqual(Dim a, Dim b)
    {
        Polynomial? difference = Try(() => Polynomial.Of(a) is { } x && Polynomial.Of(b) is { } y ? x - y : null);
        if (difference is null) return null;
        if (difference.Value is { } value) return value == 0;
        bool above = difference.IsNonNegative && difference.AtZero > 0;
        Polynomial negated = difference * Polynomial.Constant(-1);
        return above || (negated.IsNonNegative && negated.AtZero > 0) ? false : null;
    }

    /// <summary>Whether a is less than b, or null when that depends on the run.</summary>
    public static bool? IsLess(Dim a, Dim b) =>
        IsNonNegative(Sub(Sub(b, a), 1)) ? true : IsNonNegative(Sub(a, b)) ? false : null;

    /// <summary>The dimension that broadcasting gives in every run that does not fail.</summary>
    public static Dim Broadcast(Dim a, Dim b)
    {
        if (a.SameAs(b) || b.Value == 1) return a;
        if (a.Value is { } n) return n == 1 ? b : a;
        if (b.IsKnown) return b;

        // a table cut to the length of the other side: shorter than it only where the sum fails anyway
        return !AreSameSide(a, b) ? Dim.Unknown : IsCut(b, a) ? a : b;
    }

    /// <summary>True when a and b, standing on the two sides of a broadcast, are one number in every run that does not fail.</summary>
    public static bool AreSameSide(Dim a, Dim b) => a.SameAs(b) || (a.Symbol is not null && IsCut(b, a)) || (b.Symbol is not null && IsCut(a, b));

    public static Dim Canonical(Dim a) => a.Symbol is null ? a : Combine(a, 0, (x, _) => x);

    private static bool IsCut(Dim cut, Dim full) => cut.Symbol is { } s && s.StartsWith("min(", StringComparison.Ordinal)
        && s.EndsWith($"‹{full}›)", StringComparison.Ordinal) && long.TryParse(s[5..s.IndexOf('›')], out long table) && table > 1;

    private static Dim Choice(string function, Dim a, Dim b)
    {
        if (!IsNonNegative(a) || !IsNonNegative(b)) return Dim.Unknown;
        bool swap = a.Value is null && (b.Value is not null || string.CompareOrdinal(a.ToString(), b.ToString()) > 0);
        return swap ? Function(function, b, ",", a) : Function(function, a, ",", b);
    }

    private static Dim Function(string name, Dim a, string separator, Dim b)
    {
        string text = $"{name}(‹{a}›{separator}‹{b}›)";
        return text.Length > 240 ? Dim.Unknown : text;
    }

    private static Dim Combine(Dim a, Dim b, Func<Polynomial, Polynomial, Polynomial?> with) => Try(() =>
        Polynomial.Of(a) is { } x && Polynomial.Of(b) is { } y && with(x, y) is { } z ? z.ToDim() : (Dim?)null) ?? Dim.Unknown;

    private static T? Try<T>(Func<T?> compute)
    {
        try
        {
            return compute();
        }
        catch (OverflowException)
        {
            return default;
        }
    }
}
