using Lift.Ort.Onnx;

namespace Lift.Ort.Artifacts;

/// <summary>Writes files that are there whole or not at all, and says in one sentence why not.</summary>
internal static unsafe class WholeFile
{
    private const int Piece = 1 << 28;

    /// <summary>Writes beside <paramref name="path"/> under a temporary name and moves the file into place at the end.</summary>
    /// <exception cref="LiftException">The disk is full, or the folder cannot be written; an older file stays as it was.</exception>
    public static void Write(string path, Action<Stream> write)
    {
        string temporary = $"{path}.{Guid.NewGuid():N}.tmp";
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
            using (var stream = new FileStream(temporary, FileMode.CreateNew, FileAccess.Write, FileShare.None, 1 << 16))
            {
                write(stream);
                stream.Flush(flushToDisk: true);
            }
            File.Move(temporary, path, overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new LiftException($"'{path}' cannot be written: {e.Message} Free space or name another place.", e);
        }
        finally
        {
            if (File.Exists(temporary)) File.Delete(temporary);
        }
    }

    /// <summary>Writes a tensor's bytes of any length.</summary>
    public static void WriteTo(this Tensor tensor, Stream stream)
    {
        for (long at = 0; at < tensor.ByteLength; at += Piece)
            stream.Write(new ReadOnlySpan<byte>(tensor.Data + at, (int)Math.Min(Piece, tensor.ByteLength - at)));
        GC.KeepAlive(tensor);
    }
}
