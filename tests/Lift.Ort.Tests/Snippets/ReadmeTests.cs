using Lift.Ort.Onnx;
using Lift.Ort.Tests.Cli;

namespace Lift.Ort.Tests.Snippets;

[TestClass]
public sealed class ReadmeTests
{
    private static readonly string readme = File.ReadAllText(Path.Combine(TestFiles.Root, "README.md"));

    [TestMethod]
    public void Example_in_the_readme_is_the_one_that_runs()
    {
        string[] lines = File.ReadAllLines(Path.Combine(TestFiles.Root, "tests", "Lift.Ort.Tests", "Snippets", "ReadmeExample.cs"));
        int from = Array.FindIndex(lines, l => l.Contains("<example>")), to = Array.FindIndex(lines, l => l.Contains("</example>"));
        string code = string.Join('\n', lines[(from + 1)..to].Select(l => l.Length >= 8 ? l[8..] : l));
        StringAssert.Contains(readme, $"```csharp\n{code}\n```");
    }

    [TestMethod]
    public void Example_runs()
    {
        using TempFolder folder = TestFiles.Temp();
        LiftRun.Here("new", "--layers", "1", "-o", folder["model.onnx"]).Good();
        File.WriteAllLines(folder["rows.jsonl"], Enumerable.Range(0, 8).Select(i => $"{{\"input_ids\": [{string.Join(", ", Enumerable.Range(i, 12))}]}}"));
        ReadmeExample.Run(folder["model.onnx"], folder["rows.jsonl"], folder.Path);
        Graph before = OnnxFile.Read(folder["model.onnx"]), after = OnnxFile.Read(folder["fine-tuned.onnx"]);
        Assert.IsFalse(before.Initializers["model.layers.0.mlp.up_proj.weight"].AsSpan<byte>().SequenceEqual(after.Initializers["model.layers.0.mlp.up_proj.weight"].AsSpan<byte>()));
    }

    /// <summary>Every line that begins with <c>lift</c> in a block of shell commands is one that the program accepts.</summary>
    [TestMethod]
    public void Commands_in_the_readme_parse()
    {
        string[] commands = [.. readme.Split("```sh\n").Skip(1).SelectMany(b => b[..b.IndexOf("```")].Split('\n')).Select(l => l.Trim()).Where(l => l.StartsWith("lift "))];
        Assert.IsTrue(commands.Length >= 3);
        foreach (string command in commands)
        {
            var line = Ort.Cli.LiftProgram.Root().Parse(command["lift ".Length..].Split('#')[0]);
            Assert.AreEqual("", string.Join(" ", line.Errors.Select(e => e.Message)), command);
        }
    }
}
