using Lift.Ort.Lowering;
using Lift.Ort.Onnx;
using Lift.Ort.Tests.Gradients;

namespace Lift.Ort.Tests.Lowering;

[TestClass]
public sealed class LoweringsTests
{
    public static IEnumerable<object[]> Operators => Lowerings.Operators.Select(op => new object[] { op });

    private static IEnumerable<GradientCase> Cases(string op)
    {
        if (!LoweringCases.Table.TryGetValue(op, out var cases)) Assert.Fail($"The lowering of {op} has no case in LoweringCases.");
        return cases!;
    }

    [TestMethod, DynamicData(nameof(Operators))]
    public void Lowered_graph_computes_what_the_operator_computes(string op)
    {
        All(Cases(op), c => LoweringCheck.Run(op, c));
    }

    [TestMethod, DynamicData(nameof(Operators))]
    public void Gradient_through_the_lowered_graph_matches_finite_differences(string op)
    {
        All(Cases(op), c => GradientCheck.Run(op, c));
    }

    /// <summary>Numbers of two types must not meet in a node, and a gradient has its weight's type.</summary>
    [TestMethod, DynamicData(nameof(Operators))]
    public void Lowered_graphs_of_other_types_are_of_that_type_throughout(string op)
    {
        if (op.Contains("Quant", StringComparison.Ordinal) || op[(op.LastIndexOf('.') + 1)] == 'Q') return; // their scales are float32
        foreach (GradientCase c in Cases(op).Where((_, i) => i % 3 == 0))
            foreach (ElementType type in new[] { ElementType.Float16, ElementType.BFloat16 })
                Assert.AreEqual("", GradientCheck.TypesClash(op, c, type), $"{op} ({c.Note}) in {type}");
    }

    /// <summary>Every case is tried, so that one run tells all that is wrong.</summary>
    private static void All(IEnumerable<GradientCase> cases, Action<GradientCase> check)
    {
        var wrong = new List<string>();
        foreach (GradientCase c in cases)
        {
            try
            {
                check(c);
            }
            catch (Exception e)
            {
                wrong.Add($"{c.Note}: {e.Message}");
            }
        }
        Assert.AreEqual("", string.Join('\n', wrong));
    }

    [TestMethod]
    public void Every_case_belongs_to_a_lowering() => Assert.AreEqual("", string.Join(", ", LoweringCases.Table.Keys.Except(Lowerings.Operators)));
}
