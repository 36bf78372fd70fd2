using System.Text.RegularExpressions;

namespace Lift.Ort.Tests;

/// <summary>Keeps the house in order: data walks through the rooms from top to bottom, and each room uses only the rooms above it.</summary>
[TestClass]
public sealed partial class HouseTests
{
    /// <summary>The rooms of src/Lift.Ort from top to bottom. A new room gets its line here and in the README's picture of the house.</summary>
    private static readonly string[] rooms =
        ["Onnx", "Architectures", "Lowering", "Gradients", "Artifacts", "Data", "Devices", "Operators", "Sessions", "Sparse", "Training", "Generation"];

    private static readonly string library = Path.Combine(TestFiles.Root, "src", "Lift.Ort");

    private static IEnumerable<(string File, string Text)> Sources(params string[] folders) => folders
        .SelectMany(f => Directory.EnumerateFiles(Path.Combine(TestFiles.Root, f), "*.cs", SearchOption.AllDirectories))
        .Select(f => (File: Path.GetRelativePath(TestFiles.Root, f).Replace('\\', '/'), f))
        .Where(f => !f.File.Split('/').Any(part => part is "obj" or "bin"))
        .Select(f => (f.File, File.ReadAllText(f.f)));

    [TestMethod]
    public void Every_folder_of_the_library_is_a_room()
    {
        string[] folders = [.. Directory.GetDirectories(library).Select(d => Path.GetFileName(d)!).Where(d => d is not ("obj" or "bin"))];
        CollectionAssert.IsSubsetOf(folders, rooms);
    }

    [TestMethod]
    public void Rooms_use_only_rooms_above_them()
    {
        var wrong = from source in Sources("src/Lift.Ort")
                    let room = Array.IndexOf(rooms, source.File.Split('/')[2])
                    where room >= 0
                    from Match use in RoomName().Matches(source.Text)
                    let used = Array.IndexOf(rooms, use.Groups[1].Value)
                    where used > room
                    select $"{source.File} uses {rooms[used]}, which is below {rooms[room]}";
        Assert.AreEqual("", string.Join('\n', wrong.Distinct()));
    }

    [TestMethod]
    public void Folder_is_namespace()
    {
        var wrong = from source in Sources("src/Lift.Ort", "src/Lift.Ort.Cli", "tests/Lift.Ort.Tests")
                    let declared = NamespaceLine().Match(source.Text).Groups[1].Value
                    where declared.Length > 0
                    let expected = string.Join('.', source.File.Split('/')[1..^1])
                    where declared != expected
                    select $"{source.File}: namespace {declared}, not {expected}";
        Assert.AreEqual("", string.Join('\n', wrong));
    }

    [TestMethod]
    public void File_stays_under_400_lines()
    {
        var wrong = from source in Sources("src/Lift.Ort", "src/Lift.Ort.Cli", "tests")
                    let lines = source.Text.Count(c => c == '\n')
                    where lines >= 400
                    select $"{source.File} has {lines} lines";
        Assert.AreEqual("", string.Join('\n', wrong));
    }

    [TestMethod]
    public void The_library_does_not_know_the_command() => Assert.IsFalse(
        typeof(LiftException).Assembly.GetReferencedAssemblies().Any(a => a.Name is "lift" or "System.CommandLine" or "Spectre.Console"));

    [GeneratedRegex(@"\bLift\.Ort\.([A-Z]\w+)")]
    private static partial Regex RoomName();

    [GeneratedRegex(@"^namespace ([\w.]+);", RegexOptions.Multiline)]
    private static partial Regex NamespaceLine();
}
