using Lift.Ort.Onnx;
using Lift.Ort.Onnx.Reading;

namespace Lift.Ort.Artifacts;

/// <summary>Decodes a checkpoint; slot numbers are the field ids of ONNX Runtime's checkpoint schema.</summary>
internal sealed unsafe class CheckpointReader(string path)
{
    private readonly FlatBufferReader buffer = new(new MappedFile(path));
    private MappedFile? external;
    private bool nominal;

    public CheckpointFile Read()
    {
        FlatTableReader root = buffer.Root(CheckpointWriter.Identifier);
        int version = root.Int32(0);
        if (version is not (1 or 2))
            throw new LiftException($"Checkpoint '{path}' has version {version}; versions 1 (ONNX Runtime 1.16 and 1.17) and 2 (1.18 and later) can be read: save it again with one of these releases.");
        FlatTableReader module = root.Table(1) ?? throw buffer.Broken("it holds no module state");
        nominal = module.Bool(2);
        if (module.Bool(3))
        {
            if (!File.Exists(path + ".data")) throw new LiftException($"Checkpoint '{path}' keeps its tensors in '{Path.GetFileName(path)}.data', which is missing: copy both files.");
            external = new MappedFile(path + ".data");
        }
        var file = new CheckpointFile
        {
            Version = version,
            IsNominal = nominal,
            Trainable = Tensors(module.Tables(0) ?? throw buffer.Broken("the list of trainable parameters is absent")),
            Frozen = Tensors(module.Tables(1) ?? throw buffer.Broken("the list of frozen parameters is absent")),
            Groups = [.. (root.Tables(2) ?? []).Select(Group)],
            Properties = root.Table(3) is { } bag ? Properties(bag) : new Dictionary<string, object>(),
        };
        foreach (var twice in file.Parameters.GroupBy(p => p.Name).Where(g => g.Count() > 1))
            throw buffer.Broken($"the parameter '{twice.Key}' occurs {twice.Count()} times");
        return file;
    }

    private Tensor[] Tensors(List<FlatTableReader> tables) => [.. tables.Select(ReadTensor)];

    private Tensor ReadTensor(FlatTableReader table)
    {
        string name = table.String(0) ?? throw buffer.Broken("a tensor has no name");
        long[] dims = table.Longs(2) ?? throw buffer.Broken($"tensor '{name}' has no dimensions");
        var type = (ElementType)table.Int32(3);
        if (!Enum.IsDefined(type) || type.Bits() == 0) throw buffer.Broken($"tensor '{name}' has the element type {(int)type}, which is none");
        if (nominal) return Tensor.Empty(name, type, [0]);

        if (!TryByteLength(dims, type, out long length)) throw buffer.Broken($"tensor '{name}' has the impossible dimensions [{string.Join(", ", dims)}]");
        if (table.Vector(4, 1) is { } raw)
        {
            if (raw.Count != length) throw buffer.Broken($"tensor '{name}' has {raw.Count} bytes where [{string.Join(", ", dims)}] needs {length}");
            return new Tensor(name, type, dims, buffer.Bytes.Data + raw.Start, buffer.Bytes);
        }
        long offset = table.Int64(6, -1);
        if (external is null || offset < 0) throw buffer.Broken($"tensor '{name}' has neither bytes nor an offset into '{Path.GetFileName(path)}.data'");
        if (offset > external.Length - length)
            throw new LiftException($"'{external.Path}' is too short: tensor '{name}' needs {length} bytes at offset {offset}, the file has {external.Length}; take a copy that is whole.");
        return new Tensor(name, type, dims, external.Data + offset, external);
    }

    private static bool TryByteLength(long[] dims, ElementType type, out long length)
    {
        length = 0;
        Int128 count = 1;
        foreach (long dim in dims)
        {
            if (dim < 0 || (count *= dim) > long.MaxValue / 128) return false;
        }
        length = type.ByteLength((long)count);
        return true;
    }

    private OptimizerGroup Group(FlatTableReader table) => new(
        table.String(0) ?? throw buffer.Broken("an optimizer group has no name"), table.Int64(1), table.Single(2),
        [.. (table.Tables(3) ?? []).Select(State)]);

    private ParameterMoments State(FlatTableReader table) => new(
        table.String(0) ?? throw buffer.Broken("an optimizer state has no parameter name"), Tensors(table.Tables(1) ?? []));

    private Dictionary<string, object> Properties(FlatTableReader bag)
    {
        var all = new Dictionary<string, object>();
        Add(0, p => p.Int64(1));
        Add(1, p => p.Single(1));
        Add(2, p => p.String(1) ?? "");
        return all;

        void Add(int slot, Func<FlatTableReader, object> value)
        {
            foreach (FlatTableReader property in bag.Tables(slot) ?? [])
            {
                string name = property.String(0) ?? throw buffer.Broken("a property has no name");
                if (!all.TryAdd(name, value(property))) throw buffer.Broken($"the property '{name}' occurs twice");
            }
        }
    }
}
