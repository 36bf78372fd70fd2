using System.Runtime.CompilerServices;

namespace Lift.Ort.Tests;

/// <summary>Finds golden material (LIFT_SHARED, default ../shared beside the repository) and gives out temporary folders.</summary>
internal static class TestFiles
{
    /// <summary>The repository's root, found from this source file.</summary>
    public static string Root { get; } = FindRoot();

    /// <summary>A path in the golden material; ends the test as inconclusive where it is absent.</summary>
    public static string Shared(string path)
    {
        string folder = Environment.GetEnvironmentVariable("LIFT_SHARED") ?? Path.Combine(Root, "..", "shared");
        string full = Path.GetFullPath(Path.Combine(folder, path));
        if (!File.Exists(full) && !Directory.Exists(full)) Assert.Inconclusive($"golden material is absent: {full} (set LIFT_SHARED)");
        return full;
    }

    /// <summary>A new empty folder that is deleted when disposed.</summary>
    public static TempFolder Temp() => new();

    private static string FindRoot([CallerFilePath] string file = "") => Path.GetFullPath(Path.Combine(Path.GetDirectoryName(file)!, "..", ".."));
}

internal sealed class TempFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("lift-test-").FullName;

    public string this[string name] => System.IO.Path.Combine(Path, name);

    public void Dispose() => Directory.Delete(Path, true);
}
