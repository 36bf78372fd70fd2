using Lift.Ort.Gradients;
using Lift.Ort.Onnx;
using Lift.Ort.Tests.Training;
using static Lift.Ort.Tests.Gradients.CaseData;

namespace Lift.Ort.Tests.Gradients;

/// <summary>Constants beside a weight that was made float, to the number; whole models, whose roundings hide them, run in QuantizedFormsTests.</summary>
[TestClass]
public sealed class DequantizedNodesTests
{
    [TestMethod]
    [DataRow("com.microsoft.QGemm", 0.5f)]
    [DataRow("QLinearConv", 1f)]
    public void A_bias_is_multiplied_by_the_scales_of_both_operands(string op, float alpha)
    {
        var model = new QuantizedModel(17);
        bool image = op == "QLinearConv";
        Var x = model.Bytes(image ? model.Graph.Var("x").Reshape(-1, 2, 2, 2) : model.Graph.Var("x"));
        float[] scales = [0.002f, 0.004f, 0.006f];
        int[] bias = [100, -200, 300];
        model.Op(op, [x, model.Scale, model.Zero, model.Named("middle.weight_quantized", I8(image ? [3, 2, 1, 1] : [8, 3], 3)), model.Named("middle.weight_scale", Tensor.From<float>("", scales, 3)),
            model.Const(Tensor.From<sbyte>("", new sbyte[3], 3)), .. image ? new[] { model.Scale, model.Zero, model.Const(I(bias)) } : [model.Const(I(bias)), model.Scale, model.Zero]],
            n => { if (!image) n.With("alpha", alpha); });
        var (graph, _) = Dequantization.Apply(model.Graph, ["middle*"]);
        float scale = model.Graph.Initializers[model.Scale.Name].ToFloats()[0];
        float[] made = graph.Initializers["middle.bias"].ToFloats();
        for (int i = 0; i < 3; i++) Assert.AreEqual(bias[i] * scale * scales[i] * alpha, made[i], 1e-6f * Math.Abs(bias[i]), $"entry {i}");
    }

    [TestMethod]
    public void A_convolution_s_scales_stand_along_its_channels()
    {
        var model = new QuantizedModel(17);
        model.Dynamic(model.Graph.Var("x").Reshape(-1, 2, 2, 2), "ConvInteger", U8([3, 2, 1, 1], 3), F([3], 0.002f, 0.006f));
        var (graph, _) = Dequantization.Apply(model.Graph, ["middle*"]);
        CollectionAssert.AreEqual(new long[] { 3, 1, 1 }, graph.Initializers[graph.Nodes.Single(n => n.OpType == "Div").Inputs[1]].Dims);
    }

    [TestMethod]
    public void Attributes_go_along()
    {
        var model = new QuantizedModel(17);
        model.Op("com.microsoft.QAttention", [model.Bytes(model.Graph.Var("x").Reshape(-1, 1, 8)), model.Named("middle.weight_quantized", I8([8, 24], 3)), model.Named("middle.attention_bias", F([24])), model.Scale, model.Named("middle.weight_scale", S(0.01f)), null, model.Zero, model.Const(S((sbyte)0))],
            n => n.With("num_heads", 2L).With("unidirectional", 1L));
        Node made = Dequantization.Apply(model.Graph, ["middle*"]).Graph.Nodes.Single(n => n.OpType == "Attention");
        Assert.AreEqual((2L, 1L), (made.Int("num_heads"), made.Int("unidirectional")));

        var table = new QuantizedModel(21);
        table.Op("com.microsoft.GatherBlockQuantized", [table.Named("middle.weight_Q4", U8([4, 16], 3)), table.Graph.Longs(1, 3), table.Named("middle.weight_scales", F([4, 2], 0.01f, 0.05f))], n => n.With("bits", 4L).With("block_size", 16L).With("gather_axis", 1L).With("quantize_axis", 1L));
        Assert.AreEqual(1, Dequantization.Apply(table.Graph, ["middle*"]).Graph.Nodes.Single(n => n.OpType == "Gather").Int("axis"));
    }
}
