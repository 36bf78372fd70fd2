namespace Lift.Ort.Tests.Gradients;

[TestClass]
public sealed class SupportTableTests
{
    public const string HowToWrite = "LIFT_WRITE=1 dotnet test tests/Lift.Ort.Tests --filter SupportTableTests";

    [TestMethod]
    public void The_table_of_operators_in_docs_is_up_to_date() => Check("docs/operators.md", _ => SupportTable.Write());

    [TestMethod]
    public void Its_short_form_in_the_README_is_up_to_date() => Check("README.md", text =>
    {
        const string Begin = "<!-- operators: written by SupportTableTests -->\n", End = "<!-- end of operators -->";
        int from = text.IndexOf(Begin, StringComparison.Ordinal) + Begin.Length, to = text.IndexOf(End, StringComparison.Ordinal);
        Assert.IsTrue(from >= Begin.Length && to >= from, $"README.md has lost the lines '{Begin.TrimEnd()}' and '{End}'");
        return $"{text[..from]}\n{SupportTable.Short()}\n{text[to..]}";
    });

    private static void Check(string file, Func<string, string> make)
    {
        string path = Path.Combine(TestFiles.Root, file), written = File.Exists(path) ? File.ReadAllText(path).ReplaceLineEndings("\n") : "", expected = make(written);
        if (Environment.GetEnvironmentVariable("LIFT_WRITE") == "1") File.WriteAllText(path, written = expected);
        string[] differing = [.. expected.Split('\n').Except(written.Split('\n')).Concat(written.Split('\n').Except(expected.Split('\n')))];
        Assert.AreEqual("", string.Join('\n', differing.Take(5)), $"{file} is stale ({differing.Length} lines): run {HowToWrite} to write it");
    }
}
