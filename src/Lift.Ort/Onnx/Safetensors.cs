using System.Buffers.Binary;
using System.IO.MemoryMappedFiles;
using System.Text.Json;

namespace Lift.Ort.Onnx;

/// <summary>
/// A safetensors file: an 8-byte header length, a JSON header, the tensors' bytes. Read memory-mapped; written to a temporary file that then
/// takes the place of the old one, so that a full disk leaves the old one as it was.
/// </summary>
public sealed unsafe class Safetensors
{
    private const long MaxHeader = 100_000_000; // the format's own limit

    private static readonly Dictionary<string, ElementType> types = new()
    {
        ["F64"] = ElementType.Double,
        ["F32"] = ElementType.Float,
        ["F16"] = ElementType.Float16,
        ["BF16"] = ElementType.BFloat16,
        ["I64"] = ElementType.Int64,
        ["I32"] = ElementType.Int32,
        ["I16"] = ElementType.Int16,
        ["I8"] = ElementType.Int8,
        ["U64"] = ElementType.UInt64,
        ["U32"] = ElementType.UInt32,
        ["U16"] = ElementType.UInt16,
        ["U8"] = ElementType.UInt8,
        ["BOOL"] = ElementType.Bool,
        ["F8_E4M3"] = ElementType.Float8E4M3FN,
        ["F8_E5M2"] = ElementType.Float8E5M2,
    };

    private Safetensors(OrderedDictionary<string, Tensor> tensors, Dictionary<string, string> metadata) => (Tensors, Metadata) = (tensors, metadata);

    /// <summary>By name, in header order; their bytes lie in the mapped file.</summary>
    public IReadOnlyDictionary<string, Tensor> Tensors { get; }

    /// <summary>The free text of <c>__metadata__</c>.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Maps and checks a file.</summary>
    /// <exception cref="LiftException">The file is missing, truncated, or not sound; the message names the file and the tensor.</exception>
    public static Safetensors Read(string path)
    {
        try
        {
            var file = new Mapping(path);
            if (file.Length < 8) throw Broken(path, $"it has {file.Length} bytes, fewer than its header length needs");
            ulong size = BinaryPrimitives.ReadUInt64LittleEndian(new ReadOnlySpan<byte>(file.Data, 8));
            if (size > (ulong)Math.Min(MaxHeader, file.Length - 8)) throw Broken(path, $"its header claims {size} bytes in a file of {file.Length}");
            return Parse(path, file, (long)size);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new LiftException($"The safetensors file '{path}' cannot be read: {e.Message}", e);
        }
    }

