using System.Reflection;

namespace Lift.Ort.Gradients;

/// <summary>The table of gradient rules: one small static method per operator in <c>Rules/</c>, found by its attribute.</summary>
public static class GradientRules
{
    private static readonly Dictionary<string, Rule> table = Load();
    private static readonly HashSet<string> constants = [.. typeof(GradientRules).Assembly.GetTypes()
        .SelectMany(t => t.GetCustomAttributes<NoGradientAttribute>()).SelectMany(a => a.Operators)];

    internal delegate Onnx.Var?[] Formula(Backward b);

    /// <summary>Operators with a rule, as <see cref="Onnx.Node.Operator"/> spells them, sorted.</summary>
    public static IEnumerable<string> Operators => table.Keys.Order(StringComparer.Ordinal);

    /// <summary>Operators that are declared to have no gradient, sorted.</summary>
    public static IEnumerable<string> Constants => constants.Order(StringComparer.Ordinal);

    /// <summary>True when a gradient can pass through this operator.</summary>
    public static bool Has(string op) => table.ContainsKey(op);

    /// <summary>True when the operator's outputs are declared not to depend smoothly on its inputs.</summary>
    public static bool IsConstant(string op) => constants.Contains(op);

    internal static Rule? Find(string op) => table.GetValueOrDefault(op);

    private static Dictionary<string, Rule> Load() => (
        from type in typeof(GradientRules).Assembly.GetTypes()
        from method in type.GetMethods(BindingFlags.Static | BindingFlags.NonPublic | BindingFlags.Public)
        from a in method.GetCustomAttributes<GradientAttribute>()
        select (a.Operator, Rule: new Rule(method.CreateDelegate<Formula>(), a.Broadcasts))).ToDictionary(r => r.Operator, r => r.Rule);

    internal sealed record Rule(Formula Formula, bool Broadcasts);
}
