using System.Reflection;
using Lift.Ort.Onnx;

namespace Lift.Ort.Lowering;

/// <summary>Marks the method that writes an operator out in standard ones ("com.microsoft.SkipLayerNormalization").</summary>
[AttributeUsage(AttributeTargets.Method, AllowMultiple = true)]
internal sealed class LoweringAttribute(string op) : Attribute
{
    public string Operator { get; } = op;
}

/// <summary>The table of lowerings: one static method per operator, found by its attribute.</summary>
public static class Lowerings
{
    private static readonly Dictionary<string, Formula> table = Load();

    /// <summary>The node's outputs in standard operators, in order; null where an output has no form there.</summary>
    internal delegate Var?[] Formula(FusedNode n);

    /// <summary>Operators with a lowering, as <see cref="Node.Operator"/> spells them, sorted.</summary>
    public static IEnumerable<string> Operators => table.Keys.Order(StringComparer.Ordinal);

    /// <summary>True when this operator can be written out.</summary>
    public static bool Has(string op) => table.ContainsKey(op);

    internal static Formula? Find(string op) => table.GetValueOrDefault(op);

    private static Dictionary<string, Formula> Load() => (
        from type in typeof(Lowerings).Assembly.GetTypes()
        from method in type.GetMethods(BindingFlags.Static | BindingFlags.NonPublic | BindingFlags.Public)
        from a in method.GetCustomAttributes<LoweringAttribute>()
        select (a.Operator, Formula: method.CreateDelegate<Formula>())).ToDictionary(r => r.Operator, r => r.Formula);
}
