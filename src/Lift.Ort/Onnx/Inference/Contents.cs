namespace Lift.Ort.Onnx.Inference;

/// <summary>Shape arithmetic: what operators do to small integer vectors whose elements are numbers or symbols.</summary>
internal static class Contents
{
    /// <summary>Element-wise arithmetic and comparison; null where an operand's elements are unknown.</summary>
    public static Dim[]? Apply(Inferred n)
    {
        bool integers = Enumerable.Range(0, n.InputCount).All(i => n.Element(i) is ElementType.Int64 or ElementType.Int32 or ElementType.Bool);
        if (!integers || n.InputCount == 0) return null;
        Dim[]? result = n.Content(0);
        for (int i = 1; i < n.InputCount; i++) result = Zip(n, result, n.Content(i), Operation(n.Node.OpType));
        return n.InputCount == 1 && n.Node.OpType is not ("Min" or "Max" or "Sum") ? null : result;
    }

    public static Dim[]? Where(Inferred n)
    {
        Dim[]? condition = n.Content(0), then = n.Content(1), otherwise = n.Content(2);
        if (condition is null || then is null || otherwise is null) return null;
        int length = Math.Max(condition.Length, Math.Max(then.Length, otherwise.Length));
        if (new[] { condition, then, otherwise }.Any(v => v.Length != length && v.Length != 1)) return null;
        var result = new Dim[length];
        for (int i = 0; i < length; i++)
        {
            Dim a = At(then, i), b = At(otherwise, i);
            result[i] = At(condition, i).Value is { } c ? c != 0 ? a : b : a.SameAs(b) ? a : Dim.Unknown;
        }
        return result;
    }

    private static Dim[]? Zip(Inferred n, Dim[]? a, Dim[]? b, Func<Dim, Dim, Dim>? operation)
    {
        if (a is null || b is null || operation is null) return null;
        int length = a.Length == 1 ? b.Length : a.Length;
        if (b.Length != length && b.Length != 1) return null;
        var result = new Dim[length];
        for (int i = 0; i < length; i++) result[i] = operation(At(a, i), At(b, i));
        return result;
    }

    private static Dim At(Dim[] values, int i) => values[values.Length == 1 ? 0 : i];

    private static Func<Dim, Dim, Dim>? Operation(string op) => op switch
    {
        "Add" or "Sum" => DimMath.Add,
        "Sub" => DimMath.Sub,
        "Mul" => DimMath.Mul,
        "Div" => DimMath.Floor,
        "Mod" => (a, b) => a.Value >= 0 && b.Value > 0 ? a.Value.Value % b.Value.Value : DimMath.Quotient(a, b) is { Symbol: not null } ? 0 : Dim.Unknown,
        "Min" => DimMath.Min,
        "Max" => DimMath.Max,
        "Equal" => (a, b) => Bool(DimMath.AreEqual(a, b)),
        "Less" => (a, b) => Bool(DimMath.IsLess(a, b)),
        "Greater" => (a, b) => Bool(DimMath.IsLess(b, a)),
        "LessOrEqual" => (a, b) => Bool(!DimMath.IsLess(b, a)),
        "GreaterOrEqual" => (a, b) => Bool(!DimMath.IsLess(a, b)),
        "And" => (a, b) => a.Value == 0 || b.Value == 0 ? 0 : a.Value is { } && b.Value is { } ? 1 : Dim.Unknown,
        "Or" => (a, b) => a.Value > 0 || b.Value > 0 ? 1 : a.Value is { } && b.Value is { } ? 0 : Dim.Unknown,
        _ => null,
    };

    private static Dim Bool(bool? value) => value is { } v ? v ? 1 : 0 : Dim.Unknown;
}
