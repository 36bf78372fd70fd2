namespace Lift.Ort.Onnx.Reading;

/// <summary>Maps the files beside a model that hold its tensors, each one once, and refuses those that lie elsewhere.</summary>
internal sealed class ExternalData(string modelPath)
{
    private readonly Dictionary<string, MappedFile> files = [];

    /// <summary>The place that a tensor's <c>external_data</c> entries (location, offset, length) name.</summary>
    /// <param name="expected">Bytes that the tensor's type and dimensions ask for.</param>
    public (MappedFile File, long Offset) Find(TensorProto tensor, long expected)
    {
        string location = "";
        long offset = 0, length = expected;
        foreach (var entry in tensor.ExternalData)
        {
            if (entry.Key == "location") location = entry.Value;
            else if (entry.Key == "offset") offset = Number(tensor, entry);
            else if (entry.Key == "length") length = Number(tensor, entry);
        }
        if (length != expected)
        {
            throw new LiftException($"Initializer '{tensor.Name}' in '{modelPath}' declares {length} bytes of external data, but its type and dimensions ask for {expected}.");
        }
        MappedFile file = Open(tensor, location);
        if (offset > file.Length - length)
        {
            throw new LiftException($"Initializer '{tensor.Name}' in '{modelPath}' asks for bytes {offset} to {(Int128)offset + length} of '{location}', which has only {file.Length} bytes; fetch the file again.");
        }
        return (file, offset);
    }

    private long Number(TensorProto tensor, StringStringEntryProto entry) => long.TryParse(entry.Value, out long n) && n >= 0 ? n
        : throw new LiftException($"Initializer '{tensor.Name}' in '{modelPath}' has external data with {entry.Key} '{entry.Value}', which is no byte count.");

    private MappedFile Open(TensorProto tensor, string location)
    {
        if (files.TryGetValue(location, out var known)) return known;
        string where = $"Initializer '{tensor.Name}' in '{modelPath}' has its data in '{location}'";
        if (location.Length == 0 || location.Contains('\0')) throw new LiftException($"Initializer '{tensor.Name}' in '{modelPath}' has external data without a location.");
        string folder = Path.GetDirectoryName(Path.GetFullPath(modelPath))!;
        string full = Path.GetFullPath(Path.Combine(folder, location));
        if (Path.IsPathRooted(location) || location.Contains(':') || !Inside(full, folder)) throw new LiftException($"{where}, which is outside the model's folder; move the file beside the model.");
        if (!File.Exists(full)) throw new LiftException($"{where}, which does not exist; put the file beside the model.");

        // A cache may keep model and data as links into one store: there the real files lie side by side.
        string real = RealPath(full), realModel = RealPath(Path.GetFullPath(modelPath));
        if (!Inside(real, RealPath(folder)) && !Inside(real, Path.GetDirectoryName(realModel)!)) throw new LiftException($"{where}, a link that leads outside the model's folder.");
        return files[location] = new MappedFile(full);
    }

    private static bool Inside(string path, string folder) => path.StartsWith(folder.EndsWith(Path.DirectorySeparatorChar) ? folder : folder + Path.DirectorySeparatorChar, StringComparison.Ordinal);

    /// <summary>The path with every link in it followed.</summary>
    private static string RealPath(string path)
    {
        string result = Path.GetPathRoot(path)!;
        foreach (string part in path[result.Length..].Split(Path.DirectorySeparatorChar, StringSplitOptions.RemoveEmptyEntries))
        {
            result = Path.Combine(result, part);
            FileSystemInfo info = Directory.Exists(result) ? new DirectoryInfo(result) : new FileInfo(result);
            if (info.LinkTarget is not null && info.ResolveLinkTarget(true) is { } target) result = RealPath(target.FullName);
        }
        return result;
    }
}
