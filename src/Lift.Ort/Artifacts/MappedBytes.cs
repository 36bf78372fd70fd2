using System.IO.MemoryMappedFiles;

namespace Lift.Ort.Artifacts;

/// <summary>A whole file, memory-mapped for reading; mapped until collected, so that tensors may point into it.</summary>
internal sealed unsafe class MappedBytes
{
    private readonly MemoryMappedFile? file;
    private readonly MemoryMappedViewAccessor? view;

    /// <exception cref="LiftException">The file is missing or cannot be read.</exception>
    public MappedBytes(string path)
    {
        Path = path;
        try
        {
            using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete);
            Length = stream.Length;
            if (Length == 0) return;
            file = MemoryMappedFile.CreateFromFile(stream, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: false);
            view = file.CreateViewAccessor(0, Length, MemoryMappedFileAccess.Read);
            byte* start = null;
            view.SafeMemoryMappedViewHandle.AcquirePointer(ref start);
            Data = start + view.PointerOffset;
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new LiftException($"'{path}' does not exist; name a folder that `lift prepare` or ONNX Runtime's artifact generator made.", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new LiftException($"'{path}' cannot be read: {e.Message}", e);
        }
    }

    public string Path { get; }

    public long Length { get; }

    public byte* Data { get; }
}
