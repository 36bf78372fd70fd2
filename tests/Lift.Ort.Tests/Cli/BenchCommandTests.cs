using System.Text.Json.Nodes;
using Lift.Ort.Cli.Commands;
using Lift.Ort.Sessions;

namespace Lift.Ort.Tests.Cli;

[TestClass]
public sealed class BenchStepCommandTests
{
    [TestMethod]
    public void Trains_and_counts_as_the_baseline_does()
    {
        JsonObject[] lines = Bench.Lines("step", "--preset", "stories260k", "--layers", "1", "--batch", "2", "--seq", "8", "--accumulate", "2",
            "--density", "0.1", "--lr", "0.01", "--repeats", "4", "--warmup", "1", "--cuda-graphs", "--method", "lift", "full");
        JsonObject lift = lines[0], full = lines[1];
        int[] matrices = [64 * 64, 64 * 32, 64 * 32, 64 * 64, 64 * 172, 64 * 172, 64 * 172];
        Assert.AreEqual(matrices.Sum(m => (long)Math.Round(0.1 * m)), (long)lift["trained"]!);
        Assert.AreEqual((long)full["weights"]!, (long)full["trained"]!);
        foreach (JsonObject line in lines)
        {
            Assert.IsTrue((double)line["last_loss"]! < (double)line["first_loss"]!, "it learns its batch");
            Assert.AreEqual("cpu records none", (string?)line["cuda_graphs"]!["why_not"]);
            Assert.AreEqual(Math.Log(512), (double)line["first_loss"]!, 0.1, "random weights guess uniformly");
            Assert.AreEqual(32 / (double)line["median_s"]!, (double)line["tokens_per_s"]!, 1e-3 * (double)line["tokens_per_s"]!);
        }
        Assert.IsTrue((double)full["last_loss"]! < (double)lift["last_loss"]!, "more weights learn faster");
    }

    [TestMethod]
    public void Learns_the_same_without_fusions()
    {
        string[] line = ["step", "--preset", "stories260k", "--layers", "1", "--batch", "2", "--seq", "8", "--repeats", "1", "--warmup", "1"];
        JsonObject all = Bench.Lines(line).Single(), none = Bench.Lines([.. line, "--without", .. TrainingSessionOptions.FusionKinds]).Single();
        CollectionAssert.AreEqual(TrainingSessionOptions.FusionKinds.ToArray(), none["without"]!.AsArray().Select(f => (string)f!).ToArray());
        Assert.AreEqual((double)all["last_loss"]!, (double)none["last_loss"]!, 1e-4);
    }
}

[TestClass]
public sealed class BenchOptimizerCommandTests
{
    [TestMethod]
    public void Reports_time_per_weight_and_its_floor()
    {
        JsonObject line = Bench.Lines("optimizer", "--preset", "stories260k", "--density", "0.05", "--repeats", "2").Single();
        Assert.AreEqual((double)line["median_s"]! * 1e9 / (double)line["trained"]!, (double)line["ns_per_trained"]!, 1e-3 * (double)line["ns_per_trained"]!);
        Assert.IsTrue((double)line["floor_ns_per_trained"]! > 0);
    }

    /// <summary>About 90 bytes of lines and 20 of state at a density of 5 %; every line just once when all is trained.</summary>
    [TestMethod]
    public void Floor_counts_touched_lines()
    {
        Assert.AreEqual(110, BenchOptimizerCommand.BytesPerTrained(0.05, 4), 1);
        Assert.AreEqual(28, BenchOptimizerCommand.BytesPerTrained(1, 4), 1e-9);
    }
}

