using Lift.Ort.Gradients;
using Lift.Ort.Onnx;
using Lift.Ort.Tests.Operators;

namespace Lift.Ort.Tests.Gradients;

[TestClass]
public class FallbackFunctionsTests
{
    public static IEnumerable<object[]> Cases => FallbackFunctions.Names.SelectMany(op => new[] { 17, 21 }.Select(opset => new object[] { op, opset }));

    [TestMethod, DynamicData(nameof(Cases))]
    public void Function_matches_a_plain_loop_in_a_session_without_our_operators(string op, int opset)
    {
        OperatorCase[] cases = [.. OperatorCases.For(op).Where(c => c.HasFallback).Select(WithAttributes)];
        Assert.IsNotEmpty(cases, op);
        foreach (OperatorCase c in cases)
        {
            Assert.IsTrue(FallbackFunctions.CanUse(NodeOf(c)), $"{c}");
            (c with { Tolerance = Math.Max(c.Tolerance, 5e-6) }).Check(
                ElementType.Float, n => n with { Registered = false, Function = FallbackFunctions.For(op, opset), Opset = opset });
        }
    }

    [TestMethod]
    public void The_kernel_goes_before_the_function()
    {
        FunctionProto wrong = FallbackFunctions.For("TanhGrad", 17)!;
        wrong.Node.Clear();
        wrong.Node.Add(new NodeProto { OpType = "Identity", Input = { "dY" }, Output = { "dX" } });
        Grid dy = Grid.Normal(1, 3), y = new([3], [0.5, 0.5, 0.5]);
        var node = new OneNode("TanhGrad") { Function = wrong };
        CollectionAssert.AreEqual(dy.Values, (node with { Registered = false }).Run(dy, y)[0].Values);
        CollectionAssert.AreNotEqual(dy.Values, node.Run(dy, y)[0].Values);
    }

    [TestMethod]
    [DataRow("GatherGrad", 3, 1, "axis", 1L)]
    [DataRow("GatherGrad", 3, 1, "axis", -1L)]
    [DataRow("LayerNormalizationGrad", 5, 3, "axis", 1L)]
    [DataRow("LayerNormalizationGrad", 5, 1, "axis", -1L)]
    [DataRow("SoftmaxGrad_13", 2, 1, "other", 1L)]
    [DataRow("SigmoidGrad", 3, 1, null, 0L)]
    [DataRow("InPlaceAccumulatorV2", 2, 1, null, 0L)]
    [DataRow("SoftmaxCrossEntropyLossInternalGrad", 3, 1, null, 0L)]
    [DataRow("Unheard", 2, 1, null, 0L)]
    public void A_node_that_the_body_does_not_compute_is_refused(string op, int inputs, int outputs, string? attribute, long value)
    {
        var node = new Node(op, "com.microsoft", Enumerable.Range(0, inputs).Select(i => $"i{i}"), Enumerable.Range(0, outputs).Select(i => $"o{i}"));
        if (attribute is not null) node.With(attribute, value);
        Assert.IsFalse(FallbackFunctions.CanUse(node));
    }

    [TestMethod]
    public void Unknown_operators_have_no_function_and_unknown_opsets_are_refused()
    {
        Assert.IsNull(FallbackFunctions.For("Unheard", 17));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => FallbackFunctions.For("TanhGrad", 16));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => FallbackFunctions.For("TanhGrad", 22));
    }

    /// <summary>A body reads the caller's attributes, never a default.</summary>
    private static OperatorCase WithAttributes(OperatorCase c)
    {
        FunctionProto function = FallbackFunctions.For(c.Node.Operator, 17)!;
        (string, object)[] missing = [.. function.Attribute.Except(c.Node.Attributes.Select(a => a.Name)).Select(a => a switch
        {
            "axis" => ("axis", (object)-1L),
            "alpha" => ("alpha", 1.702f),
            _ => ("reduction", "mean"),
        })];
        return c with { Node = c.Node with { Attributes = [.. c.Node.Attributes, .. missing] } };
    }

    private static Node NodeOf(OperatorCase c)
    {
        NodeProto proto = c.Node.Model(c.Inputs).Graph.Node[0];
        var node = new Node(proto.OpType, proto.Domain, proto.Input, proto.Output);
        foreach (AttributeProto a in proto.Attribute) node.Set(a);
        return node;
    }
}
