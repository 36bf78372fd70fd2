using Google.Protobuf;
using Lift.Ort.Gradients;
using AttributeType = Onnx.AttributeProto.Types.AttributeType;

namespace Lift.Ort.Tests.Fuzz;

/// <summary>Damages a model as a person or an exporter would: still protobuf, no longer a sound graph.</summary>
internal sealed class StructureMutator(Random random)
{
    private static readonly long[] Odd = [0, 1, -1, 2, 3, -2, 7, 64, 1 << 20, int.MaxValue, int.MinValue, uint.MaxValue, long.MaxValue, long.MinValue, 1L << 40];
    private static readonly string[] Names = ["", "x", "y", "labels", "loss", "é\u0000\n", new('n', 5000), "../../x", "W_grad", "-", "lift.selected"];
    private static readonly string[] Operators = [.. GradientRules.Operators.Concat(GradientRules.Constants).Order(StringComparer.Ordinal), "If", "Loop", "Scan", "LSTM", "SequenceAt", "Nothing"];

    public byte[] Mutate(byte[] source)
    {
        ModelProto model = ModelProto.Parser.ParseFrom(source);
        for (int n = random.Next(1, 4); n > 0; n--) Once(model);
        return model.ToByteArray();
    }

    private void Once(ModelProto model)
    {
        GraphProto graph = model.Graph ??= new();
        switch (random.Next(22))
        {
            case 0: if (Any(graph.Node) is { } gone) graph.Node.Remove(gone); break;
            case 1: if (Any(graph.Node) is { } twice) graph.Node.Add(twice.Clone()); break;
            case 2: if (Any(graph.Node) is { } moved) { graph.Node.Remove(moved); graph.Node.Insert(random.Next(graph.Node.Count + 1), moved); } break;
            case 3: if (Any(graph.Node) is { Input.Count: > 0 } n) n.Input[random.Next(n.Input.Count)] = SomeValue(graph); break;
            case 4: if (Any(graph.Node) is { Output.Count: > 0 } o) o.Output[random.Next(o.Output.Count)] = SomeValue(graph); break;
            case 5: if (Any(graph.Node) is { } op) op.OpType = Operators[random.Next(Operators.Length)].Split('.')[^1]; break;
            case 6: if (Any(graph.Node) is { } domain) domain.Domain = random.Next(3) switch { 0 => "com.microsoft", 1 => "ai.onnx", _ => Name() }; break;
            case 7: if (Any(graph.Node) is { } more) more.Input.Add(SomeValue(graph)); break;
            case 8: if (Any(graph.Node) is { Input.Count: > 0 } fewer) fewer.Input.RemoveAt(random.Next(fewer.Input.Count)); break;
            case 9: if (Any(graph.Node) is { } outs) { if (random.Next(2) == 0 && outs.Output.Count > 0) outs.Output.RemoveAt(0); else outs.Output.Add($"more{random.Next(9)}"); } break;
            case 10: case 11: if (Any(graph.Node) is { } a) Attribute(a); break;
            case 12: case 13: if (Any(graph.Initializer) is { } t) Tensor(t); break;
            case 14: if (Any(graph.Initializer) is { } lost) graph.Initializer.Remove(lost); break;
            case 15: if (Any(graph.Initializer) is { } renamed) renamed.Name = SomeValue(graph); break;
            case 16: if (Any(graph.Input) is { } input) Value(input); break;
            case 17: if (Any(graph.Output) is { } output) Value(output); break;
            case 18: if (Any(model.OpsetImport) is { } opset) { if (random.Next(3) > 0) opset.Version = random.Next(8, 26); else opset.Version = OddNumber(); } break;
            case 19: if (random.Next(2) == 0) graph.Output.Clear(); else if (Any(graph.Output) is { } same) graph.Output.Add(same.Clone()); break;
            case 20: if (random.Next(2) == 0) graph.Input.Clear(); else graph.Input.Add(new ValueInfoProto { Name = SomeValue(graph) }); break;
            default: model.IrVersion = random.Next(2) == 0 ? random.Next(0, 14) : OddNumber(); break;
        }
    }