[TestClass]
public sealed class BenchRefreshCommandTests
{
    [TestMethod]
    [DataRow("flat")]
    [DataRow("decay")]
    public void Compares_with_the_exact_mask(string spectrum)
    {
        JsonObject[] lines = Bench.Lines("refresh", "--shapes", "300x320", "--spectrum", spectrum, "--filter-rank", "16", "--method", "exact", "cold", "warm", "--repeats", "1", "--warmup", "0");
        JsonObject[] measured = [.. lines.Where(l => (string)l["measure"]! == "refresh")];
        CollectionAssert.AreEqual(new[] { "exact", "cold", "warm" }, measured.Select(l => (string)l["method"]!).ToArray());
        foreach (JsonObject line in measured.Skip(1))
        {
            Assert.IsTrue((double)line["jaccard_with_exact"]! > 0.98, line.ToJsonString());
            Assert.IsTrue((double)line["overlap_with_exact"]! >= (double)line["jaccard_with_exact"]!);
        }
        Assert.AreEqual(3, lines.Count(l => (string)l["measure"]! == "refresh-total"));
    }

    [TestMethod]
    public void Broken_shape_is_named() => StringAssert.Contains(LiftRun.Here("bench", "refresh", "--shapes", "3by4").Refused(), "3by4");
}

[TestClass]
public sealed class BenchGraphCommandTests
{
    [TestMethod]
    public void Reports_the_curve()
    {
        JsonObject[] lines = Bench.Lines("graph", "--nodes", "100", "300", "--repeats", "1", "--warmup", "0");
        Assert.HasCount(2, lines);
        foreach (JsonObject line in lines) Assert.AreEqual((double)line["median_s"]! * 1e6 / (int)line["nodes"]!, (double)line["us_per_node"]!, 1e-3 * (double)line["us_per_node"]!);
        Assert.IsTrue((int)lines[1]["nodes"]! >= 2 * (int)lines[0]["nodes"]! && (int)lines[1]["training_nodes"]! > (int)lines[1]["nodes"]!);
    }
}

[TestClass]
public sealed class BenchGemmCommandTests
{
    [TestMethod]
    public void Reports_its_arithmetic()
    {
        JsonObject line = Bench.Lines("gemm", "--sizes", "128", "--repeats", "2").Single();
        Assert.AreEqual(2 * Math.Pow(128, 3) / (double)line["median_s"]! / 1e12, (double)line["tflops"]!, 1e-3 * (double)line["tflops"]!);
    }
}

[TestClass]
public sealed class BenchAttentionCommandTests
{
    [TestMethod]
    public void Reports_both_passes()
    {
        JsonObject[] lines = Bench.Lines("attention", "--batch", "2", "--heads", "4", "--kv-heads", "2", "--head", "8", "--seq", "20", "--repeats", "2", "--warmup", "0");
        CollectionAssert.AreEqual(new[] { "forward", "forward+backward" }, lines.Select(l => (string)l["pass"]!).ToArray());
        double products = 2.0 * 2 * 4 * 20 * 20 * 8;
        foreach (var (line, times) in lines.Zip([1, 3.5])) Assert.AreEqual(products * times / (double)line["median_s"]! / 1e12, (double)line["tflops"]!, 1e-3 * (double)line["tflops"]!);
        StringAssert.Contains(LiftRun.Here("bench", "attention", "--heads", "4", "--kv-heads", "3").Refused(), "--heads 4 is no multiple of --kv-heads 3");
    }
}

[TestClass]
public sealed class BenchCopyCommandTests
{
    [TestMethod]
    public void Reports_the_fields_of_the_baseline()
    {
        JsonObject line = LiftRun.Program("bench", "copy", "--gib", "0.002", "--repeats", "3", "--warmup", "0").Good().Json;
        Assert.AreEqual("copy", (string)line["measure"]!);
        Assert.AreEqual(3, (int)line["repeats"]!);
        double seconds = (double)line["median_s"]!, bytes = (double)line["bytes"]!;
        Assert.AreEqual(2 * bytes / seconds / 1e9, (double)line["gb_per_s"]!, 1e-3 * (double)line["gb_per_s"]!);
        foreach (string field in new[] { "min_s", "max_s", "peak_memory_bytes", "device", "device_name", "threads", "cpu", "versions" })
            Assert.IsNotNull(line[field], field);
    }
}

/// <summary>Runs a measurement in this process.</summary>
internal static class Bench
{
    public static JsonObject[] Lines(params string[] arguments) =>
        [.. LiftRun.Here(["bench", .. arguments]).Good().Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(l => (JsonObject)JsonNode.Parse(l)!)];
}
