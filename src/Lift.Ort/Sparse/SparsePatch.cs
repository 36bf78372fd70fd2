using System.Security.Cryptography;
using System.Text.Json;
using Lift.Ort.Onnx;

namespace Lift.Ort.Sparse;

/// <summary>The changed entries of one weight.</summary>
/// <param name="Weight">The initializer's name.</param>
/// <param name="Dims">Its dimensions as stored.</param>
/// <param name="BaseSha256">SHA-256 (hex, lower case) of the bytes of the unchanged weight.</param>
/// <param name="Positions">int32, ascending.</param>
/// <param name="Values">The new values, of the weight's element type, as many as positions.</param>
public sealed record PatchEntry(string Weight, long[] Dims, string BaseSha256, Tensor Positions, Tensor Values);

/// <summary>
/// What fine-tuning changed: positions and new values per weight. As a file: safetensors with <c>NAME.positions</c> (I32) and
/// <c>NAME.values</c>, and in its metadata the format's name, the base model's SHA-256 and each weight's shape and SHA-256.
/// </summary>
/// <param name="ModelSha256">SHA-256 of the base model's file, for the record; may be empty. What is checked are the weights' own hashes.</param>
public sealed unsafe record SparsePatch(string ModelSha256, IReadOnlyList<PatchEntry> Entries)
{
    private const string Format = "lift-patch-1";

    /// <summary>Number of changed entries.</summary>
    public long Length => Entries.Sum(e => e.Positions.Count);

    /// <summary>All entries whose bits differ between two versions of the same weights; weights without a change are left out.</summary>
    /// <param name="before">The base weights.</param>
    /// <param name="after">The same weights, same names, shapes and types, after training.</param>
    public static SparsePatch Difference(IEnumerable<Tensor> before, IEnumerable<Tensor> after, string modelSha256 = "")
    {
        var entries = new List<PatchEntry>();
        foreach (var (old, changed) in before.Zip(after))
        {
            if (old.Name != changed.Name || old.Type != changed.Type || !old.Dims.AsSpan().SequenceEqual(changed.Dims)) throw new ArgumentException($"{old} and {changed}");
            if (Difference(old, null, changed) is { } entry) entries.Add(entry);
        }
        return new SparsePatch(modelSha256, entries);
    }

    /// <summary>The entries of <paramref name="old"/> whose bits differ from the new values at <paramref name="candidates"/> (null: at every position); null where none does.</summary>
    internal static PatchEntry? Difference(Tensor old, int[]? candidates, Tensor values)
    {
        int size = old.Type.Bits() / 8;
        var changed = new List<(int Position, int Index)>();
        for (long i = 0; i < values.Count; i++)
        {
            long at = candidates?[i] ?? i;
            if (!new ReadOnlySpan<byte>(old.Data + at * size, size).SequenceEqual(new ReadOnlySpan<byte>(values.Data + i * size, size))) changed.Add((checked((int)at), (int)i));
        }
        if (changed.Count == 0) return null;
        Tensor taken = Tensor.Empty($"{old.Name}.values", old.Type, [changed.Count]), positions = Tensor.Empty($"{old.Name}.positions", ElementType.Int32, [changed.Count]);
        Span<int> places = positions.AsSpan<int>();
        for (int i = 0; i < changed.Count; i++)
        {
            places[i] = changed[i].Position;
            Buffer.MemoryCopy(values.Data + (long)changed[i].Index * size, taken.Data + (long)i * size, size, size);
        }
        var entry = new PatchEntry(old.Name, old.Dims, Hash(old), positions, taken);
        GC.KeepAlive(values);
        return entry;
    }

    /// <summary>Writes the patch as a safetensors file.</summary>
    /// <exception cref="LiftException">The file cannot be written; an existing one stays as it was.</exception>
    public void Save(string path)
    {
        var weights = Entries.ToDictionary(e => e.Weight, e => new { dims = e.Dims, sha256 = e.BaseSha256 });
        var metadata = new Dictionary<string, string> { ["format"] = Format, ["base_model_sha256"] = ModelSha256, ["weights"] = JsonSerializer.Serialize(weights) };
        Safetensors.Write(path, [.. Entries.SelectMany(e => new[] { e.Positions, e.Values })], metadata);
    }

