using Google.Protobuf;
using Lift.Ort.Gradients;
using Lift.Ort.Onnx;
using Lift.Ort.Tests.Onnx;
using static Lift.Ort.Tests.Gradients.CaseData;
using static Lift.Ort.Tests.Lowering.ControlFlow.ControlFlowModel;

namespace Lift.Ort.Tests.Gradients;

/// <summary>Quantized layers in branches, as the graph holds them; training and export are in QuantizedBranchesTests.</summary>
[TestClass]
public sealed class DequantizedBranchesTests
{
    [TestMethod]
    public void Siblings_and_branches_inside_of_branches_share_one_float_weight()
    {
        AttributeProto nested = Branch("then_branch", g => g.Node("If", ["c"], ["r"], Half("then_branch", "a", "middle"), Half("else_branch", "b", "middle")).Output("r", Float));
        var (graph, weights) = Dequantization.Apply(Read(nested, Half("else_branch", "d", "middle")), ["middle*"]);
        Assert.AreEqual("middle.weight middle.weight middle.weight", string.Join(' ', weights.Select(w => w.Name)));
        Assert.AreEqual("middle.weight", string.Join(' ', graph.Initializers.Keys.Where(k => k.StartsWith("middle", StringComparison.Ordinal))));
        Assert.AreEqual("", string.Join(' ', graph.Nodes.SelectMany(n => n.Subgraphs).SelectMany(Operators).Where(o => o == "DequantizeLinear")));
    }

    [TestMethod]
    public void One_name_for_values_of_different_matrices_is_refused()
    {
        Graph source = Read(Half("then_branch", "a", "middle"), Half("else_branch", "a", "other"));
        StringAssert.Contains(Assert.ThrowsExactly<LiftException>(() => Dequantization.Apply(source, ["middle*"])).Message, "both call a value 'aw'");
    }

    private static IEnumerable<string> Operators(GraphProto graph) => graph.Node.SelectMany(n => n.Attribute.Where(a => a.G is not null).SelectMany(a => Operators(a.G)).Append(n.OpType));

    private static AttributeProto Half(string name, string prefix, string matrix) => Branch(name, g =>
        g.Node("DequantizeLinear", [$"{matrix}.weight_quantized", $"{matrix}.weight_scale"], [$"{prefix}w"]).Node("MatMul", ["x", $"{prefix}w"], [$"{prefix}r"]).Output($"{prefix}r", Float));

    private static Graph Read(AttributeProto then, AttributeProto otherwise)
    {
        using var temp = TestFiles.Temp();
        var model = new SampleModel(21).Input("x", Float, "n", 4).Output("y", Float).Constant("c", true);
        foreach (string matrix in new[] { "middle", "other" })
        {
            Tensor q = I8([4, 4], 3);
            model.Graph.Initializer.Add(new TensorProto { Name = $"{matrix}.weight_quantized", DataType = (int)q.Type, Dims = { q.Dims }, RawData = ByteString.CopyFrom(q.AsSpan<byte>()) });
            model.Float($"{matrix}.weight_scale", [], _ => 0.01f);
        }
        File.WriteAllBytes(temp["m.onnx"], model.Node("If", ["c"], ["y"], then, otherwise).Proto.ToByteArray());
        return OnnxFile.Read(temp["m.onnx"]);
    }
}
