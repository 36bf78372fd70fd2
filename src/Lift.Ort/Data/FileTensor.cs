using Lift.Ort.Onnx;

namespace Lift.Ort.Data;

/// <summary>A value that lies in a file of its own; only its name is kept until a batch needs it.</summary>
/// <param name="where">The row that names the file, as errors say it: "rows.jsonl: line 7".</param>
public sealed class FileTensor(string where, string field, string path, Func<string, Tensor> read)
{
    /// <summary>Full path of the file.</summary>
    public string Path => path;

    /// <summary>Reads the file.</summary>
    /// <exception cref="LiftException">It is missing or no sound file of its kind; the message names row, field and file.</exception>
    public Tensor Read()
    {
        try
        {
            return read(path).Rename(field);
        }
        catch (Exception e) when (e is LiftException or IOException or UnauthorizedAccessException)
        {
            throw new LiftException($"{where}: field '{field}': {e.Message}", e);
        }
    }
}
