using Lift.Ort.Lowering;
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
