using System.IO.MemoryMappedFiles;

namespace Lift.Ort.Onnx.Reading;

/// <summary>A whole file as read-only memory, of any size. The mapping ends when nothing refers to this object any more; a file that is renamed over stays mapped.</summary>
internal sealed unsafe class MappedFile
{
    private readonly MemoryMappedViewAccessor? view; // its handle unmaps when collected

    /// <exception cref="LiftException">The file is missing or cannot be read.</exception>
    public MappedFile(string path)
    {
        Path = path;
        try
        {
            using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, 1);
            Length = stream.Length;
            if (Length == 0) return;
            using var file = MemoryMappedFile.CreateFromFile(stream, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: true);
            view = file.CreateViewAccessor(0, 0, MemoryMappedFileAccess.Read);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new LiftException($"There is no file '{path}'.", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new LiftException($"'{path}' cannot be read: {e.Message}", e);
        }
    }

    public string Path { get; }

    public long Length { get; }

    public byte* Data => view is null ? null : (byte*)view.SafeMemoryMappedViewHandle.DangerousGetHandle() + view.PointerOffset;
}
