using System.IO.MemoryMappedFiles;
using System.Runtime.InteropServices;

namespace Lift.Ort.Onnx.Reading;

/// <summary>A whole file as read-only memory, of any size. The mapping ends when nothing refers to this object any more; a file that is renamed over stays mapped.</summary>
internal sealed unsafe partial class MappedFile
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

    /// <summary>Gives back the memory of these pages: they count as this process's no more, and are read from the file again when they are next touched. Does nothing where the system cannot.</summary>
    public void Forget(byte* data, long length)
    {
        long page = Environment.SystemPageSize, start = ((long)data + page - 1) / page * page, end = ((long)data + length) / page * page;
        if (OperatingSystem.IsLinux() && end > start) _ = AdviseMemory((nint)start, (nuint)(end - start), DontNeed);
    }

    private const int DontNeed = 4;

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int AdviseMemory(nint address, nuint length, int advice);
}
