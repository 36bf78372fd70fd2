using System.Text.Json.Nodes;
using Lift.Ort.Onnx;

namespace Lift.Ort.Tests.Cli;

[TestClass]
public sealed class InspectCommandTests
{
    [TestMethod]
    [DataRow("llama-tiny-folded", 14, "layers.0.")]
    [DataRow("llama-tiny", 14, "layers.0.")]
    [DataRow("gpt2-tiny", 8, "h.0.")]
    public void Lists_the_linear_layers_that_LIFT_trains(string model, int matrices, string layer)
    {
        JsonObject result = LiftRun.Here("inspect", TestFiles.Shared($"models/{model}/model.onnx"), "--json").Good().Json;
        JsonObject[] chosen = [.. result["weights"]!.AsArray().Select(w => w!.AsObject()).Where(w => (bool)w["trained_by_default"]!)];
        Assert.AreEqual(matrices, chosen.Length, string.Join(", ", chosen.Select(w => w["name"])));
        Assert.AreEqual(chosen.Length, chosen.Select(w => (string)w["layer"]!).Distinct().Count(), "layers are told apart");
        Assert.IsTrue(chosen.Any(w => ((string)w["layer"]!).Contains(layer)), string.Join(", ", chosen.Select(w => w["layer"])));
        Assert.AreEqual(0, result["lacking_rules"]!.AsArray().Count);
    }

    [TestMethod]
    [DataRow("llama-tiny", "2 attentions (grouped-query), 4 rotary embeddings, 5 RMS normalisations")]
    [DataRow("llama-tiny-folded", "2 attentions (grouped-query), 4 rotary embeddings, 5 RMS normalisations")]
    [DataRow("stories260k", "5 attentions (grouped-query), 10 rotary embeddings, 11 RMS normalisations")]
    [DataRow("gpt2-tiny", "2 attentions, 5 layer normalisations, 2 GELUs")]
    [DataRow("gpt2-merged-tiny", "2 attentions, 5 layer normalisations, 2 GELUs")]
    [DataRow("bert-tiny", "2 attentions, 5 layer normalisations, 2 GELUs")]
    [DataRow("mobilenetv2-tiny", "nothing")]
    public void Says_what_was_recognised(string model, string expected) =>
        StringAssert.Contains(LiftRun.Here("inspect", TestFiles.Shared($"models/{model}/model.onnx")).Good().Error, $"Recognised: {expected}\n");

    [TestMethod]
    public void Shows_a_table_to_people()
    {
        LiftRun run = LiftRun.Here("inspect", TestFiles.Shared("models/mlp/model.onnx")).Good();
        Assert.AreEqual("", run.Output);
        foreach (string word in new[] { "input ", "output ", "(scored)", "Gemm" }) StringAssert.Contains(run.Error, word);
    }

    [TestMethod]
    public void Names_the_node_that_lacks_a_rule()
    {
        using TempFolder folder = TestFiles.Temp();
        Graph graph = new() { Domains = { ["org.pytorch.aten"] = 1 } };
        graph.Inputs.Add(new("x", new(ElementType.Float, new("n", 4))));
        graph.Types["x"] = graph.Inputs[0].Type;
        graph.Initializers.Add("fc.weight", Tensor.From<float>("fc.weight", new float[8], 4, 2));
        graph.Initializers.Add("free.weight", Tensor.From<float>("free.weight", new float[4], 2, 2));
        graph.Nodes.Add(new Node("MatMul", "", ["x", "fc.weight"], ["h"], "product"));
        graph.Nodes.Add(new Node("ATen", "org.pytorch.aten", ["h"], ["m"], "odd_one"));
        graph.Nodes.Add(new Node("MatMul", "", ["m", "free.weight"], ["logits"], "last"));
        graph.Outputs.Add(new("logits", new(ElementType.Float, new("n", 2))));
        OnnxFile.Write(graph, folder["m.onnx"]);

        JsonObject lacking = LiftRun.Here("inspect", folder["m.onnx"], "--json").Good().Json["lacking_rules"]!.AsArray().Single()!.AsObject();
        Assert.AreEqual("odd_one", (string)lacking["node"]!);
        Assert.AreEqual("org.pytorch.aten.ATen", (string)lacking["op"]!);
        Assert.AreEqual("fc.weight", (string)lacking["weights"]!.AsArray().Single()!);
    }
}
