using Lift.Ort.Gradients;
using Lift.Ort.Onnx;

namespace Lift.Ort.Tests.Gradients;

/// <summary>LIFT's default choice where exporters hide a layer's matrix.</summary>
[TestClass]
public sealed class WeightCatalogTests
{
    /// <summary>nn.MultiheadAttention over another sequence slices its packed matrix before it is used.</summary>
    [TestMethod]
    [DataRow("Slice")]
    [DataRow("Split")]
    public void Parts_of_a_packed_matrix_are_a_linear_layer(string op)
    {
        var graph = new Graph();
        Var x = Input(graph), w = Weight(graph, "multihead_attn.in_proj_weight", 12, 4);
        Var q = op == "Slice" ? w.Slice(0, 4, 0) : graph.AddMany("Split", 2, [w, graph.Longs(4, 8)], n => n.With("axis", 0L))[0];
        Finish(graph, x.MatMul(q.Transpose(1, 0)).Exp());
        CatalogWeight found = Find(graph, "multihead_attn.in_proj_weight");
        Assert.AreEqual(WeightKind.Attention, found.Kind);
        Assert.IsTrue(found.IsLiftDefault);
        Assert.IsFalse(found.Transposed, "stored [out, in], turned before the product");
    }

    /// <summary>x³ is a formula, whatever its 3 is called; the 2.9 of a generalised mean was learned.</summary>
    [TestMethod]
    [DataRow("pool.p", 2.9f, 1, true)]
    [DataRow("pool.p", 3f, 1, false)]
    [DataRow("pool.p", 0.5f, 1, false)]
    [DataRow("onnx::Pow_12", 2.9f, 1, false)]
    [DataRow("pow/y:0", 2.9f, 0, false)]
    public void A_learned_exponent_is_a_weight(string name, float value, int rank, bool weight)
    {
        var graph = new Graph();
        graph.Initializers.Add(name, Tensor.From<float>(name, [value], rank == 0 ? [] : [1]));
        Finish(graph, graph.Add("Pow", [Input(graph).MatMul(Weight(graph, "fc.weight", 4, 4)).Exp(), graph.Var(name)]));
        Assert.AreEqual(weight, WeightCatalog.Find(graph, null).Any(w => w.Name == name));
    }

    [TestMethod]
    public void Matrices_of_Einsum_are_linear_layers_and_the_last_one_is_the_head()
    {
        var graph = new Graph();
        Var h = graph.Add("Einsum", [Input(graph), Weight(graph, "layers.0.mlp.w1", 4, 4)], n => n.With("equation", "bsd,df->bsf"));
        Finish(graph, graph.Add("Einsum", [h.Exp(), Weight(graph, "out", 4, 7)], n => n.With("equation", "bsf,fv->bsv")));
        Assert.IsTrue(Find(graph, "layers.0.mlp.w1").IsLiftDefault);
        Assert.AreEqual(WeightKind.Head, Find(graph, "out").Kind);
    }

    [TestMethod]
    [DataRow("decoder.block.0.layer.2.DenseReluDense.wo.weight", WeightKind.Mlp)]
    [DataRow("decoder.block.0.layer.2.DenseReluDense.wi_0.weight", WeightKind.Mlp)]
    [DataRow("decoder.block.0.layer.1.EncDecAttention.o.weight", WeightKind.Attention)]
    [DataRow("gpt_neox.layers.0.attention.query_key_value.weight", WeightKind.Attention)]
    [DataRow("gpt_neox.layers.0.mlp.dense_4h_to_h.weight", WeightKind.Mlp)]
    [DataRow("model.layers.0.mlp.gate_up_proj.weight", WeightKind.Mlp)]
    public void Names_of_public_checkpoints_say_what_a_layer_is(string name, WeightKind kind)
    {
        var graph = new Graph();
        Finish(graph, Input(graph).MatMul(Weight(graph, name, 4, 4)).Exp());
        Assert.AreEqual(kind, Find(graph, name).Kind);
    }

    private static Var Input(Graph graph)
    {
        var type = new TensorType(ElementType.Float, new Shape("batch", "length", 4));
        graph.Inputs.Add(new("x", type));
        graph.Types["x"] = type;
        return graph.Var("x");
    }

    private static Var Weight(Graph graph, string name, params long[] dims)
    {
        graph.Initializers[name] = Tensor.Empty(name, ElementType.Float, dims);
        return graph.Var(name);
    }

    private static void Finish(Graph graph, Var y) => graph.Outputs.Add(new(y.Name, y.Type));

    private static CatalogWeight Find(Graph graph, string name) => WeightCatalog.Find(graph, graph.Outputs[0].Name).Single(w => w.Name == name);
}
