using Lift.Ort.Gradients;
using Lift.Ort.Onnx;

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

    /// <summary>Found by fuzzing: its picking matrix would have overflowed.</summary>
    [TestMethod]
    [DataRow(long.MaxValue, 2)]
    [DataRow(1L << 40, 1L << 40)]
    [DataRow(0, 3)]
    [DataRow(-1, -4)]
    public void Windows_of_no_size_are_refused(long height, long width)
    {
        var (graph, loss) = GradientCheck.Forward("Col2Im", GradientCases.Table["Col2Im"][0]);
        Node node = graph.Nodes.Single(n => n.Operator == "Col2Im");
        graph.Initializers[node.Inputs[2]] = Tensor.From(node.Inputs[2], [height, width], 2);
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => BackwardPass.Run(graph, loss, ["x0"])).Message, $"its block_shape [{height}, {width}] is no window");
    }

    [TestMethod]
    [DataRow("com.microsoft.ShrunkenGather", 2147483647L)]
    [DataRow("Concat", -9L)]
    [DataRow("DFT", 1L << 40)]
    public void Axes_that_are_not_there_are_refused(string op, long axis)
    {
        GradientCase c = GradientCases.Table[op].First(c => c.Opset < 20);
        var (graph, loss) = GradientCheck.Forward(op, c);
        graph.Nodes.Single(n => n.Operator == op).With("axis", axis);
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => BackwardPass.Run(graph, loss, ["x0"])).Message, $"its axis {axis} is none of a value with ");
    }

    [TestMethod]
    public void No_operator_is_both_differentiable_and_constant() =>
        Assert.AreEqual("", string.Join(", ", GradientRules.Operators.Intersect(GradientRules.Constants)));

    [TestMethod]
    public void Every_case_belongs_to_a_rule() =>
        Assert.AreEqual("", string.Join(", ", GradientCases.Table.Keys.Except(GradientRules.Operators)));
}
