using Lift.Ort.Gradients;

namespace Lift.Ort.Tests.Gradients;

[TestClass]
public sealed class GradientRulesTests
{
    public static IEnumerable<object[]> Operators => GradientRules.Operators.Select(op => new object[] { op });

    [TestMethod, DynamicData(nameof(Operators))]
    public void Gradient_matches_finite_differences(string op)
    {
        if (!GradientCases.Table.TryGetValue(op, out var cases)) Assert.Fail($"The gradient rule of {op} has no case in GradientCases.");
        foreach (GradientCase c in cases!) GradientCheck.Run(op, c);
    }

    [TestMethod]
    public void No_operator_is_both_differentiable_and_constant() =>
        Assert.AreEqual("", string.Join(", ", GradientRules.Operators.Intersect(GradientRules.Constants)));

    [TestMethod]
    public void Every_case_belongs_to_a_rule() =>
        Assert.AreEqual("", string.Join(", ", GradientCases.Table.Keys.Except(GradientRules.Operators)));
}
