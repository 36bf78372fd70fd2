using System.Runtime.InteropServices;
using Google.Protobuf;
using Lift.Ort.Onnx;

namespace Lift.Ort.Tests.Sessions;

/// <summary>Turns a float32 file into the 16-bit forms that converters write, on the file's own nodes.</summary>
internal static class HalfForms
{
    private const int Float = (int)ElementType.Float;

    /// <summary>Form by name: what weights, values inside, inputs and outputs hold.</summary>
    public static readonly Dictionary<string, (ElementType Type, bool Whole, bool KeepIo)> All = new()
    {
        ["float16, in- and outputs float32"] = (ElementType.Float16, true, true), // onnxconverter-common's convert_float_to_float16 with keep_io_types
        ["float16 throughout"] = (ElementType.Float16, true, false),
        ["float16 weights, a Cast for each use"] = (ElementType.Float16, false, true),
        ["bfloat16, in- and outputs float32"] = (ElementType.BFloat16, true, true),
        ["bfloat16 weights, a Cast for each use"] = (ElementType.BFloat16, false, true),
    };

    public static void Write(string source, string target, string form)
    {
        ModelProto model = ModelProto.Parser.ParseFrom(File.ReadAllBytes(source));
        var (type, whole, keepIo) = All[form];
        model.Graph.ValueInfo.Clear();
        if (whole) Whole(model.Graph, type, keepIo);
        else Weights(model.Graph, type);
        File.WriteAllBytes(target, model.ToByteArray());
    }

    private static void Weights(GraphProto graph, ElementType type)
    {
        var narrow = graph.Initializer.Where(t => t.DataType == Float && t.Dims.Aggregate(1L, (n, d) => n * d) > 1).ToDictionary(t => t.Name);
        foreach (TensorProto tensor in narrow.Values) Narrow(tensor, type, clamp: false);
        NodeProto[] nodes = [.. graph.Node];
        graph.Node.Clear();
        foreach (NodeProto node in nodes)
        {
            for (int i = 0; i < node.Input.Count; i++)
            {
                if (!narrow.ContainsKey(node.Input[i])) continue;
                NodeProto cast = Cast(node.Input[i], $"{node.Input[i]}/cast/{graph.Node.Count}", ElementType.Float);
                graph.Node.Add(cast);
                node.Input[i] = cast.Output[0];
            }
            graph.Node.Add(node);
        }
    }

    private static void Whole(GraphProto graph, ElementType type, bool keepIo)
    {
        bool clamp = type == ElementType.Float16;
        foreach (TensorProto tensor in graph.Initializer) Narrow(tensor, type, clamp);
        foreach (NodeProto node in graph.Node)
        {
            if (node.OpType == "ConstantOfShape" && node.Attribute.Count == 0)
                node.Attribute.Add(new AttributeProto { Name = "value", Type = AttributeProto.Types.AttributeType.Tensor, T = new() { DataType = Float, Dims = { 1 }, FloatData = { 0 } } });
            foreach (AttributeProto a in node.Attribute)
            {
                if (a.T is not null) Narrow(a.T, type, clamp);
                if (node.OpType == "Cast" && a.Name == "to" && a.I == Float) a.I = (int)type;
            }
        }
        foreach (ValueInfoProto input in graph.Input.Where(IsFloat).ToArray())
        {
            if (!keepIo) input.Type.TensorType.ElemType = (int)type;
            else
            {
                string inner = $"{input.Name}/half";
                foreach (NodeProto node in graph.Node)
                    for (int i = 0; i < node.Input.Count; i++) if (node.Input[i] == input.Name) node.Input[i] = inner;
                graph.Node.Insert(0, Cast(input.Name, inner, type));
            }
        }
        foreach (ValueInfoProto output in graph.Output.Where(IsFloat).ToArray())
        {
            if (!keepIo) output.Type.TensorType.ElemType = (int)type;
            else
            {
                string inner = $"{output.Name}/half";
                foreach (NodeProto node in graph.Node)
                {
                    for (int i = 0; i < node.Input.Count; i++) if (node.Input[i] == output.Name) node.Input[i] = inner;
                    for (int i = 0; i < node.Output.Count; i++) if (node.Output[i] == output.Name) node.Output[i] = inner;
                }
                graph.Node.Add(Cast(inner, output.Name, ElementType.Float));
            }
        }
    }

    private static bool IsFloat(ValueInfoProto value) => value.Type.TensorType.ElemType == Float;

    private static NodeProto Cast(string from, string to, ElementType type) => new()
    {
        OpType = "Cast",
        Name = $"{to}/Cast",
        Input = { from },
        Output = { to },
        Attribute = { new AttributeProto { Name = "to", Type = AttributeProto.Types.AttributeType.Int, I = (int)type } },
    };

    /// <summary>The same file in float32, its weights rounded.</summary>
    public static void WriteRounded(string source, string target, ElementType type)
    {
        ModelProto model = ModelProto.Parser.ParseFrom(File.ReadAllBytes(source));
        foreach (TensorProto tensor in model.Graph.Initializer.Where(t => t.DataType == Float))
        {
            Narrow(tensor, type, clamp: false);
            tensor.RawData = ByteString.CopyFrom(MemoryMarshal.AsBytes<float>(Array.ConvertAll(MemoryMarshal.Cast<byte, ushort>(tensor.RawData.Span).ToArray(), b => type == ElementType.Float16 ? (float)BitConverter.UInt16BitsToHalf(b) : BitConverter.UInt32BitsToSingle((uint)b << 16))));
            tensor.DataType = Float;
        }
        File.WriteAllBytes(target, model.ToByteArray());
    }

    /// <summary>Rounds to nearest even, never to an infinity; float16 numbers are kept between 1e-7 and 1e4, as onnxconverter-common does by default.</summary>
    private static void Narrow(TensorProto tensor, ElementType type, bool clamp)
    {
        if (tensor.DataType != Float) return;
        float[] values = tensor.HasRawData ? MemoryMarshal.Cast<byte, float>(tensor.RawData.Span).ToArray() : [.. tensor.FloatData];
        ushort[] bits = Array.ConvertAll(values, v =>
        {
            if (clamp) v = v == 0 || float.IsNaN(v) ? v : MathF.Sign(v) * Math.Clamp(Math.Abs(v), 1e-7f, 1e4f);
            if (type == ElementType.Float16) return BitConverter.HalfToUInt16Bits((Half)v);
            uint wide = BitConverter.SingleToUInt32Bits(v);
            uint rounded = (wide + 0x7fff + ((wide >> 16) & 1)) >> 16;
            return (ushort)((rounded & 0x7fff) == 0x7f80 && float.IsFinite(v) ? rounded - 1 : rounded);
        });
        tensor.DataType = (int)type;
        tensor.FloatData.Clear();
        tensor.RawData = ByteString.CopyFrom(MemoryMarshal.AsBytes<ushort>(bits));
    }
}