    /// <summary>Reads a patch that <see cref="Save"/> wrote.</summary>
    /// <exception cref="LiftException">The file is missing, damaged, or no patch.</exception>
    public static SparsePatch Load(string path)
    {
        Safetensors file = Safetensors.Read(path);
        if (file.Metadata.GetValueOrDefault("format") != Format) throw new LiftException($"'{path}' is no sparse patch: its metadata lacks the format '{Format}'.");
        var entries = new List<PatchEntry>();
        try
        {
            foreach (JsonProperty weight in JsonSerializer.Deserialize<JsonElement>(file.Metadata["weights"]).EnumerateObject())
            {
                long[] dims = [.. weight.Value.GetProperty("dims").EnumerateArray().Select(d => d.GetInt64())];
                Tensor positions = file.Tensors[$"{weight.Name}.positions"], values = file.Tensors[$"{weight.Name}.values"];
                if (positions.Type != ElementType.Int32 || values.Count != positions.Count) throw new FormatException($"{positions.Count} positions and {values.Count} values of '{weight.Name}'");
                new Mask(weight.Name, dims, positions.AsSpan<int>().ToArray()).Check();
                entries.Add(new PatchEntry(weight.Name, dims, weight.Value.GetProperty("sha256").GetString() ?? "", positions, values));
            }
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
        {
            throw new LiftException($"The sparse patch '{path}' is damaged ({e.Message}); export it again.", e);
        }
        return new SparsePatch(file.Metadata.GetValueOrDefault("base_model_sha256", ""), entries);
    }

    /// <summary>The patched weights, by name, in new memory; <paramref name="weights"/> stay as they are.</summary>
    /// <exception cref="LiftException">A weight is absent, has another shape or type, or other values than the patch was made from.</exception>
    public IReadOnlyDictionary<string, Tensor> ApplyTo(IReadOnlyDictionary<string, Tensor> weights)
    {
        var result = new Dictionary<string, Tensor>();
        foreach (PatchEntry entry in Entries)
        {
            if (!weights.TryGetValue(entry.Weight, out Tensor? old)) throw WrongBase($"it has no weight '{entry.Weight}'");
            if (old.Type != entry.Values.Type || !old.Dims.AsSpan().SequenceEqual(entry.Dims))
            {
                throw WrongBase($"its weight '{entry.Weight}' is {old.TensorType}, not {entry.Values.Type.ToString().ToLowerInvariant()}[{string.Join(", ", entry.Dims)}]");
            }
            if (Hash(old) != entry.BaseSha256) throw WrongBase($"its weight '{entry.Weight}' has other values");
            Tensor copy = old.Copy();
            int size = old.Type.Bits() / 8;
            ReadOnlySpan<int> positions = entry.Positions.AsSpan<int>();
            for (int i = 0; i < positions.Length; i++) Buffer.MemoryCopy(entry.Values.Data + (long)i * size, copy.Data + (long)positions[i] * size, size, size);
            GC.KeepAlive(entry);
            result.Add(entry.Weight, copy);
        }
        return result;
    }

    /// <summary>Puts the patched weights into a graph.</summary>
    /// <exception cref="LiftException">The graph is not the base that the patch was made from; it stays as it was.</exception>
    public void ApplyTo(Graph graph)
    {
        foreach (var (name, tensor) in ApplyTo((IReadOnlyDictionary<string, Tensor>)graph.Initializers)) graph.Initializers[name] = tensor;
    }

    private LiftException WrongBase(string why) =>
        new($"The patch does not belong to this model: {why}; apply it to the model it was made from{(ModelSha256.Length > 0 ? $" (SHA-256 {ModelSha256})" : "")}.");

    private static string Hash(Tensor tensor)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        const int Piece = 1 << 28;
        for (long at = 0; at < tensor.ByteLength; at += Piece) hash.AppendData(new ReadOnlySpan<byte>(tensor.Data + at, (int)Math.Min(Piece, tensor.ByteLength - at)));
        GC.KeepAlive(tensor);
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