    private void Attribute(NodeProto node)
    {
        AttributeProto? a = Any(node.Attribute);
        if (a is null || random.Next(8) == 0)
        {
            node.Attribute.Add(new AttributeProto { Name = new[] { "axis", "axes", "alpha", "perm", "to", "kernel_shape", "group", "value" }[random.Next(8)], Type = AttributeType.Int, I = OddNumber() });
            return;
        }
        switch (random.Next(7))
        {
            case 0: node.Attribute.Remove(a); break;
            case 1: a.Type = (AttributeType)random.Next(0, 16); break;
            case 2: a.Name = Name(); break;
            case 3: a.I = OddNumber(); a.F = random.Next(3) switch { 0 => float.NaN, 1 => float.PositiveInfinity, _ => -1 }; a.S = ByteString.CopyFromUtf8(Name()); break;
            case 4: if (a.Ints.Count > 0) a.Ints[random.Next(a.Ints.Count)] = OddNumber(); break;
            case 5: if (a.Ints.Count > 0 && random.Next(2) == 0) a.Ints.RemoveAt(0); else a.Ints.Add(OddNumber()); break;
            default: if (a.T is not null) Tensor(a.T); else a.Ints.Clear(); break;
        }
    }

    private void Tensor(TensorProto t)
    {
        switch (random.Next(8))
        {
            case 0: t.DataType = random.Next(-1, 26); break;
            case 1: if (t.Dims.Count > 0) t.Dims[random.Next(t.Dims.Count)] = OddNumber(); break;
            case 2: t.Dims.Add(OddNumber()); break;
            case 3: if (t.Dims.Count > 0) t.Dims.RemoveAt(random.Next(t.Dims.Count)); break;
            case 4: t.Dims.Add(1); break;
            case 5: Numbers(t); break;
            case 6: t.RawData = ByteString.CopyFrom(new byte[random.Next(64)]); break;
            default: External(t); break;
        }
    }

    /// <summary>Other numbers in a small integer tensor: axes, shapes, indices.</summary>
    private void Numbers(TensorProto t)
    {
        if (t.DataType != 7 || t.RawData.Length is 0 or > 256) return;
        byte[] bytes = t.RawData.ToByteArray();
        BitConverter.TryWriteBytes(bytes.AsSpan(random.Next(bytes.Length / 8) * 8), OddNumber());
        t.RawData = ByteString.CopyFrom(bytes);
    }

    private void External(TensorProto t)
    {
        if (t.DataLocation == TensorProto.Types.DataLocation.External && Any(t.ExternalData) is { } entry)
        {
            if (random.Next(2) == 0) entry.Value = random.Next(2) == 0 ? OddNumber().ToString() : Name();
            else t.ExternalData.Remove(entry);
            return;
        }
        t.DataLocation = TensorProto.Types.DataLocation.External;
        t.ExternalData.Add(new StringStringEntryProto { Key = "location", Value = random.Next(2) == 0 ? "external.onnx.data" : Name() });
        if (random.Next(2) == 0) t.ExternalData.Add(new StringStringEntryProto { Key = "offset", Value = OddNumber().ToString() });
    }

    private void Value(ValueInfoProto v)
    {
        var tensor = v.Type?.TensorType;
        switch (random.Next(5))
        {
            case 0: if (tensor is not null) tensor.ElemType = random.Next(-1, 26); break;
            case 1: if (Any(tensor?.Shape?.Dim) is { } d) d.DimValue = OddNumber(); break;
            case 2: tensor?.Shape?.Dim.Add(new TensorShapeProto.Types.Dimension { DimParam = Name() }); break;
            case 3: v.Name = Name(); break;
            default: v.Type = null; break;
        }
    }

    private long OddNumber() => random.Next(2) == 0 ? Odd[random.Next(Odd.Length)] : random.Next(-6, 40);

    private string Name() => Names[random.Next(Names.Length)];

    private string SomeValue(GraphProto graph) => random.Next(5) switch
    {
        0 => Name(),
        1 => Any(graph.Initializer)?.Name ?? "",
        2 => Any(graph.Input)?.Name ?? "",
        _ => Any(graph.Node)?.Output.FirstOrDefault() ?? "",
    };

    private T? Any<T>(IList<T>? list) where T : class => list is { Count: > 0 } ? list[random.Next(list.Count)] : null;
}
