using Lift.Ort.Onnx;
using Lift.Ort.Onnx.Writing;

namespace Lift.Ort.Artifacts;

/// <summary>Encodes a checkpoint; slot numbers are the field ids of ONNX Runtime's checkpoint schema.</summary>
internal static class CheckpointWriter
{
    public const string Identifier = "ODTC";
    private const int SmallestExternal = 64;
    private const int ExternalAlignment = 64;

    public static void Write(CheckpointFile file, string path, bool externalData)
    {
        var writer = new FlatBufferWriter(Root(file, null), Identifier);
        Dictionary<Tensor, long>? offsets = null;
        if (externalData || writer.Length > FlatBufferWriter.MaxLength)
        {
            if (file.Version < 2) throw new LiftException($"Checkpoint '{path}' would have {writer.Length} bytes: version 1 ends at 2 GB, write version 2.");
            offsets = Offsets(file);
            writer = new FlatBufferWriter(Root(file, offsets), Identifier);
        }

        string data = path + ".data";
        SafeFile.Write(offsets is null ? [path] : [data, path], streams =>
        {
            if (offsets is not null) WriteData(streams[0], offsets);
            writer.Write(streams[^1]);
        });
        if (offsets is null) File.Delete(data);
    }

    private static FlatTable Root(CheckpointFile file, Dictionary<Tensor, long>? offsets)
    {
        foreach (var twice in file.Parameters.GroupBy(p => p.Name).Where(g => g.Count() > 1))
            throw new ArgumentException($"The parameter '{twice.Key}' occurs {twice.Count()} times");
        FlatTable Encode(Tensor tensor) => EncodeTensor(tensor, file.IsNominal, offsets);
        FlatTable module = new FlatTable()
            .With(0, file.Trainable.Select(Encode).ToArray())
            .With(1, file.Frozen.Select(Encode).ToArray())
            .With(2, file.IsNominal ? true : null)
            .With(3, offsets is not null ? true : null);
        FlatTable[] groups = [.. file.Groups.Select(g => new FlatTable().With(0, g.Name).With(1, g.Step).With(2, g.InitialLearningRate)
            .With(3, g.States.Select(s => new FlatTable().With(0, s.Parameter).With(1, s.Moments.Select(Encode).ToArray())).ToArray()))];
        FlatTable[] Bag<T>() => [.. file.Properties.Where(p => p.Value is T).Select(p => new FlatTable().With(0, p.Key).With(1, p.Value))];
        return new FlatTable().With(0, file.Version).With(1, module).With(2, groups)
            .With(3, new FlatTable().With(0, Bag<long>()).With(1, Bag<float>()).With(2, Bag<string>()));
    }

    private static FlatTable EncodeTensor(Tensor tensor, bool nominal, Dictionary<Tensor, long>? offsets)
    {
        FlatTable table = new FlatTable().With(0, tensor.Name).With(3, (int)tensor.Type);
        if (nominal) return table.With(2, new long[] { 0 }).With(4, Tensor.Empty(tensor.Name, tensor.Type, [0]));
        table.With(2, tensor.Dims);
        return offsets is not null && offsets.TryGetValue(tensor, out long offset) ? table.With(6, offset) : table.With(4, tensor);
    }

    private static Dictionary<Tensor, long> Offsets(CheckpointFile file)
    {
        var offsets = new Dictionary<Tensor, long>();
        long at = 0;
        foreach (Tensor tensor in file.Parameters.Concat(file.Groups.SelectMany(g => g.States).SelectMany(s => s.Moments)))
        {
            if (tensor.ByteLength < SmallestExternal) continue;
            offsets[tensor] = at;
            at = (at + tensor.ByteLength + ExternalAlignment - 1) / ExternalAlignment * ExternalAlignment;
        }
        return offsets;
    }

    private static void WriteData(Stream stream, Dictionary<Tensor, long> offsets)
    {
        foreach (var (tensor, offset) in offsets)
        {
            stream.Write(new byte[offset - stream.Position]);
            tensor.WriteTo(stream);
        }
    }

    /// <summary>Writes a tensor's bytes of any length from where they lie.</summary>
    public static unsafe void WriteTo(this Tensor tensor, Stream stream)
    {
        const int Piece = 1 << 24;
        for (long at = 0; at < tensor.ByteLength; at += Piece)
            stream.Write(new ReadOnlySpan<byte>(tensor.Data + at, (int)Math.Min(Piece, tensor.ByteLength - at)));
        GC.KeepAlive(tensor);
        tensor.Forget();
    }
}