    /// <summary>Writes tensors under their names; larger element types first, so that all lie aligned.</summary>
    /// <exception cref="LiftException">The file cannot be written (its folder, its rights, a full disk), a name occurs twice, or an element type has no place in the format.</exception>
    public static void Write(string path, IReadOnlyCollection<Tensor> tensors, IReadOnlyDictionary<string, string>? metadata = null)
    {
        Tensor[] order = [.. tensors.OrderByDescending(t => t.Type.Bits())];
        byte[] header = Header(path, order, metadata);
        string temporary = $"{path}.{Environment.ProcessId}.tmp";
        try
        {
            using (var file = new FileStream(temporary, FileMode.Create, FileAccess.Write, FileShare.None, 1 << 20))
            {
                Span<byte> length = stackalloc byte[8];
                BinaryPrimitives.WriteInt64LittleEndian(length, header.Length);
                file.Write(length);
                file.Write(header);
                foreach (Tensor tensor in order) Copy(tensor, file);
                file.Flush(flushToDisk: true);
            }
            File.Move(temporary, path, overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            try { File.Delete(temporary); }
            catch (Exception second) when (second is IOException or UnauthorizedAccessException) { }
            throw new LiftException($"The file '{path}' cannot be written: {e.Message}", e);
        }
    }

    private static void Copy(Tensor tensor, Stream file)
    {
        const int Piece = 1 << 28;
        for (long at = 0; at < tensor.ByteLength; at += Piece)
        {
            file.Write(new ReadOnlySpan<byte>(tensor.Data + at, (int)Math.Min(Piece, tensor.ByteLength - at)));
        }
        GC.KeepAlive(tensor);
    }

    private static byte[] Header(string path, Tensor[] tensors, IReadOnlyDictionary<string, string>? metadata)
    {
        using var memory = new MemoryStream();
        using (var json = new Utf8JsonWriter(memory))
        {
            json.WriteStartObject();
            if (metadata is { Count: > 0 })
            {
                json.WriteStartObject("__metadata__");
                foreach (var (key, value) in metadata) json.WriteString(key, value);
                json.WriteEndObject();
            }
            var names = new HashSet<string>();
            long at = 0;
            foreach (Tensor tensor in tensors)
            {
                string type = types.FirstOrDefault(t => t.Value == tensor.Type).Key
                    ?? throw new LiftException($"Tensor '{tensor.Name}' holds {tensor.Type}, which the safetensors file '{path}' cannot hold.");
                if (!names.Add(tensor.Name)) throw new LiftException($"Two tensors for the safetensors file '{path}' have the name '{tensor.Name}'; rename one.");
                json.WriteStartObject(tensor.Name);
                json.WriteString("dtype", type);
                Numbers(json, "shape", tensor.Dims);
                Numbers(json, "data_offsets", [at, at + tensor.ByteLength]);
                json.WriteEndObject();
                at += tensor.ByteLength;
            }
            json.WriteEndObject();
        }
        while (memory.Length % 8 != 0) memory.WriteByte((byte)' ');
        return memory.ToArray();
    }

    private static void Numbers(Utf8JsonWriter json, string name, ReadOnlySpan<long> values)
    {
        json.WriteStartArray(name);
        foreach (long value in values) json.WriteNumberValue(value);
        json.WriteEndArray();
    }

    private static Safetensors Parse(string path, Mapping file, long headerLength)
    {
        JsonElement root;
        try
        {
            root = JsonSerializer.Deserialize<JsonElement>(new ReadOnlySpan<byte>(file.Data + 8, (int)headerLength));
        }
        catch (JsonException e)
        {
            throw Broken(path, $"its header is not JSON ({e.Message})");
        }
        if (root.ValueKind != JsonValueKind.Object) throw Broken(path, "its header is not a JSON object");

        var tensors = new OrderedDictionary<string, Tensor>();
        var metadata = new Dictionary<string, string>();
        var ranges = new List<(long From, long To, string Name)>();
        byte* start = file.Data + 8 + headerLength;
        long size = file.Length - 8 - headerLength;
        foreach (JsonProperty property in root.EnumerateObject())
        {
            try
            {
                if (property.Name == "__metadata__")
                {
                    foreach (JsonProperty text in property.Value.EnumerateObject()) metadata[text.Name] = text.Value.GetString() ?? "";
                    continue;
                }
                string dtype = property.Value.GetProperty("dtype").GetString() ?? "";
                if (!types.TryGetValue(dtype, out ElementType type)) throw Broken(path, $"tensor '{property.Name}' has the unknown dtype '{dtype}'");
                long[] dims = [.. property.Value.GetProperty("shape").EnumerateArray().Select(d => d.GetInt64())];
                JsonElement offsets = property.Value.GetProperty("data_offsets");
                (long from, long to) = (offsets[0].GetInt64(), offsets[1].GetInt64());
                if (dims.Any(d => d < 0) || from < 0 || to > size || to - from != type.ByteLength(dims.Aggregate(1L, (n, d) => checked(n * d))))
                {
                    throw Broken(path, $"tensor '{property.Name}' {dtype} [{string.Join(", ", dims)}] does not fit its bytes {from} to {to} of {size}; the file may be truncated");
                }
                if (!tensors.TryAdd(property.Name, new Tensor(property.Name, type, dims, start + from, file))) throw Broken(path, $"tensor '{property.Name}' occurs twice");
                ranges.Add((from, to, property.Name));
            }
            catch (Exception e) when (e is KeyNotFoundException or InvalidOperationException or FormatException or OverflowException or IndexOutOfRangeException)
            {
                throw Broken(path, $"the header's entry '{property.Name}' has not the form of the format ({e.Message})");
            }
        }
        long end = 0;
        foreach (var (from, to, name) in ranges.OrderBy(r => r.From).ThenBy(r => r.To))
        {
            if (from != end) throw Broken(path, $"tensor '{name}' starts at byte {from}, but the one before it ends at {end}");
            end = to;
        }
        return end == size ? new Safetensors(tensors, metadata) : throw Broken(path, $"its tensors end at byte {end} of {size}");
    }

    private static LiftException Broken(string path, string what) => new($"'{path}' is no sound safetensors file: {what}; get or write it again.");

    /// <summary>A read-only view of a whole file; lives as long as a tensor of it.</summary>
    private sealed class Mapping
    {
        private readonly MemoryMappedFile? file;
        private readonly MemoryMappedViewAccessor? view;

        public Mapping(string path)
        {
            Length = new FileInfo(path).Length;
            if (Length == 0) return;
            file = MemoryMappedFile.CreateFromFile(path, FileMode.Open, null, 0, MemoryMappedFileAccess.Read);
            view = file.CreateViewAccessor(0, 0, MemoryMappedFileAccess.Read);
            byte* data = null;
            view.SafeMemoryMappedViewHandle.AcquirePointer(ref data);
            Data = data;
        }

        ~Mapping()
        {
            view?.SafeMemoryMappedViewHandle.ReleasePointer();
            view?.Dispose();
            file?.Dispose();
        }

        public long Length { get; }

        public byte* Data { get; }
    }
}
