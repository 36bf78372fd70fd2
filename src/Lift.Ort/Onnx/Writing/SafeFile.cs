namespace Lift.Ort.Onnx.Writing;

/// <summary>Writes files so that each one appears whole or not at all: under a temporary name in the same folder, renamed at the end.</summary>
internal static class SafeFile
{
    /// <param name="paths">The files that belong together, in the order in which they are renamed: what refers to another comes after it.</param>
    /// <param name="write">Fills one stream per path.</param>
    /// <exception cref="LiftException">The folder is missing or read-only, or the disk is full; existing files are as they were.</exception>
    public static void Write(string[] paths, Action<Stream[]> write)
    {
        string[] temporary = [.. paths.Select(p => $"{Path.GetFullPath(p)}.{Guid.NewGuid():N}.tmp")];
        var streams = new Stream[paths.Length];
        try
        {
            for (int i = 0; i < paths.Length; i++) streams[i] = new FileStream(temporary[i], FileMode.CreateNew, FileAccess.Write, FileShare.None, 1 << 16);
            write(streams);
            foreach (Stream stream in streams) stream.Dispose();
            for (int i = 0; i < paths.Length; i++) File.Move(temporary[i], paths[i], overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new LiftException($"'{paths[^1]}' cannot be written: {e.Message.TrimEnd('.')}; what was there before is untouched.", e);
        }
        finally
        {
            foreach (Stream? stream in streams) Close(stream);
            foreach (string left in temporary.Where(File.Exists)) File.Delete(left);
        }
    }

    /// <summary>On a full disk closing fails once more while it flushes; the first failure is the one to report.</summary>
    private static void Close(Stream? stream)
    {
        try
        {
            stream?.Dispose();
        }
        catch (IOException)
        {
        }
    }
}
