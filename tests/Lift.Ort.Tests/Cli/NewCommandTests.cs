using Lift.Ort.Onnx;
using Microsoft.ML.OnnxRuntime;

namespace Lift.Ort.Tests.Cli;

[TestClass]
public sealed class NewCommandTests
{
    [TestMethod]
    [DataRow("float32", ElementType.Float)]
    [DataRow("fp16", ElementType.Float16)]
    [DataRow("bf16", ElementType.BFloat16)]
    public void Makes_a_model_of_the_asked_size_and_type(string dtype, ElementType type)
    {
        using TempFolder folder = TestFiles.Temp();
        string path = folder["model.onnx"];
        var result = LiftRun.Here("new", "--preset", "stories260k", "--dtype", dtype, "--layers", "2", "--vocab", "64", "--json", "-o", path).Good().Json;

        Graph graph = OnnxFile.Read(path);
        Assert.AreEqual(2 * (64 * (64 + 32 + 32 + 64) + 3 * 64 * 172), (long)result["linear_weights"]!);
        Assert.AreEqual((long)result["weights"]!, graph.Initializers.Values.Where(t => t.Name.EndsWith(".weight")).Sum(t => t.Count));
        Assert.AreEqual(type, graph.Initializers["model.layers.1.self_attn.q_proj.weight"].Type);
        CollectionAssert.AreEqual(new long[] { 64, 32 }, graph.Initializers["model.layers.1.self_attn.k_proj.weight"].Dims);
    }

    [TestMethod]
    public void Help_of_the_program_shows_the_command() => StringAssert.Contains(LiftRun.Program("--help").Good().Error, "new");

    [TestMethod]
    [DataRow("--width 63", "63")]
    [DataRow("--kv-heads 3", "divisor")]
    [DataRow("--dtype int8", "int8")]
    [DataRow("--preset 7b", "7b")]
    public void Numbers_that_do_not_fit_are_named(string options, string word)
    {
        using TempFolder folder = TestFiles.Temp();
        StringAssert.Contains(LiftRun.Here(["new", .. options.Split(' '), "-o", folder["m.onnx"]]).Refused(), word);
        Assert.AreEqual(0, Directory.GetFiles(folder.Path).Length);
    }

    [TestMethod]
    [DataRow("", false)]
    [DataRow("--tied true", false)]
    [DataRow("--tied false", true)]
    public void Head_is_tied_as_the_preset_says_or_the_option(string options, bool ownHead)
    {
        using TempFolder folder = TestFiles.Temp();
        LiftRun.Here(["new", "--layers", "1", .. options.Split(' ', StringSplitOptions.RemoveEmptyEntries), "-o", folder["m.onnx"]]).Good();
        Assert.AreEqual(ownHead, OnnxFile.Read(folder["m.onnx"]).Initializers.ContainsKey("lm_head.weight"));
    }

    [TestMethod]
    public void Runs_in_a_stock_session()
    {
        using TempFolder folder = TestFiles.Temp();
        LiftRun.Here("new", "--layers", "1", "--attention-mask", "-o", folder["m.onnx"]).Good();
        using var session = new InferenceSession(folder["m.onnx"]);
        CollectionAssert.AreEquivalent(new[] { "input_ids", "attention_mask" }, session.InputMetadata.Keys.ToArray());
    }
}
