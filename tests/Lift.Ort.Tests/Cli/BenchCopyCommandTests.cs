namespace Lift.Ort.Tests.Cli;

[TestClass]
public sealed class BenchCopyCommandTests
{
    [TestMethod]
    public void Reports_the_fields_of_the_baseline()
    {
        var line = LiftRun.Program("bench", "copy", "--gib", "0.002", "--repeats", "3", "--warmup", "0").Good().Json;
        Assert.AreEqual("copy", (string)line["measure"]!);
        Assert.AreEqual(3, (int)line["repeats"]!);
        double seconds = (double)line["median_s"]!, bytes = (double)line["bytes"]!;
        Assert.AreEqual(2 * bytes / seconds / 1e9, (double)line["gb_per_s"]!, 1e-3 * (double)line["gb_per_s"]!);
        foreach (string field in new[] { "min_s", "max_s", "peak_memory_bytes", "device", "device_name", "threads", "cpu", "versions" })
            Assert.IsNotNull(line[field], field);
    }
}
