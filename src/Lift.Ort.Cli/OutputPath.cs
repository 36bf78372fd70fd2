namespace Lift.Ort.Cli;

/// <summary>Where a command writes: never over what it reads.</summary>
internal static class OutputPath
{
    /// <param name="read">Files, and folders whose files are meant; null is none.</param>
    /// <returns>The path.</returns>
    /// <exception cref="LiftException">It is one of the files that the command reads.</exception>
    public static string Apart(string path, params IEnumerable<string?> read)
    {
        string full = Path.GetFullPath(path);
        bool clash = read.OfType<string>().Any(r => Path.GetFullPath(r) == full || (Directory.Exists(r) && File.Exists(full) && Path.GetDirectoryName(full) == Path.TrimEndingDirectorySeparator(Path.GetFullPath(r))));
        return clash ? throw new LiftException($"'{path}' is a file that this command reads; name another one to write.") : path;
    }
}
