namespace Lift.Ort.Tests.Gradients;

[TestClass]
public sealed class SupportTableTests
{
    public const string HowToWrite = "LIFT_WRITE=1 dotnet test tests/Lift.Ort.Tests --filter SupportTableTests";

    [TestMethod]
    public void The_table_of_operators_in_docs_is_up_to_date()
    {
        string path = Path.Combine(TestFiles.Root, "docs", "operators.md"), text = SupportTable.Write();
        if (Environment.GetEnvironmentVariable("LIFT_WRITE") == "1") File.WriteAllText(path, text);
        string[] written = File.Exists(path) ? File.ReadAllLines(path) : [], expected = text.TrimEnd('\n').Split('\n');
        string[] differing = [.. expected.Except(written).Concat(written.Except(expected))];
        Assert.AreEqual("", string.Join('\n', differing.Take(5)), $"docs/operators.md is stale ({differing.Length} lines): run {HowToWrite} to write it");
    }
}
