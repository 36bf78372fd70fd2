using Lift.Ort.Onnx;

namespace Lift.Ort.Tests.Cli;

[TestClass]
public sealed class SelectCommandTests
{
    [TestMethod]
    public void Says_where_the_filter_rank_reduces_nothing()
    {
        using TempFolder folder = TestFiles.Temp();
        string model = folder["m.onnx"], positions = folder["p.safetensors"];
        LiftRun.Here("new", "--width", "16", "--layers", "1", "--heads", "2", "--kv-heads", "1", "--ffn", "24", "--vocab", "32", "-o", model).Good();
        StringAssert.Contains(LiftRun.Here("select", model, "--filter-rank", "8", "-o", positions).Good().Error, "The filter rank 8 reduces nothing in 2 of 7 weights, whose shorter side is 8 at most");
        Assert.IsFalse(LiftRun.Here("select", model, "--filter-rank", "7", "-o", positions).Good().Error.Contains("reduces nothing"));
        Assert.IsFalse(LiftRun.Here("select", model, "--filter-rank", "8", "--selection", "random", "-o", positions).Good().Error.Contains("reduces nothing"));
    }

    [TestMethod]
    public void Writes_sorted_positions_of_every_weight_the_same_from_model_and_folder()
    {
        using TempFolder folder = TestFiles.Temp();
        string model = TestFiles.Shared("models/llama-tiny-folded/model.onnx");
        LiftRun.Here("select", model, "--filter-rank", "8", "-o", folder["a.safetensors"]).Good();
        LiftRun.Here("prepare", model, "-o", folder["p"]).Good();
        var result = LiftRun.Here("select", folder["p"], "--filter-rank", "8", "--density", "0.05", "-o", folder["b.safetensors"], "--json").Good().Json;

        Safetensors a = Safetensors.Read(folder["a.safetensors"]), b = Safetensors.Read(folder["b.safetensors"]);
        var weights = OnnxFile.Read(model).Initializers;
        Assert.AreEqual(14, a.Tensors.Count);
        foreach (var (name, positions) in a.Tensors)
        {
            long[] values = positions.ToLongs();
            Assert.AreEqual(ElementType.Int64, positions.Type);
            Assert.AreEqual((long)Math.Round(0.05 * weights[name].Count), values.LongLength, name);
            CollectionAssert.AreEqual(values.Distinct().Order().ToArray(), values, name);
            Assert.IsTrue(values[0] >= 0 && values[^1] < weights[name].Count, name);
            CollectionAssert.AreEqual(values, b.Tensors[name].ToLongs(), name);
        }
        Assert.AreEqual(a.Tensors.Values.Sum(t => t.Count), (long)result["selected"]!);
    }

    [TestMethod]
    public void Weight_magnitude_takes_the_largest_entries()
    {
        using TempFolder folder = TestFiles.Temp();
        LiftRun.Here("new", "--layers", "1", "-o", folder["m.onnx"]).Good();
        LiftRun.Here("select", folder["m.onnx"], "--selection", "weight-magnitude", "--rank", "1", "--train", "*gate*", "-o", folder["s.safetensors"]).Good();
        var (name, positions) = Safetensors.Read(folder["s.safetensors"]).Tensors.Single();
        float[] weight = OnnxFile.Read(folder["m.onnx"]).Initializers[name].ToFloats();
        Assert.AreEqual(64 + 172, positions.Count);
        var expected = Enumerable.Range(0, weight.Length).OrderByDescending(i => Math.Abs(weight[i])).Take(64 + 172).Order().Select(i => (long)i);
        CollectionAssert.AreEqual(expected.ToArray(), positions.ToLongs());
    }

    [TestMethod]
    [DataRow("--rank 3 --density 0.1", "one of them")]
    [DataRow("--density 2", "2")]
    [DataRow("--filter-rank 0", "0")]
    [DataRow("--selection movement", "movement")]
    [DataRow("--selection best", "best")]
    public void Names_what_does_not_fit(string options, string word)
    {
        using TempFolder folder = TestFiles.Temp();
        string model = TestFiles.Shared("models/llama-tiny/model.onnx");
        StringAssert.Contains(LiftRun.Here(["select", model, "-o", folder["s"], .. options.Split(' ')]).Refused(), word);
        Assert.IsFalse(File.Exists(folder["s"]));
    }

    [TestMethod]
    public void A_folders_weights_are_fixed()
    {
        using TempFolder folder = TestFiles.Temp();
        LiftRun.Here("prepare", TestFiles.Shared("models/llama-tiny/model.onnx"), "-o", folder["p"]).Good();
        StringAssert.Contains(LiftRun.Here("select", folder["p"], "--train", "*", "-o", folder["s"]).Refused(), "--train");
    }
}
